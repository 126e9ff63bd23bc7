"""Squared amplitudes of W or Z with jets per second on one core: native, numpy, pyamplicol, through madspace.

    python benchmarks/amplitudes.py [--pyamplicol PYTHON] [--json docs/results/amplitudes.json]

Sums over all helicities and colours, at points of RAMBO. Times are CPU seconds, best of the rounds, in which
the codes take turns. pyamplicol (full colour, recurrence mode, its defaults; batches of 128 and 1024, the
faster one; without the conversion of its arguments) runs in the environment of --pyamplicol, as its licence
allows one process at a time, on libraries that are made in --artifacts where they are missing (minutes each).
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import json
import math
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lhcflow import __version__, _native
from lhcflow.files import write_json
from lhcflow.processes import Process, Rambo, export_umami

PROCESSES = {
    "w0": "u d~ > e+ ve",
    "w1": "u d~ > e+ ve g",
    "w2": "u d~ > e+ ve g g",
    "w3": "u d~ > e+ ve g g g",
    "w2q": "u d~ > e+ ve d d~",
    "w3q": "u d~ > e+ ve d d~ g",
    "z1": "u u~ > e+ e- g",
    "z2": "u u~ > e+ e- g g",
    "z3": "u u~ > e+ e- g g g",
    "z2q": "u u~ > e+ e- u u~",
    "z3q": "u u~ > e+ e- d d~ g",
}
POINTS = 8192

# Reads names of numpy files, answers with seconds for all their points; the values once per artifact.
WORKER = """
import json, sys, time
import numpy as np
from pyamplicol import Runtime
runtime = Runtime.load(sys.argv[1])
points = np.load(sys.argv[2]).tolist()
print(json.dumps([complex(x).real for x in runtime.evaluate(points[:64])]), flush=True)
timer = runtime._backend._benchmark_f64_wall_time
def seconds(batch, repetitions):  # the first repetition goes with the conversion of the points
    start = time.process_time()
    timer(points[:batch], 1)
    once = time.process_time()
    timer(points[:batch], 1 + repetitions)
    return (time.process_time() - once - (once - start)) / repetitions / batch
for line in sys.stdin:
    rough = max(seconds(128, 20), 1e-9)
    print(min(seconds(batch, max(5, int(0.1 / rough / batch))) for batch in (128, 1024)), flush=True)
"""


def momenta(n_final: int, n: int, energy: float = 500.0, seed: int = 1) -> np.ndarray:
    """Random points (n, 2 + n_final, 4)."""
    phase_space = Rambo(n_final)
    p = np.zeros((n, 2 + n_final, 4))
    p[:, :2, 0] = energy / 2
    p[:, 0, 3], p[:, 1, 3] = energy / 2, -energy / 2
    u = np.random.default_rng(seed).random((n, phase_space.dim))
    p[:, 2:] = phase_space.generate(u, np.full(n, energy))
    return p


class Peer:
    """pyamplicol in another environment, on one process."""

    def __init__(self, python: Path, artifacts: Path, name: str, points: np.ndarray, folder: str) -> None:
        artifact = artifacts / name
        if not artifact.is_dir():
            command = [str(python.with_name("pyamplicol")), "generate", PROCESSES[name], str(artifact)]
            command += ["--name", name, "--color-accuracy", "full", "--progress", "off", "--workers", "1"]
            subprocess.run(command, check=True, capture_output=True)
        file = Path(folder) / "points.npy"
        np.save(file, points)
        arguments = [str(python), "-c", WORKER, str(artifact), str(file)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.values = np.array(json.loads(self._line()))

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def seconds(self) -> float:
        """CPU seconds per point."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        self.process.communicate()


def cpu(f, *arguments: object) -> float:
    """CPU seconds of a call, from as many as a tenth of a second has."""
    calls, start = 0, time.process_time()
    while calls == 0 or time.process_time() < start + 0.1:
        f(*arguments)
        calls += 1
    return (time.process_time() - start) / calls


def measure(name: str, rounds: int, python: Path | None, artifacts: Path, context) -> list[object]:
    """One row of the table."""
    process = Process(PROCESSES[name])
    points = momenta(process.n_final, POINTS)
    (element,) = process.elements
    random = np.random.default_rng(2).random((POINTS, len(element.structure.gluons)))
    best = dict.fromkeys(("native", "sampled", "numpy", "madspace", "peer"), math.inf)
    with tempfile.TemporaryDirectory() as folder:
        library = None if context is None else through_madspace(process, Path(folder), name, context)
        peer = None if python is None else Peer(python, artifacts, name, points, folder)
        for _ in range(rounds):
            best["native"] = min(best["native"], cpu(element.squared, points, 0.118) / POINTS)
            best["sampled"] = min(best["sampled"], cpu(element.squared, points, 0.118, random) / POINTS)
            best["numpy"] = min(best["numpy"], cpu(element._numpy, points[:512]) / 512)
            if library is not None:
                best["madspace"] = min(
                    best["madspace"], cpu(library, points, np.full(POINTS, 0.118)) / POINTS
                )
            if peer is not None:
                best["peer"] = min(best["peer"], peer.seconds())
        spread = np.std(element.squared(points, 0.118, random) / element.squared(points, 0.118))
        agreement = None
        if peer is not None:
            ratio = peer.values / process.squared_amplitude(points[:64], 0.118)
            agreement = float(np.median(np.abs(ratio - 1)))
            peer.close()
    rates = {key: 1 / value if math.isfinite(value) else None for key, value in best.items()}
    gain = None if rates["peer"] is None else rates["native"] / rates["peer"]
    print(
        f"{PROCESSES[name]:22s}", {k: v and f"{v:.3g}" for k, v in rates.items()}, gain, agreement, flush=True
    )
    row = [rates["native"], rates["peer"], gain, agreement]
    return [PROCESSES[name], *row, rates["numpy"], rates["madspace"], rates["sampled"], float(spread)]


def through_madspace(process: Process, folder: Path, name: str, context):
    """The exported library as a function of madspace."""
    import madspace

    export_umami(process, folder / f"{name}.so")
    kinds = madspace.MatrixElement
    element = kinds(
        context.load_matrix_element(str(folder / f"{name}.so"), ""),
        [kinds.MatrixElementInput.momenta_in, kinds.MatrixElementInput.alpha_s_in],
        [kinds.MatrixElementOutput.matrix_element_out],
    )
    return madspace.FunctionRuntime(element.function(), context)


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pyamplicol", type=Path, help="a Python that has pyamplicol")
    parser.add_argument("--artifacts", type=Path, default=Path("build/pyamplicol"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=PROCESSES, default=list(PROCESSES))
    parser.add_argument("--json", type=Path, default=Path("docs/results/amplitudes.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        import madspace

        context = madspace.Context(1)
    except ImportError:
        context = None
    rows = [
        measure(name, arguments.rounds, arguments.pyamplicol, arguments.artifacts, context)
        for name in arguments.only
    ]
    isa = "none" if _native.core is None else _native.core.instruction_set()
    result = {
        "title": "Amplitudes of W and Z with jets",
        "command": "python benchmarks/amplitudes.py --pyamplicol PYTHON",
        "machine": "one thread of two shared cores",
        "notes": [
            f"lhcflow {__version__}, instruction set {isa}; events per CPU second, best of "
            f"{arguments.rounds} rounds. All helicities and colours, in float64.",
            "pyamplicol 1.0.1 with its defaults (recurrence mode), full colour; difference: median over 64 "
            "points of its relative difference to lhcflow.",
            "in madspace: our amplitude, exported as a UMAMI library, called by madspace 0.2.1.",
            "sampled: one random linear polarisation for each gluon; spread: of these values over the sums, "
            "which adds to the variance of an integral.",
        ],
        "tables": [
            {
                "columns": [
                    "process",
                    "lhcflow, 1/s",
                    "pyamplicol, 1/s",
                    "ratio",
                    "difference",
                    "numpy twin, 1/s",
                    "in madspace, 1/s",
                    "sampled, 1/s",
                    "spread",
                ],
                "rows": rows,
            }
        ],
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
