"""Speed of coupling flows on one CPU thread: lhcflow beside nflows, normflows, zuko, madnis and madspace.

    python benchmarks/flow_speed.py [--rounds 5] [--json docs/results/flow_speed.json]

Equal architecture: the same masks, hidden layers and bins. Each round runs every library once on every job,
so that a change of the machine's load meets all of them; a ratio is taken within a round. Times are CPU
seconds of the process, which do not count what other processes do.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import math
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import madnis.nn
import madspace
import nflows.distributions.normal
import nflows.flows
import nflows.transforms
import normflows
import numpy as np
import torch
import zuko
from torch import Tensor, nn

from lhcflow import __version__
from lhcflow.files import write_json
from lhcflow.flows import CouplingSpline, Flow, Uniform, coupling_spline
from lhcflow.flows.masks import binary_masks, make_masks

warnings.simplefilter("ignore")
DIM, LAYERS, HIDDEN, BINS, BATCH = 10, 8, (64, 64, 64), 16, 10_000
MASKS = make_masks("alternating", DIM, LAYERS)
Job = Callable[[], object]


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    widths = [inputs, *HIDDEN, outputs]
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class WithoutContext(nn.Module):
    """nflows calls its networks with a context argument."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.network = mlp(inputs, outputs)

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        return self.network(x)


def jobs(flow: nn.Module, log_prob: Callable, sample: Callable, x: Tensor) -> dict[str, Job]:
    """The three jobs of a flow: log_prob without gradient, sampling with density, one training step."""
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-5)

    def density() -> None:
        with torch.no_grad():
            log_prob(x)

    def sampling() -> None:
        with torch.no_grad():
            sample(len(x))

    def step() -> None:
        optimiser.zero_grad()
        (-log_prob(x).mean()).backward()
        optimiser.step()

    return {"log_prob": density, "sample": sampling, "training step": step}


def lhcflow_jobs(domain: str) -> dict[str, Job]:
    flow = coupling_spline(DIM, layers=LAYERS, hidden=HIDDEN, bins=BINS, domain=domain, masks="alternating")
    x = torch.rand(BATCH, DIM) if domain == "unit" else torch.randn(BATCH, DIM)
    return jobs(flow, flow.log_prob, flow.sample_and_log_prob, x)


def nflows_jobs() -> dict[str, Job]:
    transforms = [
        nflows.transforms.PiecewiseRationalQuadraticCouplingTransform(
            torch.tensor([float(chosen) for chosen in mask]),
            WithoutContext,
            num_bins=BINS,
            tails="linear",
            tail_bound=5.0,
        )
        for mask in MASKS
    ]
    flow = nflows.flows.Flow(
        nflows.transforms.CompositeTransform(transforms), nflows.distributions.normal.StandardNormal([DIM])
    )
    return jobs(flow, flow.log_prob, flow.sample_and_log_prob, torch.randn(BATCH, DIM))


def normflows_jobs() -> dict[str, Job]:
    # One residual block has three hidden layers; the class adds splines without network on the passed half,
    # which are taken away here.
    layers = []
    for index in range(LAYERS):
        layer = normflows.flows.CoupledRationalQuadraticSpline(
            DIM, 1, HIDDEN[0], num_bins=BINS, tail_bound=5.0, reverse_mask=index % 2 == 1
        )
        layer.prqct.unconditional_transform = None
        layers.append(layer)
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(DIM, trainable=False), layers)
    return jobs(flow, flow.log_prob, flow.sample, torch.randn(BATCH, DIM))


def zuko_jobs() -> dict[str, Job]:
    transforms = [
        zuko.flows.GeneralCouplingTransform(
            DIM,
            mask=torch.tensor([not chosen for chosen in mask]),
            univariate=zuko.transforms.MonotonicRQSTransform,
            shapes=[(BINS,), (BINS,), (BINS - 1,)],
            hidden_features=HIDDEN,
        )
        for mask in MASKS
    ]
    base = zuko.flows.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(DIM), torch.ones(DIM), buffer=True
    )
    flow = zuko.flows.Flow(transforms, base)
    return jobs(
        flow,
        lambda x: flow().log_prob(x),
        lambda n: flow().rsample_and_log_prob((n,)),
        torch.randn(BATCH, DIM),
    )


def madnis_jobs() -> dict[str, Job]:
    # Its `layers` counts linear layers, one more than hidden ones.
    conditions = torch.tensor([[not chosen for chosen in mask] for mask in MASKS])
    flow = madnis.nn.Flow(DIM, condition_masks=conditions, layers=len(HIDDEN) + 1, units=HIDDEN[0], bins=BINS)
    return jobs(flow, flow.log_prob, lambda n: flow.sample(n, return_log_prob=True), torch.rand(BATCH, DIM))


def madspace_jobs(dim: int) -> dict[str, Job]:
    """madspace's default flow, madnis' and ours of that architecture: sampling with density, float64."""
    context = madspace.Context(1)
    theirs = madspace.Flow(dim, prefix="flow")
    theirs.initialize_globals(context, 1)
    runtime = madspace.FunctionRuntime(theirs.forward_function(), context)
    generator = np.random.default_rng(0)

    # Three linear layers of 32 units, leaky ReLU, 10 bins, masks by binary counting.
    masks = binary_masks(dim)
    ours = Flow(
        [CouplingSpline(dim, mask, hidden=(32, 32), bins=10, activation="leaky_relu") for mask in masks],
        Uniform(dim),
    ).double()
    weights = sum(math.prod(context.get_global(name).torch().shape) for name in context.global_names())
    if weights != sum(p.numel() for p in ours.parameters()):
        raise RuntimeError("the two flows are not of equal architecture")
    other = madnis.nn.Flow(dim).double()

    def ours_job() -> None:
        with torch.no_grad():
            ours.sample_and_log_prob(BATCH)

    def madnis_job() -> None:
        with torch.no_grad():
            other.sample(BATCH, return_log_prob=True, dtype=torch.float64)

    return {
        "lhcflow": ours_job,
        "madspace": lambda: runtime.call([generator.random((BATCH, dim))]),
        "madnis": madnis_job,
    }


def measure(table: dict[str, Job], rounds: int, repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each job, the best of ``repeats`` in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in table}
    for job in table.values():
        job()
    for _ in range(rounds):
        for name, job in table.items():
            best = math.inf
            for _ in range(repeats):
                start = time.process_time()
                job()
                best = min(best, time.process_time() - start)
            seconds[name].append(best)
    return seconds


def ratio(seconds: list[float], ours: list[float]) -> tuple[float, float, float]:
    """Median, smallest and largest ratio over the rounds."""
    ratios = np.array(seconds) / np.array(ours)
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    libraries = {
        "lhcflow (linear tails)": lhcflow_jobs("real"),
        "lhcflow (unit cube)": lhcflow_jobs("unit"),
        "nflows": nflows_jobs(),
        "normflows": normflows_jobs(),
        "zuko": zuko_jobs(),
        "madnis": madnis_jobs(),
    }
    rows: list[list[object]] = []
    for job in ("log_prob", "sample", "training step"):
        seconds = measure({name: table[job] for name, table in libraries.items()}, options.rounds, 2)
        for name, values in seconds.items():
            ours = seconds["lhcflow (unit cube)" if name == "madnis" else "lhcflow (linear tails)"]
            middle, low, high = ratio(values, ours)
            rows.append([job, name, 1e3 * float(np.median(values)), middle, low, high])
            print(f"{job:14s} {name:24s} {rows[-1][2]:8.1f} ms   x {middle:.2f} ({low:.2f} to {high:.2f})")
    float64_rows: list[list[object]] = []
    for dim in (2, 4, 8):
        seconds = measure(madspace_jobs(dim), options.rounds, 5)
        for name, values in seconds.items():
            rate = BATCH / float(np.median(values)) / 1e3
            middle, low, high = ratio(values, seconds["lhcflow"])
            float64_rows.append([dim, name, rate, middle, low, high])
            print(f"d = {dim}  {name:10s} {rate:8.0f} k points/s   x {middle:.2f} ({low:.2f} to {high:.2f})")
    if options.json:
        setting = f"dim {DIM}, {LAYERS} layers, hidden {HIDDEN}, {BINS} bins, batch {BATCH:,}"
        columns = ["time / lhcflow's", "smallest", "largest"]
        result = {
            "title": "Speed of coupling flows on one CPU thread",
            "command": "python benchmarks/flow_speed.py --json docs/results/flow_speed.json",
            "machine": f"one core, lhcflow {__version__}, torch {torch.__version__}",
            "tables": [
                {
                    "title": f"float32, {setting}",
                    "columns": ["job", "library", "CPU ms", *columns],
                    "rows": rows,
                },
                {
                    "title": "float64, sampling with density, madspace's default flow",
                    "columns": ["dim", "library", "1000 points/s", *columns],
                    "rows": float64_rows,
                },
            ],
            "notes": [
                f"Median, smallest and largest of {options.rounds} rounds; CPU time of the process.",
                "madnis is compared with lhcflow on the unit cube, the others with linear tails.",
            ],
        }
        write_json(options.json, result)


if __name__ == "__main__":
    main()
