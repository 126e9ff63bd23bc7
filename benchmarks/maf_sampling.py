"""Sampling a masked autoregressive flow of CaloFlow's size: nflows, zuko and lhcflow, one thread.

    python benchmarks/maf_sampling.py [--rounds 3] [--full] [--json docs/results/maf_sampling.json]

The teacher of CaloFlow (2110.11377) for the CaloChallenge's data set 1: 368 dimensions, 8 blocks of two
hidden layers of 378 units, splines of 8 bins with linear tails at 14, one context feature, permutations
between the blocks. The nflows flow is converted by `from_nflows`, so that both have the same weights
(nflows' initial ones) and must give the same samples. zuko's flow has its own weights.

Times are CPU times of the one thread. All blocks cost the same, and so do all passes of a plain loop: at
batch 256 nflows runs one block, counted eight times (with --full all of them, once), and zuko always runs
8 of its 368 passes of one block.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from nflows.distributions import StandardNormal
from nflows.flows import Flow as NflowsFlow
from nflows.transforms import (
    CompositeTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    RandomPermutation,
    ReversePermutation,
)

from lhcflow.files import write_json
from lhcflow.flows import Flow, from_nflows

DIM, HIDDEN, BLOCKS, BINS, BOUND = 368, 378, 8, 8, 14.0
ZUKO_PASSES = 8


def nflows_flow() -> NflowsFlow:
    parts: list[torch.nn.Module] = []
    for index in range(BLOCKS):
        parts.append(
            MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                features=DIM,
                hidden_features=HIDDEN,
                context_features=1,
                num_bins=BINS,
                tails="linear",
                tail_bound=BOUND,
                num_blocks=1,
                use_residual_blocks=False,
            )
        )
        parts.append(RandomPermutation(DIM) if index % 2 else ReversePermutation(DIM))
    return NflowsFlow(CompositeTransform(parts), StandardNormal([DIM])).eval()


def zuko_block() -> tuple[Any, str] | None:
    """One transform of zuko's spline flow, conditioned, and zuko's version."""
    try:
        import zuko
    except ImportError:
        return None
    flow = zuko.flows.NSF(DIM, 1, transforms=1, bins=BINS, hidden_features=(HIDDEN, HIDDEN))
    (transform,) = flow.transform.transforms
    assert transform.passes == DIM
    transform.passes = ZUKO_PASSES
    return transform, zuko.__version__


def seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    """Best CPU time of some runs: other load on the machine disturbs it least."""
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def spread(values: list[float]) -> list[float]:
    return [median(values), min(values), max(values)]


def rounds(flow: NflowsFlow, ours: Flow, zuko: Any, n: int, count: int, full: bool) -> dict[str, Any]:
    """Times in seconds of `n` samples (all blocks) per round, everything once per round in turn."""
    generator = torch.Generator().manual_seed(n)
    z = torch.randn(n, DIM, generator=generator)
    c = torch.rand(n, 1, generator=generator)
    first = flow._transform._transforms[0]
    times: dict[str, list[float]] = {
        name: [] for name in ("nflows", "zuko", "lhcflow", "forward", "nflows forward")
    }
    ours.inverse(z, c)
    repeat = 20 if n == 1 else 5
    result: dict[str, Any] = {"n": n, "times": times}
    for _ in range(count):
        times["lhcflow"].append(seconds(lambda: ours.inverse(z, c), repeat))
        times["forward"].append(seconds(lambda: ours.forward(z, c), repeat))
        times["nflows forward"].append(seconds(lambda: flow._transform(z, c), repeat))
        inverse = flow._transform.inverse if n == 1 else first.inverse
        start = time.thread_time()
        expected = inverse(z, c)
        times["nflows"].append((time.thread_time() - start) * (1 if n == 1 else BLOCKS))
        if zuko is not None:
            share = BLOCKS * DIM / ZUKO_PASSES
            times["zuko"].append(share * seconds(lambda: zuko(c).inv.call_and_ladj(z)))
        times["lhcflow"][-1] = min(times["lhcflow"][-1], seconds(lambda: ours.inverse(z, c), repeat))
        print(n, {name: values[-1] for name, values in times.items() if values}, flush=True)
    part = ours if n == 1 else ours.bijections[0]
    result["compared"] = "all 8 blocks" if n == 1 else "one block"
    if n > 1 and full:
        start = time.thread_time()
        expected = flow._transform.inverse(z, c)
        result["nflows full"] = time.thread_time() - start
        part, result["compared"] = ours, "all 8 blocks"
    x, log_det = part.inverse(z, c)
    result["deviation"] = float((x - expected[0]).abs().max())
    result["log_det deviation"] = float((log_det - expected[1]).abs().max())
    # The same map in double precision tells whose rounding that is.
    ours.double()
    exact = part.inverse(z.double(), c.double())[0]
    result["rounding"] = {
        "lhcflow": float((x - exact).abs().max()),
        "nflows": float((expected[0] - exact).abs().max()),
    }
    ours.float()
    return result


def report(results: list[dict[str, Any]], version: str | None, command: str) -> dict[str, Any]:
    rows, checks = [], []
    for r in results:
        times = r["times"]
        for name in ("nflows", "zuko", "nflows forward", "forward", "lhcflow"):
            if not times[name]:
                continue
            ratios = [a / b for a, b in zip(times[name], times["lhcflow"], strict=False)]
            label = {
                "nflows": "nflows, inverse",
                "zuko": f"zuko {version}, inverse",
                "nflows forward": "nflows, one forward pass",
                "forward": "lhcflow, one forward pass",
                "lhcflow": "lhcflow, inverse (incremental)",
            }[name]
            rows.append([r["n"], label, 1e3 * median(times[name]) / r["n"], *spread(ratios)])
        checks.append(
            [r["n"], r["compared"], r["deviation"], r["log_det deviation"], r["rounding"]["lhcflow"],
             r["rounding"]["nflows"]]
        )  # fmt: skip
    notes = [
        "CPU time of one thread, single precision; ratios are within a round.",
        f"nflows at batch 256: one of the 8 equal blocks, counted 8 times; zuko: {ZUKO_PASSES} of the"
        f" {DIM} equal passes of one block.",
    ]
    for r in results:
        if r["n"] > 1 and "nflows full" in r:
            ratio = r["nflows full"] / median(r["times"]["lhcflow"])
            notes.append(
                f"nflows, all 8 blocks at batch {r['n']}, once: {r['nflows full']:.0f} s, ratio {ratio:.0f}."
            )
    return {
        "title": "Sampling a masked autoregressive flow (368 dimensions, 8 blocks)",
        "command": command,
        "machine": f"{platform.machine()}, torch {torch.__version__}, one thread",
        "tables": [
            {
                "title": "Time per sample, and how many times that of lhcflow's inverse",
                "columns": ["batch", "what", "ms / sample", "ratio (median)", "smallest", "largest"],
                "rows": rows,
            },
            {
                "title": "Largest deviation from nflows' inverse, and of both from double precision",
                "columns": ["batch", "compared", "samples", "log_det", "lhcflow rounding", "nflows rounding"],
                "rows": checks,
            },
        ],
        "notes": notes,
        "raw": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256])
    parser.add_argument("--full", action="store_true", help="run all blocks of nflows at large batches, once")
    parser.add_argument("--json", type=Path, default=Path("docs/results/maf_sampling.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        flow = nflows_flow()
        ours = from_nflows(flow)
        assert isinstance(ours, Flow)
        block = zuko_block()
        zuko, version = block if block else (None, None)
        results = [rounds(flow, ours, zuko, n, args.rounds, args.full) for n in args.batches]
    if args.json.is_file():  # batches that were not asked for stay
        kept = json.loads(args.json.read_text())["raw"]
        results = sorted([*results, *(r for r in kept if r["n"] not in args.batches)], key=lambda r: r["n"])
    command = f"python benchmarks/maf_sampling.py --rounds {args.rounds}" + (" --full" if args.full else "")
    document = report(results, version, command)
    write_json(args.json, document)
    for row in document["tables"]:
        print(row["title"], *row["rows"], sep="\n  ")


if __name__ == "__main__":
    main()
