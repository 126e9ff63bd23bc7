"""Whole showers, sampling of a masked autoregressive flow, and splines on CUDA.

    python benchmarks/gpu.py [--rounds 5] [--json docs/results/gpu.json]

Showers: all of `ShowerModel.sample` (flow I and II, postprocessing, 504 voxels in MeV in host memory) for
CaloFlow's teacher and student and HitFlow in CaloGAN's calorimeter with weights that say nothing (times do
not depend on them), wall time. Sampling: one block of CaloFlow's teacher (2110.11377; 368 dimensions, two
hidden layers of 378 units, splines of 8 bins, one context feature, as in `maf_sampling.py`) by one pass of
the network per dimension, by the incremental twin with the spline's twin, the same with the Triton kernel,
and as a CUDA graph. Splines: the Triton kernel and the twin on 2^20 elements.

Other times are those of the device's clock (CUDA events), after a warm-up; every round runs everything once
in turn, and ratios are taken within a round. Without a CUDA device the script says so and writes nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lhcflow.calorimeter.models import CaloFlow, HitFlow, ShowerModel, new_student
from lhcflow.files import write_json
from lhcflow.flows import AutoregressiveSpline
from lhcflow.flows.autoregressive import SplineElement
from lhcflow.flows.incremental import Plan, solve_naive
from lhcflow.flows.spline import rational_quadratic
from lhcflow.flows.spline_formulas import MIN_BIN, MIN_DERIVATIVE, parameter_count, reference

ELEMENTS, DIM, HIDDEN, BINS, BOUND = 1 << 20, 368, 378, 8, 14.0
SHAPES = ((3, 96), (12, 12), (12, 6))
Work = Callable[[], Any]


def milliseconds(work: Work, repeat: int) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeat):
        work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / repeat


def race(jobs: dict[str, Work], rounds: int, repeat: int) -> list[list[object]]:
    """Rows of name, milliseconds, and median, smallest and largest ratio to the last job."""
    for work in jobs.values():
        for _ in range(3):
            work()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, work in jobs.items():
            times[name].append(milliseconds(work, repeat))
    last = list(times.values())[-1]
    rows: list[list[object]] = []
    for name, values in times.items():
        ratios = [a / b for a, b in zip(values, last, strict=True)]
        rows.append([name, median(values), median(ratios), min(ratios), max(ratios)])
    return rows


def deviation(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))


def splines(dtype: torch.dtype, inverse: bool, rounds: int) -> tuple[list[list[object]], list[object]]:
    """Rows of the race, and the deviations."""
    x = torch.rand(ELEMENTS, device="cuda", dtype=dtype, requires_grad=True)
    shape = (ELEMENTS, parameter_count(BINS, None))
    params = torch.randn(shape, device="cuda", dtype=dtype, requires_grad=True)

    def twin() -> tuple[Tensor, Tensor]:
        return reference(x, params, inverse, BINS, 0.0, 1.0, None, MIN_BIN, MIN_DERIVATIVE)

    def fused() -> tuple[Tensor, Tensor]:
        return rational_quadratic(x, params, inverse, bins=BINS)

    def step(function: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        y, log_det = function()
        return torch.autograd.grad(y.sum() + log_det.sum(), (x, params))

    if "TritonSpline" not in type(fused()[0].grad_fn).__name__:
        raise SystemExit("Triton does not work here: there is nothing to compare")
    label = [str(dtype).removeprefix("torch."), "inverse" if inverse else "forward"]
    with torch.no_grad():
        found = race({"twin": twin, "Triton": fused}, rounds, 10)
        error = deviation(fused(), twin())
    rows: list[list[object]] = [[*label, "value", *row] for row in found]
    found = race({"twin": lambda: step(twin), "Triton": lambda: step(fused)}, rounds, 10)
    rows += [[*label, "value and gradient", *row] for row in found]
    return rows, [*label, error, deviation(step(fused), step(twin))]


class TwinElement(SplineElement):
    """The same splines without Triton."""

    def __call__(self, value: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        return reference(value, params, inverse, **self.settings)


@torch.no_grad()
def sampling(rounds: int, batches: list[int]) -> tuple[list[list[object]], list[list[object]]]:
    torch.manual_seed(0)
    layer = AutoregressiveSpline(
        DIM, hidden=(HIDDEN, HIDDEN), bins=BINS, domain="real", bound=BOUND, context=1
    ).cuda()
    layer.net.final.weight.add_(0.05 * torch.randn_like(layer.net.final.weight))
    element = TwinElement(**layer.element.settings)  # type: ignore[attr-defined]
    plans = {"twin": Plan(layer.net, element), "Triton": Plan(layer.net, layer.element)}
    rows: list[list[object]] = []
    checks: list[list[object]] = []
    for n in batches:
        z, c = torch.randn(n, DIM, device="cuda"), torch.rand(n, 1, device="cuda")
        terms = plans["twin"].context_terms(c)
        jobs: dict[str, Work] = {
            "one pass per dimension": lambda z=z, c=c: solve_naive(layer.net, element, z, c, True),
            "incremental, twin": lambda z=z, t=terms: plans["twin"].solve_torch(z, t, True),
            "incremental, Triton": lambda z=z, t=terms: plans["Triton"].solve_torch(z, t, True),
            "one forward pass": lambda z=z, c=c: layer(z, c),
            "incremental, CUDA graph": lambda z=z, c=c: layer.inverse(z, c),
        }
        rows += [[n, *row] for row in race(jobs, rounds, 1)]
        expected = jobs["one pass per dimension"]()
        found = jobs["incremental, CUDA graph"]()
        checks.append([n, float((found[0] - expected[0]).abs().max()), deviation(found[1:], expected[1:])])
    return rows, checks


def hitflow(shapes: tuple[tuple[int, int], ...]) -> HitFlow:
    """With weights that say nothing, but look at the cells near by as fitted ones do."""
    model = HitFlow.build(shapes)
    cells = model.layers.voxels
    for cell in range(cells):
        near = model.hits.cells.neighbours(cell)
        model.hits.links[:, cell, np.concatenate([near, near + cells])] = 1e-3
    model.hits.forget_plans()
    return model


def showers(rounds: int, batches: list[int]) -> list[list[object]]:
    """Rows of batch, model, and median, smallest and largest wall time in ms per shower."""
    teacher = CaloFlow.build([a * b for a, b in SHAPES])
    models: dict[str, ShowerModel] = {
        "CaloFlow teacher": teacher,
        "CaloFlow student": new_student(teacher),
        "HitFlow": hitflow(SHAPES),
    }
    rows: list[list[object]] = []
    for n in batches:
        incident = np.random.default_rng(n).uniform(1e3, 1e5, n)
        times: dict[str, list[float]] = {name: [] for name in models}
        for name, model in models.items():
            model.cuda()
            for _ in range(3):
                model.sample(incident)
            for _ in range(rounds):
                torch.cuda.synchronize()
                start = time.perf_counter()
                model.sample(incident)
                times[name].append(1e3 * (time.perf_counter() - start) / n)
            model.cpu()
            torch.cuda.empty_cache()
        rows += [[n, name, median(t), min(t), max(t)] for name, t in times.items()]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256, 4096])
    parser.add_argument("--showers", type=int, nargs="+", default=[256, 10_000])
    parser.add_argument("--json", type=Path, default=Path("docs/results/gpu.json"))
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA device; there is none, so nothing was measured or written")
        return
    torch.manual_seed(0)
    tables: list[dict[str, Any]] = []

    def add(title: str, columns: list[str], rows: list[list[object]]) -> None:
        tables.append({"title": title, "columns": columns, "rows": rows})
        print(title, *rows, sep="\n  ", flush=True)

    add(
        "Whole showers in CaloGAN's calorimeter, wall time",
        ["batch", "model", "ms / shower", "smallest", "largest"],
        showers(args.rounds, args.showers),
    )
    ratio = ["ratio (median)", "smallest", "largest"]
    rows, checks = sampling(args.rounds, args.batches)
    add(f"Sampling one block of {DIM} dimensions, single precision", ["batch", "what", "ms", *ratio], rows)
    add("Sampling: largest deviation from one pass per dimension", ["batch", "samples", "log_det"], checks)
    kinds = [(dtype, inverse) for dtype in (torch.float32, torch.float64) for inverse in (False, True)]
    found = [splines(dtype, inverse, args.rounds) for dtype, inverse in kinds]
    add(
        f"Splines of {BINS} bins on {ELEMENTS:,} elements",
        ["type", "direction", "of", "what", "ms", *ratio],
        [row for rows, _ in found for row in rows],
    )
    add(
        "Splines: largest deviation from the twin",
        ["type", "direction", "values", "gradients"],
        [check for _, check in found],
    )
    result = {
        "title": "On CUDA: showers, sampling of a masked autoregressive flow, splines",
        "command": f"python benchmarks/gpu.py --rounds {args.rounds}",
        "machine": f"{torch.cuda.get_device_name()}, torch {torch.__version__}",
        "notes": [
            "Device time but for whole showers; ratios are to the last line of each group, in a round.",
            "Gradients of these splines reach 4e4, of which the twin itself rounds off up to 1e2 in single "
            "precision, and 2e-3 of log-derivatives.",
        ],
        "tables": tables,
    }
    write_json(args.json, result)


if __name__ == "__main__":
    main()
