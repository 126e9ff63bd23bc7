"""Statistics of the bump hunt: toys per second, p-values and invented signal without signal, and a discovery.

    python benchmarks/bumphunt_statistics.py [--parts toys null discovery] [--seeds 3]
        [--detectors exact idealized CATHODE] [--json docs/results/bumphunt_statistics.json]

toys: 10,000 background-only pseudo-experiments of a spectrum of 10^6 events, refitted with a peak at each
mass of the signal region; single fits of the same spectra by iminuit beside them.
null: local p-values of background-only pseudo-experiments, each with its own F-test.
(Behind the cuts of trained detectors: bumphunt_robustness.py.)
discovery: signal at S/B = 0.6 % in the signal region, before the cut and behind it.

Every result of the last part, and every fold of a training, is stored as soon as it is there (beside
--store), and not computed again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from iminuit import Minuit
from scipy.special import xlogy

from lhcflow.bumphunt import (
    Cathode,
    ConditionalDensity,
    IdealizedDetector,
    SignalRegion,
    Toy,
    quantiles,
)
from lhcflow.bumphunt.crossfit import background_efficiency
from lhcflow.bumphunt.statistics import (
    Spectrum,
    count_significance,
    dijet_model,
    draw_toys,
    f_test,
    fit,
    gaussian_peak,
    mass_bins,
    passes,
    shape_scan,
    template_count,
    toy_scan,
    uniformity,
)
from lhcflow.bumphunt.toy import _PEAK, _WIDTH, background_fraction
from lhcflow.files import write_json

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)
RESOLUTION = _WIDTH / _PEAK
EVENTS, S_OVER_B = 1_000_000, 0.006
POINTS = (0.01, 0.001)
TOYS, MASSES = 10_000, np.linspace(3.3, 3.7, 9)
IMINUIT_FITS = 30
FOLDS, EPOCHS, SIDEBANDS = 2, 8, (2.9, 4.4)


def expectation(events: float) -> np.ndarray:
    """Background (bins,) of so many events in the range of the toy."""
    return events * np.array([background_fraction(a, b) for a, b in itertools.pairwise(EDGES)])


def time_of_toys() -> list[list[Any]]:
    expected, model = expectation(EVENTS), dijet_model(EDGES, 3)
    peaks = gaussian_peak(EDGES, MASSES, RESOLUTION)
    start = time.process_time()
    toy_scan(model, peaks, expected, TOYS, seed=1)
    ours = time.process_time() - start
    counts = draw_toys(expected, IMINUIT_FITS, seed=2)
    one = model.with_signal(peaks[4])
    start = time.process_time()
    both = fit(one, counts, yields=0.0), fit(one, counts)
    vectorised = (time.process_time() - start) / IMINUIT_FITS
    start = time.process_time()
    difference = [iminuit(one, n, both[1].parameters[i]) - both[1].deviance[i] for i, n in enumerate(counts)]
    theirs = (time.process_time() - start) / IMINUIT_FITS
    fits = TOYS * (len(MASSES) + 1)
    return [
        ["10,000 toys, background and 9 masses each, s", ours],
        ["one fit among these, us", 1e6 * ours / fits],
        ["fit with a peak among 30 spectra (with its background fit), us", 1e6 * vectorised],
        ["the same fit with a peak by iminuit, us", 1e6 * theirs],
        ["iminuit's minimum of -2 log L minus ours, largest", float(np.max(difference))],
        ["the same, smallest", float(np.min(difference))],
    ]


def iminuit(model: Any, counts: np.ndarray, parameters: np.ndarray) -> float:
    """The minimum of -2 log L, relative to the saturated model, from a start beside ours."""
    design = model.design

    def objective(p: np.ndarray) -> float:
        mu = np.exp(design @ p[:-1] + model.offset).sum(1) + p[-1] * model.signal
        if np.any(mu <= 0):
            return 1e30
        return float(2 * np.sum(mu - counts + xlogy(counts, np.maximum(counts, 1e-300) / mu)))

    minuit = Minuit(objective, np.append(parameters + 0.02, 0.0))
    minuit.migrad()
    return float(minuit.fval)


def null_p_values(experiments: int, events: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p-values of the count, its significances, and chi2/ndf of the fits, without any detector."""
    p, z, reduced = [], [], []
    for counts in draw_toys(expectation(events), experiments, seed):
        spectrum = Spectrum(EDGES, counts)
        k, trials = f_test(spectrum, REGION)
        found = count_significance(spectrum, REGION, k)
        p.append(found.p0)
        z.append(found.z)
        reduced.append(next(t.goodness.reduced for t in trials if t.parameters == k))
    return np.array(p), np.array(z), np.array(reduced)


def discovery(detector: str, seed: int, folder: Path) -> dict[str, Any]:
    """Significances before and behind the cut."""
    background = EVENTS
    inside = background_fraction(REGION.low, REGION.high) * background
    # The toy's peak loses its tails outside the region.
    from scipy import stats

    share = float(np.diff(stats.norm(_PEAK, _WIDTH).cdf([REGION.low, REGION.high]))[0])
    signal = round(S_OVER_B * inside / share)
    toy = Toy()
    events = toy.sample(background, signal, seed=seed)
    region = REGION.contains(events.m)
    efficiency, template = scores(detector, toy, events, seed, folder)
    result: dict[str, Any] = {"inclusive": significances(events.m), "cuts": {}}
    result |= {"S": int(events.label[region].sum()), "B": int((events.label[region] == 0).sum())}
    before = count_significance(Spectrum.of(events.m, EDGES), REGION, 3)
    for point in POINTS:
        passed = passes(efficiency, point)
        count = template_count(
            events.m, passed, passes(template, point), REGION, before.background, before.background_error
        )
        found = significances(events.m[passed])
        found["template"] = count.significance().z
        found["S"] = int(events.label[region & passed].sum())
        found["B"] = int(np.sum((events.label == 0) & region & passed))
        result["cuts"][f"{point:g}"] = found
    return result


def scores(detector: str, toy: Toy, events: Any, seed: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Background efficiencies of the events and of the template."""
    if detector == "exact":
        reference = toy.sample(200_000, 0, seed=1000 + seed, region=(REGION.low, REGION.high))
        known = toy.log_ratio(reference.features, reference.m)
        exact = background_efficiency(toy.log_ratio(events.features, events.m), known)
        return exact, background_efficiency(known, known)
    fold = np.random.default_rng(3000 + seed).permutation(np.arange(len(events)) % FOLDS)
    efficiency, template = np.empty(len(events)), []
    for k in range(FOLDS):
        file = folder / f"{detector}_{seed}_{k}.npz"
        if not file.is_file():
            start = time.process_time()
            held, levels = one_fold(detector, toy, events, fold, k, seed)
            np.savez(file, held=held, levels=levels, cpu=time.process_time() - start)
            print(file, f"{time.process_time() - start:.0f} s of CPU time", flush=True)
        with np.load(file) as stored:
            efficiency[fold == k] = stored["held"]
            template.append(stored["levels"])
    return efficiency, np.concatenate(template)


def one_fold(
    detector: str, toy: Toy, events: Any, fold: np.ndarray, k: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Train on all other folds, as cross_fit does but with short sidebands, and score this one."""
    limits = (REGION.low, REGION.high)
    train = (fold != k) & (events.m >= SIDEBANDS[0]) & (events.m < SIDEBANDS[1])
    held = fold == k
    pure = [toy.sample(140_000, 0, seed=2000 + 10 * seed + i, region=limits) for i in range(2)]
    known, fresh = ((p.features, p.m) for p in pure)
    if detector == "idealized":
        model: Any = IdealizedDetector(limits, seed=seed)
        model.fit(events.features[train], events.m[train], background=known)
        reference = fresh
    else:
        model = Cathode(limits, ConditionalDensity(epochs=EPOCHS), seed=seed)
        model.fit(events.features[train], events.m[train])
        reference = model.reference(events.features[held], events.m[held], seed=seed)
    levels = model.score(*reference)
    score = model.score(events.features[held], events.m[held])
    return background_efficiency(score, levels), background_efficiency(levels, levels)


def significances(m: np.ndarray) -> dict[str, float]:
    spectrum = Spectrum.of(m, EDGES)
    k, _ = f_test(spectrum, REGION)
    peak = shape_scan(spectrum, [_PEAK], RESOLUTION, k)
    return {"count": count_significance(spectrum, REGION, k).z, "peak": float(peak.z[0]), "parameters": k}


def kept(store: Path, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result that is in the store, or one that is computed and put there."""
    known = json.loads(store.read_text()) if store.is_file() else {}
    if key not in known:
        found = work()
        known = json.loads(store.read_text()) if store.is_file() else {}
        known[key] = found
        write_json(store, known)
        print(key, json.dumps(found), flush=True)
    return known[key]


def spread(values: Any) -> str:
    median, low, high = quantiles(values)
    return f"{median:.2f} ({low:.2f} to {high:.2f})" if len(values) > 1 else f"{median:.2f}"


def null_table() -> dict[str, Any]:
    rows = []
    for events, experiments in ((20_000, 200), (1_000_000, 200), (20_000, 2000), (1_000_000, 2000)):
        p, z, reduced = null_p_values(experiments, events, seed=3)
        error, middle = z.std() / np.sqrt(experiments), float(np.median(reduced))
        rows.append([f"{events:,}", experiments, uniformity(p), z.mean(), error, z.std(), middle])
    columns = ["events", "experiments", "KS p", "mean z", "its error", "spread of z", "chi2/ndf, median"]
    return {"title": "Background only, no detector", "columns": columns, "rows": rows}


def discovery_table(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    rows: list[list[Any]] = []
    everything = [f for results in found.values() for f in results]
    unique = {json.dumps(f["inclusive"]): f for f in everything}.values()
    before = [spread([f["inclusive"][k] for f in unique]) for k in ("count", "peak")]
    truth = [spread([f[k] for f in unique]) for k in ("S", "B")]
    rows.append(["-", "no cut", len(unique), *before, "", *truth])
    for name, results in found.items():
        for point in POINTS:
            cuts = [f["cuts"][f"{point:g}"] for f in results]
            behind = [spread([c[k] for c in cuts]) for k in ("count", "peak", "template", "S", "B")]
            rows.append([name, f"{point:g}", len(cuts), *behind])
    columns = ["score", "cut", "seeds", "z count", "z peak", "z template", "S", "B"]
    title = f"S/B = {S_OVER_B:.1%} in the signal region, {EVENTS:,} events"
    return {"title": title, "columns": columns, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ["toys", "null", "discovery"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--detectors", nargs="+", default=["exact", "idealized", "CATHODE"])
    parser.add_argument("--store", type=Path, default=Path("bumphunt_statistics_store.json"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tables = []
    if "toys" in arguments.parts:
        tables.append({"title": "Refitted toys", "columns": ["what", "value"], "rows": time_of_toys()})
    if "null" in arguments.parts:
        tables.append(null_table())
    store = arguments.store
    if "discovery" in arguments.parts:
        results: dict[str, list[dict[str, Any]]] = {}
        for seed in range(1, arguments.seeds + 1):
            for name in arguments.detectors:
                done = kept(store, f"{name} {seed}", lambda n=name, s=seed: discovery(n, s, store.parent))
                results.setdefault(name, []).append(done)
        tables.append(discovery_table(results))
    for table in tables:
        print(f"\n{table['title']}")
        for row in [table["columns"], *table["rows"]]:
            print("  ".join(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    if arguments.json:
        notes = [
            f"Toy with known densities; signal region {REGION.low} to {REGION.high} TeV; bins of 0.1 TeV.",
            "z count: excess of the signal region over the fit of the sidebands; z peak: a peak of "
            "the signal's mass and width; z template: count against the template, corrected by its "
            "closure. All local, with the uncertainty of the background in the profile likelihood.",
            "exact: the true likelihood ratio at the event's mass. idealized, CATHODE: cross-fitted in "
            f"{FOLDS} folds, trained on {SIDEBANDS[0]} to {SIDEBANDS[1]} TeV, {EPOCHS} epochs of the flow. "
            "Median and 68 % band over the seeds. CPU times: one thread, on a machine with other work.",
        ]
        report = {
            "title": "Statistics of the bump hunt",
            "command": f"python benchmarks/bumphunt_statistics.py --seeds {arguments.seeds} --detectors "
            + " ".join(arguments.detectors),
            "machine": f"{platform.machine()}, numpy {np.__version__}, one thread",
            "notes": notes,
            "tables": tables,
        }
        write_json(arguments.json, report)


if __name__ == "__main__":
    main()
