"""p p -> W+, W-, Z + 0 to 3 jets: unweighting efficiencies of multichannel VEGAS, i-flow and our flow.

    python benchmarks/pp_table.py [--jets 0 1 2] [--bosons W+ Z W-] [--methods vegas flow i-flow] [--seeds 0]
        [--calls N] [--jobs W+/2/500000/flow/0] [--device cpu] [--workers 1] [--seconds S] [--machine NAME]
        [--json F]

14 TeV, NNPDF31_nnlo_as_0118_luxqed, scale m_T, 66 < m_ll < 116 GeV, jets with pT > 20 GeV, |eta| < 6 and
Delta R > 0.4. All on the same map of phase space (`BosonJets`, channel weights optimised beforehand):

vegas   multichannel VEGAS: a grid and a probability for each channel (one grid with strata where there is
        but one).
i-flow  as published (2001.05486, 2001.10028): one flow on the cube, the channel number one more dimension,
        binary masks, 16 bins, exponential divergence, fresh points in each step; as many steps of as many
        points as ours.
flow    ours: the channel a discrete variable with learned probabilities, values re-used through the buffer,
        soft permutations, VEGAS as base; where there is one channel, a flow on the cube without permutations.
madnis  madnis 1.0.0 on our channels, set up as in 2311.01548: a start by VEGAS, a flow for each channel,
        shares of the channels learned as functions of the momenta, points re-used; as many calls as ours.
madspace  the phase space of madspace 0.2.1 (the boson's decay behind a Chili map of jets, one channel) with
        our amplitudes, densities and cuts and our VEGAS+.

Each (boson, jets, method, seed) is stored at once in --json, and what is there already is not run again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import math
import multiprocessing
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lhcflow.files import write_json
from lhcflow.flows import coupling_spline
from lhcflow.integration import Integrator
from lhcflow.integration.divergences import divergence_named
from lhcflow.integration.unweighting import bootstrap_efficiency, overweight_efficiency
from lhcflow.processes import EventGenerator, HadronicCrossSection
from lhcflow.processes.flow_settings import CHANNELS

LEPTONS = {"W+": "e+ ve", "W-": "e- ve~", "Z": "e+ e-"}
METHODS = ("vegas", "flow", "flow-long", "i-flow", "madnis", "madspace")
PUBLISHED = {  # 2001.10028: Sherpa, i-flow
    "W+": ((0.28, 0.61), (0.038, 0.12), (7.5e-3, 1.0e-2), (1.5e-3, 1.8e-3)),
    "W-": ((0.29, 0.70), (0.040, 0.15), (7.7e-3, 1.1e-2), (2.0e-3, 2.2e-3)),
    "Z": ((0.31, 0.38), (0.036, 0.10), (1.5e-2, 1.4e-2), (4.7e-3, 2.4e-3)),
}
CALLS = {0: 100_000, 1: 200_000, 2: 500_000, 3: 500_000}
LONG: dict[int, dict[str, Any]] = {  # settings of flow-long, by the number of jets
    2: {"steps": 360, "batch": (1024, 8192), "share": 0.9, "most": 4_000_000},
    3: {"steps": 240, "batch": (1024, 8192)},
}
POINTS, N_OPT = 100_000, 2000
ROWS = 20_000


def run(name: str, device: str) -> dict[str, object]:
    """Train, then weigh fresh points; calls and CPU seconds of the channels' optimisation included.

    Parameters
    ----------
    name : boson/jets/calls/method/seed.
    device : that fits our flow.
    """
    boson, method = name.split("/")[::3]
    jets, calls, seed = (int(name.split("/")[i]) for i in (1, 2, 4))
    torch.set_num_threads(1)
    process = f"p p > {LEPTONS[boson]}{' j' * jets}"
    start, clock = time.process_time(), time.perf_counter()
    if method == "i-flow":
        f, setup = HadronicCrossSection(process).optimised(np.random.SeedSequence(seed))
        flow, used = train_iflow(f, seed, calls)
        used += setup
        sample = sampler_of(flow, f, seed)
        first = np.concatenate([sample(ROWS) for _ in range(2)])
        mean, error = first.mean(), first.std() / len(first) ** 0.5
        warnings: list[str] = []
    elif method == "madnis":
        f, setup = HadronicCrossSection(process).optimised(np.random.SeedSequence(seed))
        mean, error, sample = train_madnis(f, seed, calls - setup)
        used = calls
        warnings = []
    elif method == "madspace":
        mapped = MadspaceMap(HadronicCrossSection(process))
        result = Integrator(mapped.dim, seed=seed, method="vegas").integrate(mapped, calls)
        mean, error, used = float(result.mean), float(result.sdev), result.calls
        warnings = list(result.warnings)
        assert result.sampler is not None
        drawn = result.sampler

        def sample(n: int) -> np.ndarray:
            return drawn.sample(n)[1]

    else:
        f = HadronicCrossSection(process)
        settings = replace(f.flow_settings, device=device, **(LONG[jets] if method == "flow-long" else {}))
        sampler: Any = method.removesuffix("-long")
        generator = EventGenerator(f, method=sampler, seed=seed, settings=settings)
        result = generator.integrate(calls)
        mean, error, used = float(result.mean), float(result.sdev), result.calls
        warnings = list(result.warnings)

        def sample(n: int) -> np.ndarray:
            return generator.sample(n)[1]

    trained, elapsed = time.process_time(), time.perf_counter() - clock
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
        "training_clock": elapsed,
        "device": device if method in ("flow", "flow-long") else "cpu",
        "seconds_per_point": (sampled - trained) / POINTS,
        "warnings": warnings,
    }


def in_cube(x: torch.Tensor) -> np.ndarray:
    """Points of a flow on the cube, which rounding may take a step too far."""
    return np.clip(x.double().numpy(), 0, 1)


def train_iflow(f: HadronicCrossSection, seed: int, calls: int) -> tuple[torch.nn.Module, int]:
    """A flow on the cube, fitted to fresh points in each step: no fewer steps than ours has."""
    batch = 512
    steps = max(150 * (CHANNELS.stages + 4), calls // batch)
    layers = 2 * math.ceil(math.log2(f.dim))
    flow = coupling_spline(f.dim, layers=layers, hidden=(64, 64), bins=16, domain="unit", seed=seed)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(seed)
    divergence = divergence_named("exponential")
    average = 0.0
    for step in range(steps):
        with torch.no_grad():
            x, log_q = flow.sample_and_log_prob(batch, generator=generator)
            value = np.abs(f(in_cube(x)))
            mean = float((value / np.exp(log_q.double().numpy())).mean())
            average = mean if step == 0 else 0.98 * average + 0.02 * mean
            log_p = torch.as_tensor(np.log(np.maximum(value / average, 1e-30)), dtype=x.dtype)
        loss = divergence(log_p, flow.log_prob(x), log_q).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimizer.step()
    return flow, steps * batch


def sampler_of(flow: torch.nn.Module, f: HadronicCrossSection, seed: int):
    """A function that draws weights."""
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def sample(n: int) -> np.ndarray:
        with torch.no_grad():
            x, log_q = flow.sample_and_log_prob(n, generator=generator)
        return f(in_cube(x)) / np.exp(log_q.double().numpy())

    return sample


def train_madnis(f: HadronicCrossSection, seed: int, calls: int):
    """Integral and error of a MadNIS, which nine tenths of the calls train; a function that draws weights."""
    from madnis.integrator import Integrator as Madnis
    from madnis.integrator import VegasPreTraining

    torch.manual_seed(seed)
    batch, reused, network = 1024, 4, {"layers": 3, "units": 64}
    first = [max(calls // 100 // len(f.categories), 200)] * 7  # for each channel
    start = sum(first) * len(f.categories)
    online = (calls * 9 // 10 - start) // batch
    steps = online * (1 + reused)
    madnis = Madnis(
        of_channels(f) if f.discrete else lambda x: torch.from_numpy(f(in_cube(x))).to(x),
        dims=f.dim,
        flow_kwargs=network,
        cwnet_kwargs=network,
        batch_size=batch,
        learning_rate=2e-3,
        uniform_channel_ratio=0.1,
        buffer_capacity=online * batch + start,
        buffered_steps=reused,
        scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
    )
    vegas = VegasPreTraining(madnis)
    vegas.rng = np.random.default_rng(seed)
    vegas.train(first)
    vegas.initialize_integrator()
    madnis.train(steps)
    mean, error = madnis.integrate(calls - online * batch - start)

    def sample(n: int) -> np.ndarray:
        weights = madnis.sample(n, channel_weight_mode="mean").weights
        return weights[torch.randperm(n)].double().numpy()  # they come channel by channel

    return mean, error, sample


def of_channels(f: HadronicCrossSection):
    """An integrand of madnis: for points of channels the value without the channel's share, features of the
    momenta, and the shares before any learning.
    """
    from madnis.integrator import Integrand

    count, particles = len(f.categories), 2 + len(f.jets)
    width = particles * (particles + 3) // 2
    along = int(f.boson == 23)  # whether the place within a category's interval matters, see `momenta`
    ends = np.cumsum(f.weights)

    def integrand(x: torch.Tensor, channel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        u, k = in_cube(x), channel.numpy()
        place = u[:, 0] if along else np.full(len(u), 0.25)
        momenta, value = f.evaluate(np.column_stack([ends[k] - f.weights[k] * (1 - place), u[:, along:]]))
        good = np.flatnonzero(value)
        shares, features = np.full((len(u), count), 1 / count), np.zeros((len(u), width))
        shares[good] = f.phase_space.densities(f.in_phase_space(momenta[good])) * f.weights
        shares[good] /= shares[good].sum(axis=1, keepdims=True)
        value[good] /= shares[good, k[good]] / f.weights[k[good]]
        features[good] = features_of(momenta[good, 2:])
        return tuple(torch.from_numpy(part).to(x) for part in (value, features, shares))

    return Integrand(
        integrand,
        f.phase_space.dim + along,
        channel_count=count,
        remapped_dim=width,
        has_channel_weight_prior=True,
    )


def features_of(p: np.ndarray) -> np.ndarray:
    """pT, pseudorapidities, and cosines of differences in azimuth: channels differ in their azimuths."""
    pt = np.hypot(p[..., 1], p[..., 2])
    i, j = np.triu_indices(p.shape[1], 1)
    turn = np.einsum("npk,npk->np", p[:, i, 1:3], p[:, j, 1:3]) / (pt[:, i] * pt[:, j])
    return np.concatenate([np.log(pt / 50), np.arcsinh(p[..., 3] / pt) / 3, turn], axis=1)


class MadspaceMap:
    """The integrand of a cross section on the unit cube of madspace's phase space: pb, at points (n, dim)."""

    def __init__(self, f: HadronicCrossSection) -> None:
        import madspace as ms

        self.f, jets, boson = f, len(f.jets), f.phase_space.boson
        lines = [*(ms.Propagator() for _ in f.jets)]
        lines.append(ms.Propagator(boson.mass, boson.width, 0, f.cuts.min_mass, f.cuts.max_mass))
        chain = ["i0", *(f"p{k}" for k in range(jets + 1))]
        vertices = [[chain[k], f"o{2 + k}", chain[k + 1]] for k in range(jets)]
        vertices += [[chain[jets], "i1", f"p{jets}"], [f"p{jets}", "o0", "o1"]]
        joined = [[ms.LineRef(name) for name in vertex] for vertex in vertices]
        topology = ms.Topology(ms.Diagram([0.0] * 2, [0.0] * (2 + jets), lines, joined))
        modes, cuts = ms.PhaseSpaceMapping.TChannelMode, None
        if jets:
            particles, kinds = [1, 1, 11, 12] + [21] * jets, ms.Observable
            pt, eta = (kinds(particles, o, [[21]]) for o in (kinds.obs_pt, kinds.obs_eta_abs))
            cuts = ms.Cuts([ms.CutItem(pt, min=f.cuts.jet_pt), ms.CutItem(eta, max=f.cuts.jet_eta)])
        mode = modes.chili if jets else modes.propagator
        mapping = ms.PhaseSpaceMapping(topology, f.energy, False, 0.8, mode, cuts)
        self.dim = mapping.random_dim()
        self._run = ms.FunctionRuntime(mapping.forward_function(), ms.Context(1))

    def __call__(self, u: np.ndarray) -> np.ndarray:
        f = self.f
        momenta, _, _, weight = (part.numpy() for part in self._run.call([u]))
        good = np.isfinite(weight) & (weight > 0) & np.isfinite(momenta).all(axis=(1, 2))
        rows = np.flatnonzero(good)
        rows = rows[f.cuts(momenta[rows], f.jets, f.charged, f.neutral)]
        value = np.zeros(len(u))
        value[rows] = f.contributions(np.ascontiguousarray(momenta[rows])).sum(axis=1) * weight[rows]
        return value


Row = dict[str, Any]


def averaged(found: list[Row]) -> Row:
    """Means over the seeds with their errors, and the range of the efficiency."""
    numbers = [k for k, value in found[0].items() if isinstance(value, int | float)]
    mean: Row = {k: float(np.mean([job[k] for job in found])) for k in numbers}
    for error in ("error", "overweight_error"):
        mean[error] = float(np.linalg.norm([job[error] for job in found])) / len(found)
    values = [job["replicas"] for job in found]
    machine = found[0]["machine"] if len({job["machine"] for job in found}) == 1 else "several"
    return mean | {"seeds": len(found), "lowest": min(values), "highest": max(values), "machine": machine}


def tables(jobs: dict[str, Row]) -> list[dict[str, object]]:
    """Pulls and efficiencies; then times. Means over seeds."""
    first, second = [], []
    budgets = sorted({tuple(key.split("/")[:3]) for key in jobs}, key=lambda k: (k[1], int(k[2])))
    for (boson, n, calls), method in product(budgets, METHODS):
        head = f"{boson}/{n}/{calls}"
        of = {m: [j for k, j in jobs.items() if k.startswith(f"{head}/{m}/")] for m in METHODS}
        if not of[method]:
            continue
        name = f"{boson} + {n} jet{'s' * (n != '1')}"
        job = averaged(of[method])
        vegas = averaged(of["vegas"]) if of["vegas"] and method != "vegas" else None
        pull = gain = even = faster = faster_capped = None
        event, capped = (job["seconds_per_point"] / job[k] for k in ("replicas", "overweight"))
        if vegas is not None:
            pull = (job["cross_section"] - vegas["cross_section"]) / math.hypot(job["error"], vegas["error"])
            gain = job["replicas"] / vegas["replicas"]
        if vegas is not None and vegas["machine"] == job["machine"]:
            theirs = vegas["seconds_per_point"] / vegas["replicas"]
            faster = theirs / event
            faster_capped = vegas["seconds_per_point"] / vegas["overweight"] / capped
            later = job["training_seconds"] - vegas["training_seconds"]
            even = max(later, 0.0) / (theirs - event) if theirs > event else None
        published = PUBLISHED[boson][int(n)][method == "i-flow"] if method in ("vegas", "i-flow") else None
        sigma = (job["cross_section"], job["error"])
        spread = (job["lowest"], job["highest"])
        over = (job["overweight"], job["overweight_error"], job["overweight_1e-2"])
        start = (name, method, int(calls), job["seeds"], pull, *sigma)
        first.append([*start, job["replicas"], *spread, gain, *over, job["spread"], published])
        times = (1e6 * job["seconds_per_point"], 1e6 * event, faster, 1e6 * capped, faster_capped)
        second.append([name, method, job["machine"], job["calls"], job["training_seconds"], *times, even])
    return [
        {
            "title": "Efficiencies",
            "columns": [
                "process", "method", "calls", "seeds", "pull", "cross section / pb", "error / pb",
                "efficiency", "lowest", "highest", "times vegas", "overweight 0.1 %", "its error",
                "overweight 1 %", "sd / mean", "published"
            ],
            "rows": first,
        },
        {
            "title": "CPU time",
            "columns": [
                "process", "method", "machine", "calls", "training / s", "us per point",
                "us per unweighted event", "times less than vegas", "us per event, overweight 0.1 %",
                "times less than vegas there", "events to break even"
            ],
            "rows": second,
        },
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jets", type=int, nargs="+", default=[0, 1, 2], choices=range(4))
    parser.add_argument("--bosons", nargs="+", default=["W+", "Z", "W-"], choices=LEPTONS)
    parser.add_argument("--methods", nargs="+", default=["vegas", "flow", "i-flow"], choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--calls", type=int, help="instead of those of each number of jets")
    parser.add_argument("--jobs", nargs="+", help="instead of all of the above: names as in the file")
    parser.add_argument("--device", default="cpu", help="that fits our flow: cpu, cuda or auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--machine", default="one thread of two shared cores")
    parser.add_argument("--json", type=Path, default=Path("docs/results/pp_table.json"))
    args = parser.parse_args()
    end = time.monotonic() + args.seconds
    jobs: dict[str, Row] = json.loads(args.json.read_text())["jobs"] if args.json.exists() else {}
    names = args.jobs or [
        f"{boson}/{n}/{args.calls or CALLS[n]}/{method}/{seed}"
        for n, boson, method, seed in product(args.jets, args.bosons, args.methods, args.seeds)
    ]
    wanted = [(name, args.device) for name in names if name not in jobs]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        found = pool.imap_unordered(named, wanted)
        for _ in wanted:
            try:
                key, job = found.next(max(end - time.monotonic(), 0.01) if math.isfinite(end) else None)
            except multiprocessing.TimeoutError:
                print("no time is left", flush=True)
                break
            jobs[key] = job | {"machine": args.machine}
            keys = ("cross_section", "error", "replicas", "overweight", "training_clock")
            print(key, {k: round(float(job[k]), 5) for k in keys}, flush=True)
            write(args.json, jobs)
    write(args.json, jobs)


def named(job: tuple[str, str]) -> tuple[str, Row]:
    """The job's name and result."""
    return job[0], run(*job)


def write(path: Path, jobs: dict[str, Row]) -> None:
    """The results so far."""
    write_json(
        path,
        {
            "title": "p p -> W, Z + jets: unweighting efficiencies",
            "command": "python benchmarks/pp_table.py",
            "machine": "as the table of times says; one thread for each job",
            "tables": tables(jobs),
            "notes": [
                "14 TeV, NNPDF31_nnlo_as_0118_luxqed, scale m_T, 66 < m_ll < 116 GeV, jets with pT > 20 GeV, "
                "|eta| < 6 and Delta R > 0.4. Means over seeds, and the lowest and highest efficiency.",
                "efficiency: mean over maximum weight, the median of the maxima of 1,000 replicas of "
                f"n_opt = {N_OPT:,} weights out of {POINTS:,} (2001.10028); overweight: accepted share of "
                "the points if weights above the maximum carry so much of the cross section.",
                "pull: difference to vegas over the combined error.",
                "published: 2001.10028, Sherpa (beside vegas) and i-flow, with cuts of their own: compare "
                "gains, not efficiencies.",
                "vegas with no or one jet is VEGAS+ on one channel, with strata. All methods sum partonic "
                "channels at each point.",
                "madspace: phase space of madspace 0.2.1 (Chili, one channel) with our amplitudes, "
                "densities, cuts and VEGAS+; i-flow: steps of 512 fresh points, at least 1,800.",
                "madnis: 1.0.0, 7 iterations of VEGAS, networks of 3 x 64, Adam with 0.002 and a cosine, "
                "1,024 fresh points and 4 times as many from the buffer in turn: the best of three settings.",
                f"flow-long: {LONG[2]['steps']} (two jets) or {LONG[3]['steps']} steps (three) per stage "
                f"instead of {CHANNELS.steps}, of {LONG[3]['batch'][0]:,} to {LONG[3]['batch'][1]:,} points.",
                "Times are compared on one machine only; CPU seconds, without those of a GPU (beside which "
                "all cores were busy). An efficiency can't exceed 1: over vegas, no gain above 1 / its "
                "efficiency is possible.",
            ],
            "jobs": jobs,
        },
    )


if __name__ == "__main__":
    main()
