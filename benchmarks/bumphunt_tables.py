"""The tables of bumphunt_detectors.py from its jobs, and what both have to agree on."""

import math
from collections import Counter

import numpy as np

from lhcflow.bumphunt import quantiles

TRAINED = ["supervised", "idealized", "CATHODE", "LaCATHODE", "R-ANODE", "CWoLa", "ANODE"]
METHODS = {
    "default": ["exact", "exact without m", *TRAINED, "R-ANODE with learned w"],
    "shifted": [
        *("exact", "exact without m", *TRAINED, "R-ANODE with learned w"),
        *("idealized with m", "CATHODE with m"),
    ],
    "noise": ["exact", "idealized", "CATHODE"],
    "weak": ["R-ANODE", "idealized"],
}
TEST_BACKGROUND, TEST_SIGNAL = 200_000, 10_000
SUPERVISED_SIGNAL = 50_000
"""Labelled signal events for the supervised classifier: 2109.00546 trains on all it has."""
LEARNED_SEEDS = 3
"""Seeds with a learned signal fraction, which costs as much as all of R-ANODE again."""
PURE = 2.25
"""Background events for the idealized detector, per background event of the data in the signal region."""
ANY = "any size"
"""Stands for the size of the sample in the jobs of the exact scores."""


def report(jobs: dict[str, dict], commands: list[str]) -> dict:
    machines = Counter(job["machine"] for job in jobs.values())
    return {
        "title": "Anomaly detectors",
        "command": "; ".join(commands),
        "tables": tables(jobs),
        "notes": [
            f"{TEST_BACKGROUND:,} background and {TEST_SIGNAL:,} signal test events in the signal region, the"
            " same for all: the error of SIC at FPR 1e-3 from them is 3.6 %, common to all methods.",
            "Max SIC: among cuts whose FPR is known to 20 %. Ratios: medians over the seeds, seed by seed.",
            f"Idealized: {PURE} background events per event of the data. Supervised: trained with these and"
            f" {SUPERVISED_SIGNAL:,} further signal events.",
            "Background: the mean of 2 flows, of 4 for few signal events, in batches of 4096; 10 classifiers"
            " in an ensemble, 20 with noise features. Few signal events: half of the test events.",
            "On the shifted sample features end where m says. CATHODE, ANODE and R-ANODE see them between"
            " these limits, and so in relation to m; the idealized detector does not.",
            f"With learned w: {LEARNED_SEEDS} seeds, since that costs as much as all of R-ANODE again.",
            "CPU s: of the classifier or the second density, without the shared density of the background"
            " (waiting for a GPU counts too).",
            "Jobs on " + ", ".join(f"{name}: {n}" for name, n in sorted(machines.items())) + ".",
        ],
        "commands": commands,
        "jobs": jobs,
    }


def band(values: list[float]) -> list[float | None]:
    """Median, and the ends of the central 68 % where there are several values."""
    return list(quantiles(values)) if len(values) > 1 else [values[0], None, None]


def tables(jobs: dict[str, dict]) -> list[dict]:
    """One table per sample and size, and the comparison at few signal events."""
    sizes = dict.fromkeys(key.rsplit("/", 2)[0] for key in jobs)
    out = []
    for size in (s for s in sizes if not s.startswith("weak") and not s.endswith(ANY)):
        sample = size.split("/")[0]
        found = {m: _runs(jobs, size, m) for m in METHODS[sample]}
        rows = [[m, len(found[m]), *_columns(found[m], found)] for m in METHODS[sample] if found[m]]
        events = size.split("/")[1].replace("+", " background and ")
        out.append(
            {
                "title": f"Toy, sample {sample}: {events} signal events",
                "columns": [
                    *("method", "seeds", "SIC at FPR 1e-3", "16 %", "84 %", "over idealized"),
                    *("over exact", "over exact without m", "max SIC", "SIC at FPR 1e-2", "AUC", "CPU s"),
                ],
                "rows": rows,
            }
        )
    for size in (s for s in sizes if s.startswith("noise") and not s.endswith(ANY)):
        rows = []
        for method in ("idealized", "CATHODE"):
            noisy, clean = (
                _runs(jobs, f"{kind}/{size.split('/')[1]}", method) for kind in ("noise", "default")
            )
            common = sorted(set(noisy) & set(clean))
            if common:
                ratios = [noisy[s]["sic 1e-3"] / clean[s]["sic 1e-3"] for s in common]
                rows.append([method, len(common), *band(ratios)])
        if rows:
            columns = ["method", "seeds", "SIC at FPR 1e-3 over that without them", "16 %", "84 %"]
            out.append({"title": "Ten noise features", "columns": columns, "rows": rows})
    weak = [s for s in sizes if s.startswith("weak")]
    if weak:
        rows = []
        for size in sorted(weak):
            runs = {m: _runs(jobs, size, m) for m in METHODS["weak"]}
            common = sorted(set(runs["idealized"]) & set(runs["R-ANODE"]))
            if not common:
                continue
            for quantity in ("sic 1e-3", "max sic"):
                ours, other = ([runs[m][s][quantity] for s in common] for m in ("R-ANODE", "idealized"))
                wins = sum(a > b for a, b in zip(ours, other, strict=True))
                rows.append([size.split("/")[1], quantity, len(common), *band(ours), *band(other), wins])
        columns = ["background + signal", "quantity", "seeds", "R-ANODE", "16 %", "84 %", "idealized"]
        out.append(
            {
                "title": "Few signal events: R-ANODE and the idealized detector",
                "columns": [*columns, "16 %", "84 %", "seeds won by R-ANODE"],
                "rows": rows,
            }
        )
    return out


def _runs(jobs: dict[str, dict], size: str, method: str) -> dict[str, dict]:
    if method.startswith("exact"):
        size = f"{size.split('/')[0]}/{ANY}"
    return {k.rsplit("/", 1)[1]: v for k, v in jobs.items() if k.rsplit("/", 1)[0] == f"{size}/{method}"}


def _columns(runs: dict[str, dict], found: dict[str, dict[str, dict]]) -> list[float | None]:
    def ratio(other: str) -> float | None:
        them = found.get(other, {})
        if other == "idealized":
            pairs = [runs[s]["sic 1e-3"] / them[s]["sic 1e-3"] for s in runs if s in them]
        else:
            pairs = [r["sic 1e-3"] / them["0"]["sic 1e-3"] for r in runs.values() if "0" in them]
        return float(np.median(pairs)) if pairs else None

    def middle(name: str) -> float | None:
        known = [r[name] for r in runs.values() if name in r and not math.isnan(r[name])]
        return float(np.median(known)) if known else None

    ratios = [ratio("idealized"), ratio("exact"), ratio("exact without m")]
    return [
        *band([r["sic 1e-3"] for r in runs.values()]),
        *ratios,
        *(middle(n) for n in ("max sic", "sic 1e-2", "auc", "cpu seconds")),
    ]
