"""The classifier tests of lhcflow beside the official script of the CaloChallenge, on one CPU thread.

    git clone https://github.com/CaloChallenge/homepage
    python benchmarks/calo_evaluation.py --official homepage/code [--json docs/results/calo_evaluation.json]

Both read the same two files of --showers showers each in the layout of data set 1 (photons, 368 voxels) and
compute the high-level features and the AUC of voxels, normalised voxels and features, with one recipe: three
hidden layers of --hidden with leaky ReLU, Adam 2e-4, batches of 1000, --epochs epochs, the best of them,
isotonic calibration; lhcflow stops early (--patience). The showers are synthetic, since the public data are
not at hand: profiles of two slopes. CPU time from opening the files on, imports not counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

from lhcflow.calorimeter import Showers, calochallenge_features, geometry, read_showers, write_showers
from lhcflow.calorimeter.metrics import classifier_inputs
from lhcflow.classifiers import CALOCHALLENGE, classifier_test
from lhcflow.classifiers.classifier_test import has_bfloat16
from lhcflow.files import write_json

MODES = {"low": "cls-low", "low-normalised": "cls-low-normed", "high": "cls-high"}

# Imports what the script imports, then runs it and shows the CPU time it took. Its split into 80,000, 20,000
# and 21,000 showers becomes one into 60, 20 and 20 %, which it has too.
_RUN = """
import sys, time
import matplotlib; matplotlib.use("Agg")
import h5py, matplotlib.pyplot, mpl_toolkits.axes_grid1.inset_locator, numpy, torch
import sklearn.calibration, sklearn.isotonic, sklearn.metrics
torch.set_num_threads(1)
sys.path.insert(0, ".")
sys.argv = ["evaluate.py", *sys.argv[1:]]
source = open("evaluate.py").read().replace("dataset=args.dataset)", "dataset=None)")
start = time.process_time()
exec(compile(source, "evaluate.py", "exec"), {"__name__": "__main__"})
print("CPU", time.process_time() - start)
"""


def synthetic(n: int, slope: float, seed: int) -> Showers:
    """Showers with radial profiles exp(-slope r / R) in each layer; nothing below the threshold of 1 MeV.

    In float64, as the public files and as the official script needs them.
    """
    rng = np.random.default_rng(seed)
    place = geometry("ds1-photons")
    incident = 2.0 ** rng.integers(12, 22, n)
    depth = rng.dirichlet([1.0, 4.0, 6.0, 0.4, 0.2], n)
    parts = []
    for number, layer in enumerate(place.layers):
        profile = np.exp(-slope * layer.r / layer.r.max()) * rng.gamma(1.0, 1.0, (n, layer.size))
        parts.append(profile / profile.sum(1, keepdims=True) * (0.8 * incident * depth[:, number])[:, None])
    voxels = np.concatenate(parts, 1)
    voxels[voxels < place.threshold] = 0.0
    return Showers(place, incident, voxels)


def ours(files: tuple[Path, Path], recipe: Any, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """AUC and CPU seconds of each level, the features counted where the official script computes them."""
    areas, seconds = {}, {}
    for level in MODES:
        start = time.process_time()
        real, generated = (read_showers(file).cut() for file in files)
        for sample in (real, generated):
            calochallenge_features(sample)
        pair = [classifier_inputs(s, level, "calochallenge") for s in (real, generated)]  # type: ignore
        areas[level] = float(classifier_test(pair[0], pair[1], recipe, seed=seed).auc[0])
        seconds[level] = time.process_time() - start
    return areas, seconds


def official(
    code: Path, files: tuple[Path, Path], hidden: int, epochs: int
) -> tuple[dict[str, float], dict[str, float]]:
    areas, seconds = {}, {}
    for level, mode in MODES.items():
        with tempfile.TemporaryDirectory() as out:
            for stale in files[0].parent.glob("*.pkl"):
                stale.unlink()
            options = f"-d 1-photons -m {mode} --no_cuda --cls_n_hidden {hidden} --cls_n_epochs {epochs}"
            arguments = ["-i", str(files[1]), "-r", str(files[0]), "--output_dir", out, *options.split()]
            done = subprocess.run(
                [sys.executable, "-c", _RUN, *arguments],
                cwd=code,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
            )
        found = re.search(r"Final result of classifier test \(AUC / JSD\):\s+([0-9.]+)", done.stdout)
        if done.returncode or found is None:
            sys.exit(f"the official script failed:\n{done.stderr}")
        areas[level] = float(found[1])
        seconds[level] = float(done.stdout.rsplit("CPU", 1)[1])
    return areas, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--official", type=Path, required=True, help="folder with evaluate.py")
    parser.add_argument("--showers", type=int, default=2400)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument(
        "--patience", type=int, default=10, help="of lhcflow, as calo evaluate; 0: all epochs"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = dataclasses.replace(
        CALOCHALLENGE, hidden=(given.hidden,) * 3, epochs=given.epochs, patience=given.patience or None
    )
    areas: dict[str, list[tuple[float, float]]] = {level: [] for level in MODES}
    seconds: dict[str, list[tuple[float, float]]] = {level: [] for level in MODES}
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder, "real.hdf5"), Path(folder, "generated.hdf5"))
        for file, slope, seed in zip(files, (6.0, 9.0), (1, 2), strict=True):
            write_showers(file, synthetic(given.showers, slope, seed))
        for repeat in range(given.repeats):
            a, b = ours(files, recipe, repeat), official(given.official, files, given.hidden, given.epochs)
            for level in MODES:
                areas[level].append((a[0][level], b[0][level]))
                seconds[level].append((a[1][level], b[1][level]))
            print(a, b, flush=True)
    rows = []
    for level in MODES:
        cells = [
            f"{mean(x):.3f} ± {stdev(x) if len(x) > 1 else 0:.3f}" for x in zip(*areas[level], strict=True)
        ]
        cpu = [min(x) for x in zip(*seconds[level], strict=True)]
        rows.append([level, *cells, *cpu, cpu[1] / cpu[0]])
    total = [sum(row[column] for row in rows) for column in (3, 4)]
    rows.append(["all", "", "", *total, total[1] / total[0]])
    for row in rows:
        print(row)
    if given.json:
        names = ("showers", "hidden", "epochs", "patience", "repeats")
        settings = " ".join(f"--{name} {getattr(given, name)}" for name in names)
        write_json(
            given.json,
            {
                "title": "Evaluation of showers beside the official script of the CaloChallenge",
                "command": f"python benchmarks/calo_evaluation.py --official homepage/code {settings}",
                "machine": f"{platform.machine()}, torch {torch.__version__}, one thread",
                "notes": [
                    "CPU time of one thread from opening the files to the AUC, imports not counted; the best "
                    "of the repeats. AUC: mean and standard deviation of the repeats.",
                    "Synthetic showers in the layout of data set 1 (photons), two radial profiles; one "
                    f"recipe for both: hidden layers of {given.hidden}, {given.epochs} epochs.",
                    f"lhcflow stops after {given.patience} epochs without a better one (0: never), as calo "
                    "evaluate does; the official script has no such rule. It works in float64, lhcflow in "
                    "float32, and in bfloat16 in the training's products on CPUs that have it (this one "
                    f"{'has' if has_bfloat16() else 'has not'}).",
                    "FPD, KPD and PRDC are not in the comparison.",
                ],
                "tables": [
                    {
                        "title": "Features and classifier test",
                        "columns": [
                            "input",
                            "AUC, lhcflow",
                            "AUC, official",
                            "CPU s, lhcflow",
                            "CPU s, official",
                            "official / lhcflow",
                        ],
                        "rows": rows,
                    }
                ],
            },
        )


if __name__ == "__main__":
    main()
