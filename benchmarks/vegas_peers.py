"""VEGAS+ of lhcflow beside the package vegas: error at equal calls, and time per point.

    python benchmarks/vegas_peers.py [--seeds 5] [--json docs/results/vegas_peers.json]

Both adapt for ten iterations of 20,000 calls; the error is that of one further iteration, given as sd/I per
point, so that it does not depend on the calls. Pulls are those of the results with default settings of both.
Times are CPU seconds of adaptation per call, for an integrand that costs nothing, interleaved, best of five.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import math
import time
from pathlib import Path

import gvar
import numpy as np
import vegas

from lhcflow import __version__
from lhcflow.files import write_json
from lhcflow.integration import Vegas
from lhcflow.integration.testfunctions import by_name

NAMES = ["camel2", "camel4", "camel8", "circles2", "ring2", "annulus2", "box3", "polynomial18"]
CALLS, ITERATIONS = 20_000, 10


def errors(name: str, seed: int) -> dict[str, float]:
    """Error per point, pull and unweighting efficiency of one seed."""
    f = by_name(name)
    ours = Vegas(f.dim, seed=seed)
    result = ours.integrate(f, CALLS * ITERATIONS, iterations=ITERATIONS)
    final = ours.iterate(f, CALLS, adapt="nothing")
    gvar.ranseed(seed + 1)
    peer = vegas.Integrator(f.dim * [[0, 1]])
    batch = vegas.lbatchintegrand(f)
    theirs = peer(batch, nitn=ITERATIONS, neval=CALLS)
    last = peer(batch, nitn=1, neval=CALLS, adapt=False)
    return {
        "ours": float(final.sdev[0]) * math.sqrt(final.calls) / f.exact,
        "vegas": last.sdev * math.sqrt(last.sum_neval) / f.exact,
        "our pull": (float(result.mean) - f.exact) / float(result.sdev),
        "vegas pull": (theirs.mean - f.exact) / theirs.sdev,
        "efficiency": float(result.sampler.unweighting_efficiency(200_000)) if result.sampler else math.nan,
    }


def seconds(dim: int, rounds: int, calls: int = 200_000) -> tuple[float, float]:
    """CPU nanoseconds per call of an adapting iteration, ours and theirs."""

    def nothing(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x[:, 0])

    ours, peer, batch = Vegas(dim), vegas.Integrator(dim * [[0, 1]]), vegas.lbatchintegrand(nothing)
    best = [math.inf, math.inf]
    for _ in range(rounds):
        start = time.process_time()
        used = ours.iterate(nothing, calls).calls
        best[0] = min(best[0], (time.process_time() - start) / used)
        start = time.process_time()
        used = peer(batch, nitn=1, neval=calls).sum_neval
        best[1] = min(best[1], (time.process_time() - start) / used)
    return best[0] * 1e9, best[1] * 1e9


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("docs/results/vegas_peers.json"))
    arguments = parser.parse_args()
    rows = []
    for name in NAMES:
        runs = [errors(name, seed) for seed in range(arguments.seeds)]
        median = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
        worst = [max((run[key] for run in runs), key=abs) for key in ("our pull", "vegas pull")]
        row = [
            name,
            median["ours"],
            median["vegas"],
            median["ours"] / median["vegas"],
            *worst,
            median["efficiency"],
        ]
        rows.append(row)
        print("  ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row), flush=True)
    times = []
    for dim in (2, 4, 8, 16):
        ours, theirs = seconds(dim, max(arguments.seeds, 5))
        times.append([dim, ours, theirs, ours / theirs])
        print(f"dim {dim}: {ours:.0f} ns, vegas {theirs:.0f} ns", flush=True)
    result = {
        "title": "VEGAS+ beside vegas",
        "command": f"python benchmarks/vegas_peers.py --seeds {arguments.seeds}",
        "versions": {"lhcflow": __version__, "vegas": vegas.__version__},
        "tables": [
            {
                "title": f"Error per point (sd/I) after {CALLS * ITERATIONS:,} calls, median of seeds",
                "columns": [
                    "integrand",
                    "lhcflow",
                    "vegas",
                    "ratio",
                    "worst pull",
                    "worst pull of vegas",
                    "unweighting efficiency",
                ],
                "rows": rows,
            },
            {
                "title": "Time per call",
                "columns": ["dim", "lhcflow / ns", "vegas / ns", "ratio"],
                "rows": times,
            },
        ],
        "notes": [
            f"vegas {vegas.__version__}; {arguments.seeds} seeds; one thread.",
            "Unweighting efficiency: accepted share when overweights carry at most 0.1 % of the integral, "
            "for points drawn from grid and strata.",
        ],
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
