"""CATHODE's cost: one window with 500,000 sideband events, and the default beside the paper's recipe.

    python benchmarks/bumphunt_speed.py [--sidebands 500000] [--compare 50000 ...] [--epochs 100]
        [--device cpu] [--json FILE]

CPU seconds of one thread (time.process_time; waiting for a GPU counts too). The recipes are compared on the
toy, whose background is known: the KL divergence of the density from the truth inside the signal region,
where it interpolates to, and the SIC that CATHODE reaches. Results are stored at once; what is there already
is not run again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from lhcflow.bumphunt import Cathode, ConditionalDensity, Events, MassDensity, Toy, roc
from lhcflow.bumphunt.limits import Limits
from lhcflow.bumphunt.toy import background_fraction
from lhcflow.classifiers import NetworkEnsemble, TreeEnsemble
from lhcflow.files import write_json

REGION = (3.3, 3.7)
LARGE: dict[str, Any] = {"members": 4, "batch_size": 4096, "learning_rate": 6e-3, "epochs": 12}
SIGNAL = 3e-3
"""Signal events per background event: that of the smaller samples of bumphunt_detectors.py."""


class Clock:
    """CPU and wall seconds since the last look."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.time()

    def __call__(self) -> dict[str, float]:
        before, self.cpu, self.wall = (self.cpu, self.wall), time.process_time(), time.time()
        return {"cpu seconds": self.cpu - before[0], "seconds": self.wall - before[1]}


def sample(sidebands: int, seed: int) -> tuple[Events, np.ndarray]:
    """Events with so many in the sidebands, and which ones those are."""
    background = round(sidebands / (1 - background_fraction(*REGION)))
    events = Toy().sample(background, round(SIGNAL * background), seed)
    return events, (events.m < REGION[0]) | (events.m >= REGION[1])


def test_events() -> Events:
    toy = Toy()
    return Events.concatenate([toy.sample(100_000, 0, 11, REGION), toy.sample(0, 5_000, 12, REGION)])


def window(sidebands: int, density: ConditionalDensity, classifier: Any, seed: int) -> dict[str, float]:
    """Train and score one window, step by step."""
    events, outside = sample(sidebands, seed)
    test = test_events()
    limits = Limits(events.features, events.m)
    clock = Clock()
    density.set_params(seed=seed).fit(events.features[outside], events.m[outside], limits)
    out = {f"density {k}": v for k, v in clock().items()}
    detector = Cathode(REGION, density=FrozenEstimator(density), classifier=classifier, seed=seed)
    clock()
    detector.fit(events.features, events.m)
    out |= {f"classifier {k}": v for k, v in clock().items()}
    mass = MassDensity(events.m[~outside], detector.region_).sample(100_000, np.random.default_rng(0))
    clock()
    density.sample(mass, np.random.default_rng(1))
    out |= {f"sampling 100k {k}": v for k, v in clock().items()}
    score = detector.score(events.features[~outside], events.m[~outside])
    out |= {f"scores {k}": v for k, v in clock().items()}
    curve = roc(detector.score(test.features, test.m), test.label)
    held = test.background[:20_000]
    truth = Toy().log_background(held.features, held.m)
    divergence = truth - np.maximum(density.log_prob(held.features, held.m), -60)
    return out | {
        "events in the region": len(score),
        "sic 1e-3": curve.sic_at(1e-3)[0],
        "sic error": curve.sic_at(1e-3)[1],
        "divergence": float(divergence.mean()),
        "divergence error": float(divergence.std() / np.sqrt(len(divergence))),
        "epochs": len(density.histories_[0]["validation"]),
    }


def report(jobs: dict[str, dict], command: str) -> dict:
    def row(key: str, one: dict) -> list[object]:
        name, events, _ = key.split("/")
        parts = [one[f"{part} cpu seconds"] for part in ("density", "classifier", "scores")]
        return [
            *(name, one["device"], int(events), one["epochs"], *parts, sum(parts)),
            *(one["divergence"], one["divergence error"], one["sic 1e-3"], one["sic error"]),
        ]

    return {
        "title": "One window of CATHODE",
        "command": command,
        "tables": [
            {
                "title": "",
                "columns": [
                    *("recipe", "device", "sideband events", "epochs", "density CPU s"),
                    *("10 classifiers CPU s", "scores CPU s", "sum CPU s", "KL in the region", "error"),
                    *("SIC at FPR 1e-3", "error"),
                ],
                "rows": [row(key, one) for key, one in jobs.items()],
            }
        ],
        "notes": [
            "One thread; drawing 4 background events per event of the region is part of the 10 classifiers'."
            " A scan of 10 windows in 5 folds trains 50 times on four fifths of the events.",
            "KL: mean of log p_true(x | m) - log p(x | m) over background in the signal region, in nats.",
            "paper: 15 affine masked autoregressive layers of 128 units, Adam 1e-4, batches of 256, mean of"
            " the 10 best epochs (2109.00546), without its batch normalisation; classifiers of 64-64-64"
            " units, Adam 1e-3, batches of 128, mean of the 10 best epochs. default: ConditionalDensity() and"
            " TreeEnsemble(). large batches: 4 flows of 12 epochs, batches of 4096.",
        ],
        "jobs": jobs,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sidebands", type=int, default=500_000, help="of the window that is timed")
    parser.add_argument(
        "--compare", type=int, nargs="*", default=[50_000], help="sideband events for the paper's recipe, too"
    )
    parser.add_argument("--epochs", type=int, default=100, help="of the paper's recipe")
    parser.add_argument("--device", default="cpu", help="where networks are trained")
    parser.add_argument("--recipes", nargs="+", default=["default", "large batches", "paper"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("docs/results/bumphunt_speed.json"))
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    jobs: dict[str, dict] = json.loads(args.json.read_text())["jobs"] if args.json.exists() else {}
    command = f"python benchmarks/bumphunt_speed.py --sidebands {args.sidebands}"
    command += f" --compare {' '.join(map(str, args.compare))} --epochs {args.epochs}"
    command += f" --recipes {shlex.join(args.recipes)}"
    device = args.device if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device != "cpu" else "CPU"
    made = {
        "default": (ConditionalDensity(device=device), TreeEnsemble()),
        "large batches": (ConditionalDensity(device=device, **LARGE), TreeEnsemble()),
        "paper": (
            ConditionalDensity.maf(epochs=args.epochs, device=device),
            NetworkEnsemble(epochs=args.epochs, device=device),
        ),
    }
    for name in args.recipes:
        for sidebands in sorted({*args.compare, args.sidebands}):
            key = f"{name}/{sidebands}/{args.seed}"
            if key in jobs or (name == "paper" and sidebands not in args.compare):
                continue
            jobs[key] = window(sidebands, *made[name], args.seed) | {"device": where}
            print(key, jobs[key], flush=True)
            write_json(args.json, report(jobs, command))
    write_json(args.json, report(jobs, command))


if __name__ == "__main__":
    main()
