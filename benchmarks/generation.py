"""e+ e- -> 3 jets at the Z pole: unweighting efficiency of flow, VEGAS and the bare phase space.

    python benchmarks/generation.py [--seeds 5] [--calls 1000000] [--maps channels flat] [--json FILE]

Durham y_cut = 0.01, the same number of calls for every method, one thread. Each (map, method, seed) is stored
at once in --json, and what is there already is not run again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

from lhcflow.files import write_json
from lhcflow.processes import Cuts, EventGenerator, summarise

METHODS = ("flow", "vegas", "bare")
MAPS = ("channels", "flat", "poles")


def run(phase_space: str, method: str, seed: int, calls: int) -> dict[str, object]:
    start, cpu = time.perf_counter(), time.process_time()
    generator = EventGenerator("e+ e- > j j j", 91.188, Cuts(durham=0.01), phase_space, method, seed)
    generator.integrate(calls)
    seconds = time.perf_counter() - start
    return asdict(summarise(generator, seconds)) | {"cpu_seconds": time.process_time() - cpu}


def table(jobs: dict[str, dict], phase_space: str) -> dict[str, object]:
    """Median and worst efficiency of each method, and how many times VEGAS' median it is."""
    of = {m: [v for k, v in jobs.items() if k.startswith(f"{phase_space}/{m}/")] for m in METHODS}
    vegas = median(v["efficiency"] for v in of["vegas"]) if of["vegas"] else None
    lines = []
    for method, runs in of.items():
        if not runs:
            continue
        efficiencies = [v["efficiency"] for v in runs]
        centre = median(efficiencies)
        ratio = centre / vegas if vegas else None
        errors = median(v["error"] for v in runs)
        cpu = median(v["cpu_seconds"] for v in runs)
        warned = sum(bool(v["warnings"]) for v in runs)
        lines.append([method, len(runs), centre, min(efficiencies), ratio, errors, cpu, warned])
    return {
        "title": f"{phase_space} phase space",
        "columns": [
            "method", "seeds", "efficiency", "worst", "times VEGAS", "error / pb", "CPU s", "with a warning"
        ],
        "rows": lines,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--maps", nargs="+", default=["channels", "flat"], choices=MAPS)
    parser.add_argument("--json", type=Path, default=Path("docs/results/generation.json"))
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    jobs: dict[str, dict] = json.loads(args.json.read_text())["jobs"] if args.json.exists() else {}
    for seed in range(args.seeds):
        for phase_space in args.maps:
            for method in METHODS:
                key = f"{phase_space}/{method}/{seed}"
                if key in jobs:
                    continue
                jobs[key] = run(phase_space, method, seed, args.calls)
                print(
                    key,
                    {k: jobs[key][k] for k in ("efficiency", "cross_section", "error", "cpu_seconds")},
                    flush=True,
                )
                write_json(
                    args.json,
                    {
                        "title": "e+ e- -> 3 jets: unweighting efficiency",
                        "command": f"python benchmarks/generation.py --calls {args.calls}",
                        "tables": [table(jobs, m) for m in MAPS if any(k.startswith(m) for k in jobs)],
                        "notes": [
                            f"{args.calls:,} calls for each method, Durham y_cut 0.01, 91.188 GeV.",
                            "Overweight share 1e-3, from 100,000 points.",
                        ],
                        "jobs": jobs,
                    },
                )


if __name__ == "__main__":
    main()
