"""Sampling whole showers of the CaloGAN geometry: teacher, student, nflows of the same architecture; HitFlow.

    python benchmarks/calo_sampling.py [--rounds 3] [--json docs/results/calo_sampling.json]

One CPU thread, CPU time. lhcflow's times are those of flow I, flow II and the postprocessing to MeV per voxel
(504 voxels; 2106.05285: flow II of 8 blocks, two hidden layers of 378, splines of 8 bins); nflows' are those
of its flow II alone: the inverse of the masked flow (teacher) and one forward pass (what a student costs).
Weights say nothing: times do not depend on them. At batches above 1 nflows' teacher runs one of its 8
equal blocks, counted 8 times. Geant4 simulates --geant4 showers of e+ between 1 and 100 GeV in the same run.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from gpu import SHAPES, hitflow
from nflows.distributions import StandardNormal
from nflows.flows import Flow as NflowsFlow
from nflows.transforms import (
    CompositeTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    RandomPermutation,
    ReversePermutation,
)

from lhcflow.calorimeter.export import OUTPUT, export_onnx
from lhcflow.calorimeter.export.onnx_file import example, feeds, session
from lhcflow.calorimeter.geant4 import simulate
from lhcflow.calorimeter.models import CaloFlow, ShowerModel, new_student
from lhcflow.files import write_json

LAYERS, HIDDEN, BLOCKS, BINS, BOUND = tuple(a * b for a, b in SHAPES), 378, 8, 8, 14.0
DIM = sum(LAYERS)
EXPORTED = ("lhcflow student", "lhcflow HitFlow")


def nflows_flow() -> NflowsFlow:
    parts: list[torch.nn.Module] = []
    for index in range(BLOCKS):
        if index:
            parts.append(ReversePermutation(DIM) if index % 2 else RandomPermutation(DIM))
        parts.append(
            MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                features=DIM,
                hidden_features=HIDDEN,
                context_features=1 + len(LAYERS),
                num_bins=BINS,
                tails="linear",
                tail_bound=BOUND,
                num_blocks=1,
                use_residual_blocks=False,
            )
        )
    return NflowsFlow(CompositeTransform(parts), StandardNormal([DIM])).eval()


def seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    """Best CPU time of some runs: other load on the machine disturbs it least."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def geant4(showers: int) -> float:
    """Milliseconds of Geant4 per shower."""
    with tempfile.TemporaryDirectory() as folder:
        done = simulate("e+", showers, f"{folder}/e.h5", physics="data-free", workers=1)
    print(done, flush=True)
    return 1e3 * done.cpu_seconds / showers


def onnx_sampler(model: ShowerModel, n: int) -> Callable[[], Any]:
    """The exported model in ONNX Runtime on one thread, with noise that is drawn beforehand."""
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model, f"{folder}/model.onnx")
        runtime = session(f"{folder}/model.onnx")
    inputs = feeds("lhcflow", *(t.numpy() for t in example(model, n)))
    return lambda: runtime.run([OUTPUT], inputs)


def measure(n: int, rounds: int, models: dict[str, ShowerModel], peer: NflowsFlow) -> dict[str, list[float]]:
    """Milliseconds per shower at batch ``n``, everything once per round in turn."""
    incident = np.random.default_rng(n).uniform(1e3, 1e5, n)
    z, context = torch.randn(n, DIM), torch.randn(n, 1 + len(LAYERS))
    times: dict[str, list[float]] = {}
    repeat = 20 if n == 1 else 3
    for model in models.values():
        model.sample(incident)  # packs the weights
    exported = {name: onnx_sampler(models[name], n) for name in EXPORTED}
    for _ in range(rounds):
        for name, model in models.items():
            work = lambda model=model: model.sample(incident)  # noqa: E731
            times.setdefault(name, []).append(seconds(work, repeat))
        for name, work in exported.items():
            times.setdefault(f"{name}, ONNX Runtime", []).append(seconds(work, repeat))
        forward = seconds(lambda: peer._transform(z, context), repeat)
        times.setdefault("nflows student", []).append(forward)
        if n == 1:
            slow = seconds(lambda: peer._transform.inverse(z, context))
        else:
            slow = BLOCKS * seconds(lambda: peer._transform._transforms[0].inverse(z, context))
        times.setdefault("nflows teacher", []).append(slow)
        print(n, {name: 1e3 * values[-1] / n for name, values in times.items()}, flush=True)
    return {name: [1e3 * t / n for t in values] for name, values in times.items()}


def report(results: dict[int, dict[str, list[float]]], slow: float, command: str) -> dict[str, Any]:
    rows = []
    for n, times in results.items():
        for name, values in times.items():
            ratios = [a / b for a, b in zip(times["lhcflow teacher"], values, strict=True)]
            rows.append([n, name, min(values), 1 / median(ratios), slow / min(values)])
    return {
        "title": "Sampling showers (CaloGAN geometry, 504 voxels)",
        "command": command,
        "machine": f"{platform.machine()}, torch {torch.__version__}, one thread",
        "notes": [
            "CPU time of one thread: the best of all rounds, ratios within a round (median).",
            "lhcflow: flow I, flow II and postprocessing; nflows: flow II alone.",
            "nflows' teacher at batches above 1: one of its 8 equal blocks, counted 8 times.",
            f"Geant4: {slow:.0f} ms of CPU time per e+ shower of 1 to 100 GeV (data-free physics).",
        ],
        "tables": [
            {
                "title": "CPU time per shower",
                "columns": ["batch", "what", "ms / shower", "times lhcflow's teacher", "Geant4 / this"],
                "rows": rows,
            }
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256])
    parser.add_argument("--geant4", type=int, default=200, help="showers of Geant4")
    parser.add_argument("--json", type=Path, default=Path("docs/results/calo_sampling.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher = CaloFlow.build(LAYERS, blocks=BLOCKS, hidden=(HIDDEN, HIDDEN), bins=BINS)
    models: dict[str, ShowerModel] = {
        "lhcflow teacher": teacher,
        "lhcflow student": new_student(teacher),
        "lhcflow HitFlow": hitflow(SHAPES),
    }
    with torch.no_grad():
        peer = nflows_flow()
        results = {n: measure(n, args.rounds, models, peer) for n in args.batches}
    command = f"python benchmarks/calo_sampling.py --rounds {args.rounds}"
    write_json(args.json, report(results, geant4(args.geant4), command))


if __name__ == "__main__":
    main()
