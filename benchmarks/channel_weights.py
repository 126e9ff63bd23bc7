"""What channel weights that depend on the point could gain at most: p p -> W+ + 2 jets.

    python benchmarks/channel_weights.py [--calls 500000] [--seeds 0] [--device cpu] [--json F]

A point of channel c has the weight f / (p_c q_c) alpha_c, with the channel's learned probability p_c and
density q_c and the share alpha_c(x) of the cross section that is the channel's to make. We take
alpha_c = a_c g_c / sum_k a_k g_k with the densities g_k of the bare maps and fixed a_k (optimised beforehand,
hep-ph/9405257). MadNIS (2212.06172) learns alpha_c(x) with a network. For given p and q the best alpha is
p_c q_c / sum_k p_k q_k, all of them densities in phase space: every weight becomes f / sum_k p_k q_k,
whichever channel its point comes from, and variance and largest weight are as small as they can be (balance
heuristic; Veach and Guibas, SIGGRAPH 1995). That takes the flow's density in all channels at each point; here
it is done to see what there would be to gain.

The best alpha_c(x) is also the probability that a point x of the flow came from channel c. So a network
learns it as a classifier of channels: it needs no integrand, and the cross section stays what it is.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lhcflow.files import write_json
from lhcflow.integration import MixedProposal
from lhcflow.integration.unweighting import bootstrap_efficiency, overweight_efficiency
from lhcflow.processes import EventGenerator, HadronicCrossSection

POINTS, N_OPT = 100_000, 2000
SMALLEST = 1e-7  # distance that coordinates keep from the ends of the cube
FITTED, EPOCHS, BATCH, HIDDEN = 400_000, 12, 1024, 64  # of the network


def run(seed: int, calls: int, device: str) -> dict[str, float]:
    """Efficiencies with both kinds of weights, for the same points."""
    f = HadronicCrossSection("p p > e+ ve j j")
    settings = replace(f.flow_settings, device=device)
    generator = EventGenerator(f, method="flow", seed=seed, settings=settings)
    generator.integrate(calls)
    f, sampler = generator.cross_section, generator.result.sampler
    assert isinstance(f, HadronicCrossSection)
    assert sampler is not None
    assert isinstance(sampler.proposal, MixedProposal)
    x, weights = sampler.sample(POINTS)
    best = weights.copy()
    inside = np.flatnonzero(weights)
    momenta = f.momenta(x[inside])[0]
    bare = f.phase_space.densities(momenta)
    together = sum(densities(f, sampler.proposal, momenta, bare))
    best[inside] = f(x[inside]) * (bare @ f.weights) / together
    learned = weights.copy()
    own = np.arange(len(inside)), f.category(x[inside])
    network = classifier(f, sampler.proposal, seed)
    learned[inside] *= network(momenta)[own] / fixed(f, momenta)[own]
    found: dict[str, float] = {}
    for name, w in (("fixed", weights), ("learned", learned), ("best", best)):
        over = overweight_efficiency(w, 1e-3)
        found |= {
            f"{name}_mean": float(w.mean()),
            f"{name}_spread": float(w.std() / w.mean()),
            f"{name}_replicas": float(bootstrap_efficiency(w, N_OPT, 1000, np.random.default_rng(1))),
            f"{name}_overweight": float(over),
            f"{name}_overweight_error": over.error,
            f"{name}_overweight_1e-2": float(overweight_efficiency(w, 1e-2)),
        }
    return found


def densities(f: HadronicCrossSection, proposal: MixedProposal, momenta: np.ndarray, bare: np.ndarray):
    """p_k q_k (n,) of each channel in turn, as densities in phase space."""
    for k, share in enumerate(f.weights):
        there = np.flatnonzero(bare[:, k] > 0)
        u = np.clip(f.phase_space.inverse(momenta[there], k), SMALLEST, 1 - SMALLEST)
        first = proposal.categories.place(np.full(len(there), k), np.full(len(there), 0.5))
        density = np.zeros(len(momenta))
        density[there] = proposal.density(np.column_stack([first, u])) * share * bare[there, k]
        yield density


def fixed(f: HadronicCrossSection, momenta: np.ndarray) -> np.ndarray:
    """The fixed shares alpha_c(x), (n, channels)."""
    shares = f.phase_space.densities(momenta) * f.weights
    return shares / shares.sum(axis=1, keepdims=True)


def classifier(f: HadronicCrossSection, proposal: MixedProposal, seed: int):
    """A function of momenta that gives learned shares alpha_c(x), (n, channels).

    The fixed shares times the exponentials of a network's outputs, normalised; fitted to the channels that
    points of the flow came from.
    """
    x, _ = proposal.sample(FITTED, np.random.default_rng(seed))
    momenta, good, channel = f.momenta(x)
    good &= f.cuts(momenta, f.jets, f.charged, f.neutral)
    momenta, target = momenta[good], torch.as_tensor(channel[good])
    torch.manual_seed(seed)
    features, logits = features_of(momenta), log_shares(f, momenta)
    inputs = torch.cat([features, logits.clamp_min(-8)], dim=1)
    centre, scale = inputs.mean(0), inputs.std(0)
    layers = [torch.nn.Linear(inputs.shape[1], HIDDEN), torch.nn.LeakyReLU(), torch.nn.Linear(HIDDEN, HIDDEN)]
    network = torch.nn.Sequential(*layers, torch.nn.LeakyReLU(), torch.nn.Linear(HIDDEN, logits.shape[1]))
    steps = EPOCHS * (len(inputs) // BATCH)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    inputs = (inputs - centre) / scale
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(BATCH)[: len(inputs) // BATCH]:
            loss = torch.nn.functional.cross_entropy(network(inputs[rows]) + logits[rows], target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    @torch.no_grad()
    def shares(momenta: np.ndarray) -> np.ndarray:
        logits = log_shares(f, momenta)
        inputs = torch.cat([features_of(momenta), logits.clamp_min(-8)], dim=1)
        return (network((inputs - centre) / scale) + logits).double().softmax(dim=1).numpy()

    return shares


def log_shares(f: HadronicCrossSection, momenta: np.ndarray) -> torch.Tensor:
    """Logarithms of the fixed shares."""
    return torch.as_tensor(np.log(np.maximum(fixed(f, momenta), 1e-12)), dtype=torch.float32)


def features_of(momenta: np.ndarray) -> torch.Tensor:
    """pT and rapidities of boson and jets, and what is between two jets, (n, features)."""
    boson = momenta[:, 2] + momenta[:, 3]
    mirror = np.where(boson[:, 3] < 0, -1.0, 1.0)
    pt = np.hypot(*momenta[:, 4:, 1:3].transpose(2, 0, 1))
    y = mirror[:, None] * np.arcsinh(momenta[:, 4:, 3] / pt)
    y_boson = np.arctanh(np.abs(boson[:, 3]) / boson[:, 0])
    turn = np.abs(np.arctan2(momenta[:, 4, 2], momenta[:, 4, 1]) - np.arctan2(*momenta[:, 5, 2:0:-1].T))
    turn = np.minimum(turn, 2 * np.pi - turn)
    distance = np.log(np.hypot(y[:, 0] - y[:, 1], turn))
    columns = [y_boson, np.log1p(np.hypot(boson[:, 1], boson[:, 2])), turn, distance]
    columns += [*np.log(pt).T, *y.T, *(y - y_boson[:, None]).T]
    return torch.as_tensor(np.stack(columns, axis=1), dtype=torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=500_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="cpu", help="that fits the flow: cpu, cuda or auto")
    parser.add_argument("--json", type=Path, default=Path("docs/results/channel_weights.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    jobs = json.loads(args.json.read_text())["jobs"] if args.json.exists() else {}
    for seed in args.seeds:
        key = f"{args.calls}/{seed}"
        if key not in jobs:
            jobs[key] = run(seed, args.calls, args.device)
            print(key, jobs[key], flush=True)
    names = ("replicas", "overweight", "overweight_error", "overweight_1e-2", "spread")
    rows = [
        [int(key.split("/")[0]), int(key.split("/")[1]), kind, *(job[f"{kind}_{name}"] for name in names)]
        for key, job in jobs.items()
        for kind in ("fixed", "learned", "best")
    ]
    columns = ["calls", "seed", "weights", "efficiency", "overweight 0.1 %", "its error", "overweight 1 %"]
    write_json(
        args.json,
        {
            "title": "p p -> W+ + 2 jets: what channel weights that depend on the point could gain",
            "command": "python benchmarks/channel_weights.py",
            "machine": "any: no times",
            "tables": [{"title": "Efficiencies", "columns": [*columns, "sd / mean"], "rows": rows}],
            "notes": [
                "Process, cuts and efficiencies as in the table of p p -> W, Z + jets.",
                "fixed: shares of the cross section follow the bare maps' densities with fixed factors, as "
                "everywhere; best: the shares that are best for the trained flow, which no learned "
                "weight can surpass. They take the flow's density in all five channels at each point, "
                "which costs more time than they gain.",
                f"learned: by a network of 2 x {HIDDEN}, a classifier of the channels that {FITTED:,} points "
                "of the flow came from; it sees pT, rapidities and distances, and the fixed shares.",
            ],
            "jobs": jobs,
        },
    )


if __name__ == "__main__":
    main()
