"""p p -> W+, W-, Z + 0 to 3 jets: unweighting efficiencies of multichannel VEGAS, i-flow and our flow.

    python benchmarks/pp_table.py [--jets 0 1 2] [--bosons W+ Z W-] [--methods vegas flow i-flow] [--json F]

14 TeV, NNPDF31_nnlo_as_0118_luxqed, scale m_T, 66 < m_ll < 116 GeV, jets with pT > 20 GeV, |eta| < 6 and
Delta R > 0.4. All on the same map of phase space (`BosonJets`, channel weights optimised beforehand):

vegas   multichannel VEGAS: a grid and a probability for each channel and group of subprocesses (one grid
        with strata where there is but one channel).
i-flow  as published (2001.05486, 2001.10028): one flow on the cube, the channel number one more dimension,
        binary masks, 16 bins, exponential divergence, fresh points in each step; as many steps of as many
        points as ours.
flow    ours: channel and subprocess as discrete variables with learned probabilities, values re-used
        through the buffer, soft permutations, VEGAS as base.

Each (boson, jets, method) is stored at once in --json, and what is there already is not run again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

from lhcflow.files import write_json
from lhcflow.flows import coupling_spline
from lhcflow.integration.divergences import divergence_named
from lhcflow.integration.unweighting import bootstrap_efficiency, overweight_efficiency
from lhcflow.processes import EventGenerator, HadronicCrossSection
from lhcflow.processes.generator import EVENTS

LEPTONS = {"W+": "e+ ve", "W-": "e- ve~", "Z": "e+ e-"}
METHODS = ("vegas", "flow", "i-flow")
PUBLISHED = {  # 2001.10028: Sherpa, i-flow
    "W+": ((0.28, 0.61), (0.038, 0.12), (7.5e-3, 1.0e-2), (1.5e-3, 1.8e-3)),
    "W-": ((0.29, 0.70), (0.040, 0.15), (7.7e-3, 1.1e-2), (2.0e-3, 2.2e-3)),
    "Z": ((0.31, 0.38), (0.036, 0.10), (1.5e-2, 1.4e-2), (4.7e-3, 2.4e-3)),
}
CALLS = {0: 100_000, 1: 200_000, 2: 300_000, 3: 600_000}
POINTS, N_OPT = 100_000, 2000
ROWS = 20_000


def run(boson: str, jets: int, method: str, calls: int) -> dict[str, object]:
    """Train, then weigh fresh points; CPU seconds."""
    process = f"p p > {LEPTONS[boson]}{' j' * jets}"
    start = time.process_time()
    if method == "i-flow":
        f, _ = HadronicCrossSection(process).optimised(np.random.SeedSequence(1))
        flow, used = train_iflow(f)
        sample = sampler_of(flow, f)
        first = np.concatenate([sample(ROWS) for _ in range(2)])
        mean, error = first.mean(), first.std() / len(first) ** 0.5
        warnings: list[str] = []
    else:
        generator = EventGenerator(process, method=method)
        result = generator.integrate(calls)
        mean, error, used = float(result.mean), float(result.sdev), result.calls
        warnings = list(result.warnings)

        def sample(n: int) -> np.ndarray:
            return generator.sample(n)[1]

    trained = time.process_time()
    weights = np.concatenate([sample(ROWS) for _ in range(POINTS // ROWS)])
    sampled = time.process_time()
    overweight = overweight_efficiency(weights, 1e-3)
    replicas = bootstrap_efficiency(weights, N_OPT, 1000, np.random.default_rng(1))
    return {
        "cross_section": mean,
        "error": error,
        "fresh_mean": weights.mean(),
        "fresh_error": weights.std() / POINTS**0.5,
        "spread": weights.std() / abs(weights.mean()),
        "overweight": float(overweight),
        "overweight_error": overweight.error,
        "overweight_1e-2": float(overweight_efficiency(weights, 1e-2)),
        "replicas": float(replicas),
        "replicas_error": replicas.error,
        "negative": float(-weights[weights < 0].sum() / np.abs(weights).sum()),
        "calls": used,
        "training_seconds": trained - start,
        "seconds_per_point": (sampled - trained) / POINTS,
        "warnings": warnings,
    }


def train_iflow(f: HadronicCrossSection) -> tuple[torch.nn.Module, int]:
    """A flow on the cube, fitted to fresh points in each step: number of steps and points as for ours."""
    steps = (150 if f.dim <= 8 else 300) * (EVENTS.stages + 4)
    batch = 512
    layers = 2 * math.ceil(math.log2(f.dim))
    flow = coupling_spline(f.dim, layers=layers, hidden=(64, 64), bins=16, domain="unit", seed=1)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(2)
    divergence = divergence_named("exponential")
    average = 0.0
    for step in range(steps):
        with torch.no_grad():
            x, log_q = flow.sample_and_log_prob(batch, generator=generator)
            value = np.abs(f(np.clip(x.double().numpy(), 0, 1)))
            mean = float((value / np.exp(log_q.double().numpy())).mean())
            average = mean if step == 0 else 0.98 * average + 0.02 * mean
            log_p = torch.as_tensor(np.log(np.maximum(value / average, 1e-30)), dtype=x.dtype)
        loss = divergence(log_p, flow.log_prob(x), log_q).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimizer.step()
    return flow, steps * batch


def sampler_of(flow: torch.nn.Module, f: HadronicCrossSection):
    """A function that draws weights."""
    generator = torch.Generator().manual_seed(3)

    def sample(n: int) -> np.ndarray:
        with torch.no_grad():
            x, log_q = flow.sample_and_log_prob(n, generator=generator)
        return f(np.clip(x.double().numpy(), 0, 1)) / np.exp(log_q.double().numpy())

    return sample


def tables(jobs: dict[str, dict]) -> list[dict[str, object]]:
    """Pulls and efficiencies; then times."""
    first, second = [], []
    for boson in LEPTONS:
        for n in range(4):
            of = {m: jobs[f"{boson}/{n}/{m}"] for m in METHODS if f"{boson}/{n}/{m}" in jobs}
            vegas = of.get("vegas")
            for m, job in of.items():
                pull = None
                if vegas is not None and m != "vegas":
                    pull = (job["cross_section"] - vegas["cross_section"]) / math.hypot(
                        job["error"], vegas["error"]
                    )
                published = PUBLISHED[boson][n][{"vegas": 0, "i-flow": 1}[m]] if m != "flow" else None
                gain = job["replicas"] / vegas["replicas"] if vegas is not None and m != "vegas" else None
                name = f"{boson} + {n} jet{'s' * (n != 1)}"
                sigma = (job["cross_section"], job["error"])
                over = (job["overweight"], job["overweight_error"], job["overweight_1e-2"])
                first.append([name, m, pull, *sigma, job["replicas"], gain, *over, job["spread"], published])
                event = job["seconds_per_point"] / job["replicas"]
                even = None
                if vegas is not None and m != "vegas":
                    saved = vegas["seconds_per_point"] / vegas["replicas"] - event
                    later = job["training_seconds"] - vegas["training_seconds"]
                    even = later / saved if saved > 0 else None
                times = (1e6 * job["seconds_per_point"], 1e6 * event, even)
                second.append([name, m, job["calls"], job["training_seconds"], *times])
    return [
        {
            "title": "Efficiencies",
            "columns": [
                "process", "method", "pull", "cross section / pb", "error / pb", "efficiency", "times vegas",
                "overweight 0.1 %", "its error", "overweight 1 %", "sd / mean", "published"
            ],
            "rows": first,
        },
        {
            "title": "CPU time",
            "columns": [
                "process", "method", "calls", "training / s", "us per point", "us per unweighted event",
                "events to break even"
            ],
            "rows": second,
        },
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jets", type=int, nargs="+", default=[0, 1, 2], choices=range(4))
    parser.add_argument("--bosons", nargs="+", default=["W+", "Z", "W-"], choices=LEPTONS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--json", type=Path, default=Path("docs/results/pp_table.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    jobs: dict[str, dict] = json.loads(args.json.read_text())["jobs"] if args.json.exists() else {}
    for n in args.jets:
        for boson in args.bosons:
            for method in args.methods:
                key = f"{boson}/{n}/{method}"
                if key in jobs:
                    continue
                jobs[key] = run(boson, n, method, CALLS[n])
                keys = ("cross_section", "error", "replicas", "overweight", "training_seconds")
                print(key, {k: round(float(jobs[key][k]), 5) for k in keys}, flush=True)
                write(args.json, jobs)
    write(args.json, jobs)


def write(path: Path, jobs: dict[str, dict]) -> None:
    """The results so far."""
    write_json(
        path,
        {
            "title": "p p -> W, Z + jets: unweighting efficiencies",
            "command": "python benchmarks/pp_table.py",
            "machine": "one thread of two shared cores",
            "tables": tables(jobs),
            "notes": [
                "14 TeV, NNPDF31_nnlo_as_0118_luxqed, scale m_T, 66 < m_ll < 116 GeV, jets with pT > 20 GeV, "
                "|eta| < 6 and Delta R > 0.4; one seed, one thread.",
                "efficiency: mean over maximum weight, the median of the maxima of 1,000 replicas of "
                f"n_opt = {N_OPT:,} weights out of {POINTS:,} (2001.10028); overweight: accepted share of "
                "the points if weights above the maximum carry so much of the cross section.",
                "pull: difference to vegas over the combined error.",
                "published: 2001.10028, Sherpa (beside vegas) and i-flow, with cuts of their own: compare "
                "gains, not efficiencies.",
                "vegas with no or one jet is VEGAS+ on one channel, with strata.",
            ],
            "jobs": jobs,
        },
    )


if __name__ == "__main__":
    main()
