"""Anomaly detectors on a toy whose densities, and so the best possible score, are known.

    python benchmarks/bumphunt_detectors.py [--background 300000 --signal 500] [--seeds 10] [--samples ...]

Each (sample, size, method, seed) is one job: its result is stored at once in --json, and jobs that are there
already are not run again. One density of the background per seed is shared by all methods that need one.
Methods are scored on test events of the signal region that nobody trains on, the same for all.

--workers processes share the seeds. --device is where flows are trained. After --seconds no job begins.
--add takes over the jobs of other files, made by parts of the same command on other machines.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import math
import multiprocessing
import shlex
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from bumphunt_tables import (
    ANY,
    LEARNED_SEEDS,
    METHODS,
    PURE,
    SUPERVISED_SIGNAL,
    TEST_BACKGROUND,
    TEST_SIGNAL,
    report,
)
from sklearn.frozen import FrozenEstimator

from lhcflow.bumphunt import (
    Anode,
    Cathode,
    ConditionalDensity,
    CWoLa,
    Events,
    IdealizedDetector,
    LaCathode,
    RAnode,
    Supervised,
    Toy,
    roc,
)
from lhcflow.bumphunt.limits import Limits
from lhcflow.bumphunt.toy import background_fraction
from lhcflow.classifiers import TreeEnsemble
from lhcflow.files import write_json

REGION = (3.3, 3.7)
TOYS: dict[str, dict] = {"default": {}, "shifted": {"shifted": True}, "noise": {"noise": 10}}
CLASSES = {
    "supervised": Supervised,
    "idealized": IdealizedDetector,
    "CATHODE": Cathode,
    "LaCATHODE": LaCathode,
    "R-ANODE": RAnode,
    "CWoLa": CWoLa,
    "ANODE": Anode,
}
VARIANTS: dict[str, dict] = {
    "": {},
    "m": {"use_mass": True},
    "learned w": {"learn_fraction": True, "fraction": 0.01},
}
LARGE = {"batch_size": 4096, "learning_rate": 6e-3, "epochs": 12}
DENSITY = {"members": 2, **LARGE}
WEAK_DENSITY = {"members": 4, **LARGE}
"""Densities of the background in large batches; more of them for few signal events among a million."""
NOISE_MEMBERS = 20
"""Classifiers in an ensemble where most features say nothing; elsewhere the default of 10."""
WEAK_RANODE = {"batch_size": 4096, "learning_rate": 1e-2}


def seeded(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


@lru_cache(1)
def test_events(toy: str, part: int) -> Events:
    """One ``part``-th of the test events."""
    kind = Toy(**TOYS[toy])
    background = kind.sample(TEST_BACKGROUND // part, 0, seeded(1), REGION)
    return Events.concatenate([background, kind.sample(0, TEST_SIGNAL // part, seeded(2), REGION)])


@lru_cache(1)
def data(toy: str, background: int, signal: int, seed: int) -> Events:
    """Events of the analysis; the background does not depend on the amount of signal."""
    kind = Toy(**TOYS[toy])
    return Events.concatenate(
        [kind.sample(background, 0, seeded(3, seed)), kind.sample(0, signal, seeded(4, seed))]
    )


@lru_cache(1)
def density(
    toy: str, background: int, signal: int, seed: int, weak: bool, device: str
) -> tuple[ConditionalDensity, float]:
    """The density of the background, and the CPU seconds of its training."""
    events = data(toy, background, signal, seed)
    outside = (events.m < REGION[0]) | (events.m >= REGION[1])
    limits = Limits(events.features, events.m)
    start = time.process_time()
    trained = ConditionalDensity(seed=seed, device=device, **(WEAK_DENSITY if weak else DENSITY))
    trained.fit(events.features[outside], events.m[outside], limits)
    return trained, time.process_time() - start


def scores(
    method: str, toy: str, background: int, signal: int, seed: int, shared: int | None, device: str
) -> tuple[np.ndarray, dict]:
    """Scores of the test events, and what else is worth noting.

    ``shared`` is the number of signal events in the data of the density at few signal events, None elsewhere.
    """
    weak = shared is not None
    test = test_events(toy, 2 if weak else 1)
    if method.startswith("exact"):
        kind = Toy(**TOYS[toy])
        if method == "exact":
            return kind.log_ratio(test.features, test.m), {}
        return kind.log_ratio_without_mass(test.features, REGION, points=40), {}
    events = data(toy, background, signal, seed)
    name, _, variant = method.partition(" with ")
    settings: dict = {"seed": seed} | VARIANTS[variant]
    arguments: dict = {}
    before = 0.0
    if name in ("CATHODE", "LaCATHODE", "R-ANODE", "ANODE"):
        trained, before = density(toy, background, shared if weak else signal, seed, weak, device)
        settings |= (WEAK_RANODE | {"device": device}) if weak else {}
        settings["density"] = FrozenEstimator(trained)
    elif name in ("idealized", "supervised"):
        n = int(PURE * background * background_fraction(*REGION))
        pure = Toy(**TOYS[toy]).sample(n, 0, seeded(5, seed), REGION)
        arguments["background"] = (pure.features, pure.m)
        if name == "supervised":
            more = Toy(**TOYS[toy]).sample(0, SUPERVISED_SIGNAL, seeded(6, seed))
            events = Events.concatenate([events, pure, more])
            arguments = {"labels": events.label}
    if toy == "noise":
        settings["classifier"] = TreeEnsemble(members=NOISE_MEMBERS)
    detector = CLASSES[name](REGION, **settings)
    start = time.process_time()
    detector.fit(events.features, events.m, **arguments)
    spent = {"cpu seconds": time.process_time() - start, "density cpu seconds": before}
    if isinstance(detector, RAnode):
        inside = (events.m >= REGION[0]) & (events.m < REGION[1])
        spent |= {"fraction": detector.fraction_, "true fraction": float(events.label[inside].mean())}
    return detector.score(test.features, test.m), spent


def run(
    method: str, toy: str, background: int, signal: int, seed: int, shared: int | None, device: str
) -> dict[str, object]:
    """One job."""
    score, more = scores(method, toy, background, signal, seed, shared, device)
    curve = roc(score, test_events(toy, 1 if shared is None else 2).label)
    strict, error = curve.sic_at(1e-3)
    return {
        "sic 1e-3": strict,
        "error": error,
        "sic 1e-2": curve.sic_at(1e-2)[0],
        "max sic": curve.max_sic(),
        "auc": curve.auc,
        "machine": machine(device),
        **more,
    }


def jobs_of(samples: list[str], background: int, signal: int, seeds: int, weak: list[int], weak_n: int):
    """(key, toy, background, signal, method, seed, ``shared`` of :func:`scores`)."""
    for seed in range(seeds):
        for sample in samples:
            if sample == "weak":
                for n in weak:
                    for method in METHODS[sample]:
                        key = f"weak/{weak_n}+{n}/{method}/{seed}"
                        yield key, "default", weak_n, n, method, seed, max(weak)
                continue
            for method in METHODS[sample]:
                last = 1 if method.startswith("exact") else LEARNED_SEEDS if "learned" in method else seeds
                if seed >= last:
                    continue
                size = ANY if method.startswith("exact") else f"{background}+{signal}"
                yield f"{sample}/{size}/{method}/{seed}", sample, background, signal, method, seed, None


def machine(device: str) -> str:
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name() + " and one CPU core"
    return "one CPU core"


def simple_command(args: argparse.Namespace) -> str:
    command = f"python benchmarks/bumphunt_detectors.py --background {args.background}"
    command += f" --signal {args.signal} --seeds {args.seeds} --samples {' '.join(args.samples)}"
    if args.methods:
        command += f" --methods {shlex.join(args.methods)}"
    if "weak" in args.samples:
        command += f" --weak {' '.join(map(str, args.weak))} --weak-background {args.weak_background}"
    return command


class Store:
    """The results in a file, written by one process at a time."""

    def __init__(self, path: Path, command: str, lock) -> None:
        self.path, self.command, self.lock = path, command, lock

    def jobs(self) -> dict[str, dict]:
        return json.loads(self.path.read_text())["jobs"] if self.path.exists() else {}

    def add(self, jobs: dict[str, dict]) -> None:
        with self.lock:
            before = json.loads(self.path.read_text()) if self.path.exists() else {"jobs": {}, "commands": []}
            commands = list(dict.fromkeys([*before["commands"], self.command]))
            write_json(self.path, report(before["jobs"] | jobs, commands))


def work(plan: list[tuple], device: str, end: float) -> None:
    """Run jobs one after the other, and store each."""
    for key, *job in plan:
        if time.time() > end:
            return
        result = run(*job, device)
        STORE.add({key: result})
        print(
            key, {k: v if isinstance(v, str) else round(float(v), 4) for k, v in result.items()}, flush=True
        )


def begin(store: Store) -> None:
    """Of every process."""
    global STORE
    import torch

    torch.set_num_threads(1)
    STORE = store


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--background", type=int, default=300_000)
    parser.add_argument("--signal", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", nargs="+", default=["default", "shifted", "noise"], choices=METHODS)
    parser.add_argument("--methods", nargs="+", default=None, help="all if not given")
    parser.add_argument("--weak", nargs="+", type=int, default=[300, 450, 600])
    parser.add_argument("--weak-background", type=int, default=1_000_000)
    parser.add_argument("--device", default="cpu", help="cpu, or auto for a GPU if there is one")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--add", nargs="+", type=Path, default=[], help="files whose jobs are taken over")
    parser.add_argument("--json", type=Path, default=Path("docs/results/bumphunt_detectors.json"))
    args = parser.parse_args()
    end = time.time() + args.seconds
    spawn = multiprocessing.get_context("spawn")
    store = Store(args.json, simple_command(args), spawn.Lock())
    for path in args.add:
        store.add(json.loads(path.read_text())["jobs"])
    known = store.jobs()
    groups: dict[tuple, list] = {}
    for job in jobs_of(
        args.samples, args.background, args.signal, args.seeds, args.weak, args.weak_background
    ):
        key, toy, background, signal, method, seed, shared = job
        if key not in known and method in (args.methods or [method]):
            row = (key, method, toy, background, signal, seed, shared)
            groups.setdefault((seed, toy, background), []).append(row)
    plans = list(groups.values())
    if args.workers == 1:
        begin(store)
        for plan in plans:
            work(plan, args.device, end)
        return
    with ProcessPoolExecutor(args.workers, spawn, begin, (store,)) as pool:
        # Waiting for all results also raises what went wrong in a process.
        list(pool.map(work, plans, [args.device] * len(plans), [end] * len(plans)))


if __name__ == "__main__":
    main()
