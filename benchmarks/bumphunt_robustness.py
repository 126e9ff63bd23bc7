"""Background alone: p-values behind the cuts of trained detectors, and a feature whose edge moves with m.

    python benchmarks/bumphunt_robustness.py [--parts null edge] [--detectors CWoLa CATHODE ...]
        [--pseudo 200] [--seeds 5] [--json docs/results/bumphunt_robustness.json]

null: pseudo-experiments without signal. In each one a detector is trained by cross-fitting, nothing is shared
between them; the cut, the F-test and the fit are those of `lhcflow bumphunt run`.
edge: the toy with Delta R, whose range grows with m. A detector is trained on background and its 1 % cut is
applied to that (cross-fitted), and to ten times as much other background, which says what the cut does to
the spectrum without fluctuations.

Each result is one job: it is stored at once in --json, and jobs that are there already are not run again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lhcflow.bumphunt import (
    Anode,
    Cathode,
    ConditionalDensity,
    CWoLa,
    LaCathode,
    RAnode,
    SignalRegion,
    Toy,
    cross_fit,
)
from lhcflow.bumphunt.statistics import (
    Counting,
    Settings,
    Spectrum,
    examine_cut,
    goodness,
    mass_bins,
    passes,
    sculpting,
    search_spectrum,
    sideband_fit,
    spurious_signal,
    uniformity,
)
from lhcflow.classifiers import TreeEnsemble
from lhcflow.files import write_json

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)
RESOLUTION = 0.037
FOLDS = 2
NULL = {"events": 20_000, "cut": 0.05, "epochs": 8, "members": 2}
EDGE = {"events": 100_000, "cut": 0.01, "epochs": 10, "members": 5}
QUICKER = ["CATHODE with relu", "LaCATHODE with relu"]
"""Densities with another activation than the default's, silu; with relu they take less time."""
MORE = 10
"""Times the data: other background that shows the shape of a cut."""


def detector(name: str, settings: dict[str, Any], seed: int) -> Any:
    region = (REGION.low, REGION.high)
    name, _, activation = name.partition(" with ")
    density = ConditionalDensity(epochs=settings["epochs"])
    if activation:
        density.set_params(activation=activation)
    trees = TreeEnsemble(members=settings["members"])
    return {
        "CWoLa": CWoLa(region, classifier=trees, seed=seed),
        "CATHODE": Cathode(region, density, trees, seed=seed),
        "LaCATHODE": LaCathode(region, density, trees, seed=seed),
        "ANODE": Anode(region, density, seed=seed),
        "R-ANODE": RAnode(region, density, epochs=settings["epochs"], members=settings["members"], seed=seed),
    }[name]


def null(name: str, seed: int) -> dict[str, Any]:
    """One pseudo-experiment."""
    start = time.process_time()
    events = Toy().sample(NULL["events"], 0, seed=10_000 + seed)
    found = cross_fit(detector(name, NULL, seed), events.features, events.m, folds=FOLDS, seed=seed)
    settings = Settings(RESOLUTION, toys=0)
    inclusive = search_spectrum(events.m, EDGES, REGION, settings)
    cut = examine_cut(
        *(events.m, found.efficiency, found.reference_efficiency, NULL["cut"], EDGES, REGION),
        *(inclusive, settings),
    )
    after, count, k = cut.search.spectrum, cut.search.count, cut.search.parameters
    passed, template = (passes(e, NULL["cut"]) for e in (found.efficiency, found.reference_efficiency))
    background = inclusive.count
    share, before = template.mean(), background.background
    error = np.hypot(np.sqrt((1 - share) / template.sum()), background.background_error / before)
    bare = Counting(passed[REGION.contains(events.m)].sum(), share * before, share * before * error)
    quality = goodness(after.counts, sideband_fit(after, None, k).expected[0], k)
    return {
        "p": count.p0,
        "z": count.z,
        "z template": bare.significance().z,
        "z template with closure": cut.template_significance.z,
        "events": float(after.counts.sum()),
        "chi2": quality.chi2,
        "ndf": quality.ndf,
        "parameters": k,
        "cpu seconds": time.process_time() - start,
    }


def edge(name: str, seed: int) -> dict[str, Any]:
    """One cut on background with the moving edge."""
    start = time.process_time()
    toy = Toy(edge=True)
    events = toy.sample(EDGE["events"], 0, seed=20_000 + seed)
    found = cross_fit(detector(name, EDGE, seed), events.features, events.m, folds=FOLDS, seed=seed)
    spent = time.process_time() - start
    before = Spectrum.of(events.m, EDGES)
    passed = passes(found.efficiency, EDGE["cut"])
    data = sculpting(before, Spectrum.of(events.m[passed], EDGES), REGION)
    # The highest score of each fold that does not pass is its cut.
    cuts = [found.score[(found.fold == k) & ~passed].max() for k in range(FOLDS)]
    after, total = np.zeros(len(EDGES) - 1), np.zeros(len(EDGES) - 1)
    for part in range(MORE):
        more = toy.sample(EDGE["events"], 0, seed=30_000 + MORE * seed + part)
        total += Spectrum.of(more.m, EDGES).counts
        for k, rows in enumerate(np.array_split(np.arange(len(more)), FOLDS)):
            score = found.detectors[k].score(more.features[rows], more.m[rows])
            after += Spectrum.of(more.m[rows][score > cuts[k]], EDGES).counts
    shape = sculpting(Spectrum(EDGES, total), Spectrum(EDGES, after), REGION)
    invented = spurious_signal(
        Spectrum(EDGES, after / MORE), np.linspace(3.35, 3.65, 7), RESOLUTION, data.parameters, REGION
    )
    return {
        "chi2": data.smooth.chi2,
        "ndf": data.smooth.ndf,
        "parameters": data.parameters,
        "z": data.count.z,
        "share in the region": float(passed[REGION.contains(events.m)].mean()),
        "slope": shape.slope,
        "slope error": shape.slope_error,
        "chi2 of ten times": shape.smooth.chi2,
        "ndf of ten times": shape.smooth.ndf,
        "invented count": invented.count,
        "invented, largest": invented.largest,
        "cpu seconds": spent,
    }


WORK = {"null": null, "edge": edge}


def jobs_of(args: argparse.Namespace) -> Iterator[tuple[str, str, str, int]]:
    """(key, part, detector, seed); seed by seed, so that all detectors are there when time runs out."""
    for part in args.parts:
        for seed in range(args.pseudo if part == "null" else args.seeds):
            for name in args.detectors:
                yield f"{part}/{name}/{seed}", part, name, seed


def found_of(jobs: dict[str, dict], part: str) -> dict[str, list[dict]]:
    """Results of a part by detector."""
    out: dict[str, list[dict]] = {}
    for key, value in jobs.items():
        if key.split("/")[0] == part:
            out.setdefault(key.split("/")[1], []).append(value)
    return out


def mean(values: list[float]) -> list[float]:
    """Mean and its error."""
    return [float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))]


def null_table(jobs: dict[str, dict]) -> dict[str, Any]:
    rows = []
    for name, found in found_of(jobs, "null").items():
        names = ("z", "z template", "z template with closure")
        z, template, closed = ([f[k] for f in found] for k in names)
        rows.append(
            [
                *(name, len(found), uniformity([f["p"] for f in found]), *mean(z), float(np.std(z))),
                *(sum(f["chi2"] for f in found) / sum(f["ndf"] for f in found), *mean(template)),
                *(float(np.std(template)), *mean(closed), float(np.std(closed))),
                float(np.median([f["cpu seconds"] for f in found])),
            ]
        )
    return {
        "title": f"Background only, a detector trained in each of {NULL['events']:,} events, "
        f"cut at {NULL['cut']:.0%}",
        "columns": [
            *("detector", "experiments", "KS p", "mean z", "its error", "spread of z", "chi2/ndf"),
            *("mean z (template)", "its error", "its spread"),
            *("mean z (template, closure)", "its error", "its spread", "CPU s"),
        ],
        "rows": rows,
    }


def edge_table(jobs: dict[str, dict]) -> dict[str, Any]:
    rows = []
    for name, found in found_of(jobs, "edge").items():
        ratios = [
            sum(f[f"chi2{of}"] for f in found) / sum(f[f"ndf{of}"] for f in found)
            for of in ("", " of ten times")
        ]
        more = [float(np.median([f[k] for f in found])) for k in ("slope", "cpu seconds")]
        rows.append([name, len(found), *ratios, *mean([f["invented count"] for f in found]), *more])
    return {
        "title": f"Background with Delta R, {EDGE['events']:,} events, cut at {EDGE['cut']:.0%}",
        "columns": [
            *("detector", "seeds", "chi2/ndf", "chi2/ndf of ten times", "invented signal / error"),
            *("error of the mean", "slope per TeV", "CPU s"),
        ],
        "rows": rows,
    }


def report(jobs: dict[str, dict], command: str) -> dict[str, Any]:
    tables = [table for table in (null_table(jobs), edge_table(jobs)) if table["rows"]]
    return {
        "title": "Robustness of the bump hunt",
        "command": command,
        "tables": tables,
        "notes": [
            f"Toy with known densities; signal region {REGION.low} to {REGION.high} TeV, bins of 0.1 TeV, "
            f"{FOLDS} folds. z: count of the signal region over the fit of the sidebands behind the cut; "
            "z (template): the same count against the template, without and with the correction by "
            "the closure beside the signal region.",
            "with relu: densities with this activation, in place of the default's silu. "
            f"Epochs of the flows: {NULL['epochs']} and {EDGE['epochs']}; members of ensembles: "
            f"{NULL['members']} and {EDGE['members']}. The F-test behind the cut begins with the parameters "
            "of the spectrum before it. (Where it begins with two, as in an older table of "
            "bumphunt_statistics.json, the p-values are not uniform.)",
            "chi2/ndf: sum over sum, of the fit to the whole spectrum behind the cut. Invented signal: fit "
            "to the expected spectrum, from ten times the events, in units of the error with the events "
            "there are; each seed's value has a statistical error of 0.32.",
        ],
        "jobs": jobs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["CWoLa", "CATHODE", "LaCATHODE", "ANODE", "R-ANODE", *QUICKER]
    parser.add_argument("--parts", nargs="+", default=list(WORK), choices=WORK)
    parser.add_argument("--detectors", nargs="+", default=names, choices=names)
    parser.add_argument("--pseudo", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("docs/results/bumphunt_robustness.json"))
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    jobs: dict[str, dict] = json.loads(args.json.read_text())["jobs"] if args.json.exists() else {}
    command = f"python benchmarks/bumphunt_robustness.py --pseudo {args.pseudo} --seeds {args.seeds}"
    for key, part, name, seed in jobs_of(args):
        if key in jobs:
            continue
        jobs[key] = WORK[part](name, seed)
        print(key, {k: round(float(v), 3) for k, v in jobs[key].items()}, flush=True)
        write_json(args.json, report(jobs, command))
    write_json(args.json, report(jobs, command))


if __name__ == "__main__":
    main()
