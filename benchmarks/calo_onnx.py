"""An exported student in ONNX Runtime: whether any of many showers holds NaN, parity, and time at batch 1.

    python benchmarks/calo_onnx.py student.onnx student [--showers 1000000] [--json FILE]

``student.onnx`` is what ``lhcflow calo export`` wrote for the training in the folder ``student``. Incident
energies from 1 to 100 GeV, even in the logarithm; noise as FastCaloSim gives it. One thread.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np
import onnxruntime

from lhcflow.calorimeter.export import OUTPUT
from lhcflow.calorimeter.export.onnx_file import example, feeds, session
from lhcflow.cli.calo.sample import load_model
from lhcflow.files import write_json

BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("graph", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--showers", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model, runtime = load_model(given.run), session(given.graph)
    bad = negative = empty = 0
    largest = 0.0
    start = time.process_time()
    for seed in range(given.showers // BATCH):
        inputs = [t.numpy() for t in example(model, BATCH, seed=seed)]  # type: ignore[arg-type]
        made = runtime.run([OUTPUT], feeds("lhcflow", *inputs))[0]
        bad += int((~np.isfinite(made)).any(1).sum())
        negative += int((made < 0).any(1).sum())
        empty += int((made.sum(1) == 0).sum())
        largest = max(largest, float((made.sum(1) / inputs[0][:, 0]).max()))
    seconds = time.process_time() - start
    parts = example(model, BATCH, seed=12345)  # type: ignore[arg-type]
    expected = model.decode(parts[0][:, 0], *parts[1:]).numpy()
    found = runtime.run([OUTPUT], feeds("lhcflow", *(t.numpy() for t in parts)))[0]
    difference = float((np.abs(found - expected) / parts[0].numpy()).max())
    single = [t.numpy()[:1] for t in parts]
    times = []
    for _ in range(200):
        start = time.process_time()
        runtime.run([OUTPUT], feeds("lhcflow", *single))
        times.append(time.process_time() - start)
    rows = [
        ["showers", given.showers // BATCH * BATCH],
        ["showers with NaN or infinity", bad],
        ["showers with a negative voxel", negative],
        ["showers without energy", empty],
        ["largest deposited / incident energy", largest],
        ["largest deviation from Python / incident energy, 1000 showers", difference],
        [f"CPU ms per shower, batch {BATCH} (random numbers included)", 1e3 * seconds / given.showers],
        ["CPU ms per shower, batch 1 (median of 200)", 1e3 * float(np.median(times))],
    ]
    for row in rows:
        print(*row, sep="\t")
    if given.json:
        shape = f"{model.layers.voxels} voxels, {sum(p.numel() for p in model.parameters()):,} parameters"
        write_json(
            given.json,
            {
                "title": "An exported student in ONNX Runtime",
                "command": f"python benchmarks/calo_onnx.py student.onnx student --showers {given.showers}",
                "machine": f"{platform.machine()}, ONNX Runtime {onnxruntime.__version__}, one thread",
                "notes": [f"Student of lhcflow calo demo: {shape}. CPU times on a loaded machine."],
                "tables": [{"title": "Showers and times", "columns": ["", "value"], "rows": rows}],
            },
        )


if __name__ == "__main__":
    main()
