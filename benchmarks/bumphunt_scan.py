"""A scan of 10 windows in 5 folds with CATHODE: its time, and what it finds.

    python benchmarks/bumphunt_scan.py --folder DIR [--sidebands 500000] [--signal 1000] [--json FILE]

The toy with a signal at 3.5 TeV, whose window has so many events in its sidebands, through ``lhcflow bumphunt
scan`` on one thread. CPU time is that of the whole command. A scan that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lhcflow.bumphunt import Toy
from lhcflow.bumphunt.toy import background_fraction
from lhcflow.files import write_json

REGION = (3.3, 3.7)
FIRST, LAST = 3.1, 5.3


def scan(folder: Path, sidebands: int, signal: int) -> dict[str, Any]:
    """Times and results of one scan."""
    background = round(sidebands / (1 - background_fraction(*REGION)))
    file = folder / "events.h5"
    if not file.is_file():
        Toy().sample(background, signal, 0).write(file)
    command = [sys.executable, "-m", "lhcflow", "bumphunt", "scan", str(file), "--out", str(folder / "scan")]
    command += ["--from", str(FIRST), "--to", str(LAST), "--toys", "0", "--quiet", "--device", "cpu"]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    start = time.perf_counter()
    resume = ["--resume"] if (folder / "scan").is_dir() else []
    subprocess.run([*command, *resume], check=True, env=os.environ | threads)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    results = json.loads((folder / "scan" / "results.json").read_text())
    return {
        "events": background + signal,
        "CPU minutes": (used.ru_utime + used.ru_stime) / 60,
        "minutes": (time.perf_counter() - start) / 60,
        "GiB": used.ru_maxrss / 2**20,
        "results": results,
        "resumed": bool(resume),
    }


def report(one: dict[str, Any], command: str, signal: int) -> dict[str, Any]:
    windows = one["results"]["windows"]
    best = one["results"]["best"]
    rows = [[f"{w['region'][0]:g} to {w['region'][1]:g}", *significances(w)] for w in windows]
    return {
        "title": "A scan of 10 windows in 5 folds",
        "command": command,
        "machine": f"{platform.machine()}, torch {torch.__version__}, one thread, other load",
        "notes": [
            f"{one['events']:,} events of the toy, {signal} of them signal at 3.5 TeV.",
            "Working point: 1 % of the background.",
            *(["The scan was resumed: cost of its last part."] if one["resumed"] else []),
        ],
        "tables": [
            {
                "title": "Cost",
                "columns": ["windows", "folds", "CPU minutes", "wall minutes", "GiB"],
                "rows": [[len(windows), 5, one["CPU minutes"], one["minutes"], one["GiB"]]],
            },
            {
                "title": "Significance",
                "columns": ["window, TeV", "before the cut, sigma", "after, sigma"],
                "rows": rows,
            },
        ],
        "best": best,
    }


def significances(window: dict[str, Any]) -> list[float]:
    return [window["inclusive"]["count"]["z"], window["cuts"][0]["count"]["z"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sidebands", type=int, default=500_000)
    parser.add_argument("--signal", type=int, default=1000)
    parser.add_argument("--json", type=Path, default=Path("docs/results/bumphunt_scan.json"))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    one = scan(args.folder, args.sidebands, args.signal)
    print(one["CPU minutes"], one["minutes"], flush=True)
    command = f"python benchmarks/bumphunt_scan.py --folder DIR --sidebands {args.sidebands}"
    write_json(args.json, report(one, f"{command} --signal {args.signal}", args.signal))


if __name__ == "__main__":
    main()
