"""Exported models in ONNX Runtime: whether any of many showers holds NaN, parity, and time at batch 1.

    python benchmarks/calo_onnx.py --model student student.onnx student \\
        --model hitflow hitflow.onnx hitflow [--showers 1000000] [--json FILE]

After the name, the file that ``lhcflow calo export`` wrote and the folder of the training. Incident energies
from 1 to 100 GeV, even in the logarithm; noise as FastCaloSim gives it. One thread.
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
ROWS = (
    "showers",
    "showers with NaN or infinity",
    "showers with a negative voxel",
    "showers without energy",
    "largest deposited / incident energy",
    "largest deviation from Python / incident energy, 1000 showers",
    f"CPU ms per shower, batch {BATCH} (random numbers included)",
    "CPU ms per shower, batch 1 (median of 200)",
)


def measure(graph: str, run: str, showers: int) -> tuple[list[float], str]:
    """The values of ROWS, and what the model is."""
    model, runtime = load_model(Path(run)), session(graph)
    bad = negative = empty = 0
    largest = 0.0
    start = time.process_time()
    for seed in range(showers // BATCH):
        inputs = [t.numpy() for t in example(model, BATCH, seed=seed)]
        made = runtime.run([OUTPUT], feeds("lhcflow", *inputs))[0]
        bad += int((~np.isfinite(made)).any(1).sum())
        negative += int((made < 0).any(1).sum())
        empty += int((made.sum(1) == 0).sum())
        largest = max(largest, float((made.sum(1) / inputs[0][:, 0]).max()))
    seconds = time.process_time() - start
    parts = example(model, BATCH, seed=12345)
    expected = model.decode(parts[0][:, 0], *parts[1:]).numpy()
    found = runtime.run([OUTPUT], feeds("lhcflow", *(t.numpy() for t in parts)))[0]
    difference = float((np.abs(found - expected) / parts[0].numpy()).max())
    single = feeds("lhcflow", *(t.numpy()[:1] for t in parts))
    times = []
    for _ in range(200):
        start = time.process_time()
        runtime.run([OUTPUT], single)
        times.append(time.process_time() - start)
    count = showers // BATCH * BATCH
    values = [
        *(float(n) for n in (count, bad, negative, empty)),
        largest,
        difference,
        1e3 * seconds / count,
        1e3 * float(np.median(times)),
    ]
    size = Path(graph).stat().st_size / 1e6
    return values, f"{type(model).__name__}, {model.layers.voxels} voxels, a graph of {size:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", nargs=3, action="append", required=True, metavar=("NAME", "GRAPH", "RUN"))
    parser.add_argument("--showers", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    columns, notes = [], ["CPU times on a loaded machine."]
    for name, graph, run in given.model:
        values, what = measure(graph, run, given.showers)
        columns.append(values)
        notes.append(f"{name}: {what}.")
        for row in zip(ROWS, values, strict=True):
            print(name, *row, sep="\t", flush=True)
    if given.json:
        names = [name for name, _, _ in given.model]
        models = " ".join(f"--model {name} {name}.onnx {name}" for name in names)
        rows = [[row, *values] for row, *values in zip(ROWS, *columns, strict=True)]
        write_json(
            given.json,
            {
                "title": f"Exported models in ONNX Runtime, {given.showers:,} showers",
                "command": f"python benchmarks/calo_onnx.py {models} --showers {given.showers}",
                "machine": f"{platform.machine()}, ONNX Runtime {onnxruntime.__version__}, one thread",
                "notes": notes,
                "tables": [{"title": "Showers and times", "columns": ["", *names], "rows": rows}],
            },
        )


if __name__ == "__main__":
    main()
