"""Quality of showers: classifiers of Geant4 against HitFlow, CaloFlow's teacher and student, and more Geant4.

    python benchmarks/calo_quality.py SHOWERS.h5 [MORE.h5 ...] --folder DIR [--device cuda] [--json FILE]

The first --train showers of all files (half of them by default) train the models, which also see their
reflections; only the teacher as published (2106.05285) does not. The others are the real sample of the
classifiers; generated showers have its incident energies.
The floor is the real sample against the showers of the training: Geant4 against Geant4.

Levels are the classifiers of 2106.05285 (3 x 512) and of the CaloChallenge (2410.21611, 3 x 2048) as
published; a network that sees the logarithms of normalised voxels, and reflects them at random; and boosted
trees, which see the CaloChallenge's features and what :func:`occupancy` gives.

Models, samples and results in --folder are taken, not made again; several processes may work in it, each with
--samples and --levels of its own (none: only models and samples). The JSON file has all that is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from lhcflow.calorimeter import Showers, read_showers, write_showers
from lhcflow.calorimeter.inputs import VoxelInputs, classifier_inputs, high_level_inputs
from lhcflow.calorimeter.models import (
    CaloFlow,
    HitFlow,
    Reflections,
    ShowerModel,
    TimeIsUp,
    TrainingSettings,
    distill,
    new_student,
)
from lhcflow.classifiers import CALOCHALLENGE, CALOFLOW, Recipe, auc, classifier_test
from lhcflow.files import write_json

FLOOR, HITFLOW, TEACHER, STUDENT = "Geant4 (floor)", "HitFlow", "CaloFlow teacher", "CaloFlow student"
PLAIN = "CaloFlow teacher as published"
SAMPLES = (FLOOR, HITFLOW, PLAIN, TEACHER, STUDENT)
PUBLISHED: dict[str, tuple[str, Any, Recipe]] = {
    "unnormalised": ("caloflow", "low", CALOFLOW),
    "normalised": ("caloflow", "low-normalised", CALOFLOW),
    "CaloChallenge, low level": ("calochallenge", "low", CALOCHALLENGE),
    "CaloChallenge, normalised": ("calochallenge", "low-normalised", CALOCHALLENGE),
    "CaloChallenge, high level": ("calochallenge", "high", CALOCHALLENGE),
}
LOGARITHMS, TREES = "logarithms", "boosted trees"
LEVELS = (*PUBLISHED, LOGARITHMS, TREES)
GROWTH = ("unnormalised", "normalised", TREES)
"""Levels whose areas are measured with fewer showers, too."""
OWN = dataclasses.replace(CALOFLOW, hidden=(256, 256, 256), batch_size=200, epochs=30)


class Logarithms:
    """Logarithms of normalised voxels of showers that are reflected at random on every access."""

    def __init__(self, showers: Showers, seed: int) -> None:
        mirror = Reflections.of(showers.geometry)
        voxels = torch.from_numpy(showers.voxels)
        copies = [mirror.reflect(voxels, a, b).numpy() for a in (False, True) for b in (False, True)]
        inputs = [
            VoxelInputs(Showers(showers.geometry, showers.energy, copy), True, "caloflow") for copy in copies
        ]
        self.copies = torch.stack([part.rows(torch.arange(len(voxels))) for part in inputs])
        part = self.copies[..., : showers.geometry.voxels]
        part.copy_(part.clamp_min(1e-7).log10() / 3 + 1)
        self.dim = self.copies.shape[2]
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.copies.shape[1]

    def rows(self, index: torch.Tensor) -> torch.Tensor:
        chosen = torch.randint(0, 4, (len(index),), generator=self.generator)
        return self.copies[chosen, index]


class Folder:
    """Models, samples, results and CPU times of one split of the showers."""

    def __init__(self, path: Path, args: argparse.Namespace, kept: Showers, real: Showers) -> None:
        self.path, self.args, self.kept, self.real = path, args, kept, real
        (path / "tests").mkdir(parents=True, exist_ok=True)

    def file(self, sample: str, kind: str) -> Path:
        return self.path / f"{sample.split()[-1].lower()}{kind}"

    def sample(self, name: str) -> Showers:
        """Showers of a model for the energies of the real sample."""
        if name == FLOOR:
            return self.kept.cut()
        path = self.file(name, ".h5")
        if not path.is_file():
            model = self.model(name).to(self.args.device)
            model.sample(self.real.energy_mev[:256])
            start = time.perf_counter(), time.process_time()
            voxels = model.sample(self.real.energy_mev, seed=7)
            self.note(name, "ms", 1e3 * (time.perf_counter() - start[0]) / len(self.real))
            self.note(name, "cpu ms", 1e3 * (time.process_time() - start[1]) / len(self.real))
            made = Showers(self.real.geometry, self.real.energy, voxels)
            write_showers(path, made.cut())
        return read_showers(path)

    def model(self, name: str) -> ShowerModel:
        """A model, trained if it is not there."""
        path = self.file(name, ".safetensors")
        if not path.is_file():
            start = time.perf_counter(), time.process_time()
            self.trained(name).save(path)
            self.note(name, "seconds", time.perf_counter() - start[0])
            self.note(name, "cpu seconds", time.process_time() - start[1])
        return ShowerModel.load(path)

    def trained(self, name: str) -> ShowerModel:
        args, geometry = self.args, self.kept.geometry
        energy = TrainingSettings(
            epochs=60, device=args.device, progress=False, reflections=Reflections.of(geometry)
        )
        voxel = dataclasses.replace(energy, epochs=args.epochs, seconds=args.seconds)
        given = self.kept.energy_mev, self.kept.voxels
        try:
            if name == HITFLOW:
                model: ShowerModel = HitFlow.build([layer.shape for layer in geometry.layers])
                model.train_on(*given, energy)
            elif name in (TEACHER, PLAIN):
                if name == PLAIN:
                    energy, voxel = (dataclasses.replace(s, reflections=None) for s in (energy, voxel))
                folder = self.file(name, "")
                folder.mkdir(exist_ok=True)
                model = CaloFlow.build([layer.size for layer in geometry.layers])
                made = model.train_on(*given, voxel, energy_settings=energy, folder=folder, resume=True)
                self.note(name, "best epoch", float(np.nanargmin(made["voxels"]["validation"])) + 1)
            else:
                teacher = self.model(TEACHER)
                assert isinstance(teacher, CaloFlow)
                model = new_student(teacher)
                distill(teacher, *given, voxel, folder=self.path, resume=True, student=model)
        except TimeIsUp:
            self.note(name, "stopped", 1.0)
        return model

    def note(self, name: str, key: str, value: float) -> None:
        path = self.file(name, ".json")
        write_json(path, self.notes(name) | {key: value})
        print(f"{name}: {key} {value:.4g}", flush=True)

    def notes(self, name: str) -> dict[str, float]:
        path = self.file(name, ".json")
        return json.loads(path.read_text()) if path.is_file() else {}

    def result(self, name: str, level: str, n: int, make: bool) -> list[Any] | None:
        """Mean and spread of the area and mean divergence of a test with ``n`` showers in each class."""
        slug = "".join(c if c.isalnum() else "-" for c in f"{name} {level} {n}")
        path = self.path / "tests" / f"{slug}.json"
        if not path.is_file() and make:
            other, start = self.sample(name), time.perf_counter()
            areas, jsd = test(self.real[:n], other[:n], level, self.args.repeats, self.args.device)
            write_json(path, [float(areas.mean()), float(areas.std(ddof=1)), jsd])
            print(
                name,
                level,
                n,
                json.loads(path.read_text()),
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
        return json.loads(path.read_text()) if path.is_file() else None


def test(
    real: Showers, other: Showers, level: str, repeats: int, device: str
) -> tuple[np.ndarray, float | None]:
    """Areas (repeats,) and the mean divergence."""
    if level == TREES:
        return np.array([boosted(real, other, seed) for seed in range(repeats)]), None
    if level == LOGARITHMS:
        pair: list[Any] = [Logarithms(real, 1), Logarithms(other, 2)]
        recipe = OWN
    else:
        protocol, inputs, recipe = PUBLISHED[level]
        pair = [classifier_inputs(s, inputs, protocol) for s in (real, other)]
    result = classifier_test(pair[0], pair[1], recipe, repeats=repeats, device=device)
    return result.auc, float(result.jsd.mean())


def boosted(real: Showers, other: Showers, seed: int) -> float:
    """Area of gradient boosted trees on features, in five folds."""
    random = np.random.default_rng(seed)
    n = min(len(real), len(other))
    parts = [s[random.permutation(len(s))[:n]] for s in (real, other)]
    x = np.concatenate([np.c_[high_level_inputs(s), occupancy(s)] for s in parts])
    label, fold = np.repeat([1, 0], n), np.tile(np.arange(n) % 5, 2)
    score = np.zeros(2 * n)
    for held in range(5):
        trees = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.06, max_leaf_nodes=12, random_state=seed
        )
        trees.fit(x[fold != held], label[fold != held])
        score[fold == held] = trees.predict_proba(x[fold == held])[:, 1]
    return float(auc(score, label))


def occupancy(showers: Showers) -> np.ndarray:
    """For each layer: numbers of hits and of pairs of hit neighbours along both axes, mean and standard
    deviation of the hits' log energies, shares of the five brightest cells, the smallest hit.
    """
    columns = []
    for number in range(len(showers.geometry.layers)):
        voxels = showers.layer(number).astype(float)
        hit = voxels > 0
        flat, count = voxels.reshape(len(voxels), -1), np.maximum(hit.sum((1, 2)), 1)
        logs = np.where(flat > 0, np.log(np.maximum(flat, 1e-2)), 0.0)
        mean = logs.sum(1) / count
        columns += [
            hit.sum((1, 2)),
            (hit[:, 1:] & hit[:, :-1]).sum((1, 2)),
            (hit[:, :, 1:] & hit[:, :, :-1]).sum((1, 2)),
            mean,
            np.sqrt(np.maximum((logs**2).sum(1) / count - mean**2, 0.0)),
            *(np.sort(flat, 1)[:, -5:] / np.maximum(flat.sum(1, keepdims=True), 1e-9)).T,
            np.where(flat > 0, flat, 1e9).min(1),
        ]
    return np.stack(columns, 1)


def joined(parts: list[Showers]) -> Showers:
    """The showers of several files as one."""
    return Showers(
        parts[0].geometry,
        np.concatenate([part.energy for part in parts]),
        np.concatenate([part.voxels for part in parts]),
    )


def quality(folder: Folder, n: int) -> Iterator[list[Any]]:
    for level in LEVELS:
        floor = folder.result(FLOOR, level, n, make=False)
        for name in SAMPLES:
            found = folder.result(name, level, n, make=False)
            if found is None:
                continue
            notes = folder.notes(name)
            above = None if floor is None else found[0] - floor[0]
            times = [notes.get(key) for key in ("seconds", "cpu seconds", "ms", "cpu ms")]
            yield [level, name, found[0], found[1], above, found[2], *times]


def growth(folder: Folder, n: int) -> Iterator[list[Any]]:
    for level in GROWTH:
        for size in (n // 4, n // 2, n):
            pair = [folder.result(name, level, size, make=False) for name in (HITFLOW, FLOOR)]
            if all(pair):
                yield [level, size, *(value for found in pair if found for value in found[:2])]


def report(folder: Folder, n: int, args: argparse.Namespace) -> dict[str, Any]:
    files = " ".join(file.name for file in args.showers)
    where = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
    notes = [
        f"{args.name} of 1 to 100 GeV, Geant4 with data-free physics: {len(folder.kept):,} showers trained "
        f"the models (with reflections, but for the teacher as published; 10 % held out), {n:,} others are "
        "the real sample of all tests; the floor is these against those of the training.",
        "unnormalised, normalised: the classifier of 2106.05285 (3 x 512, 150 epochs, batches of 1000); "
        "CaloChallenge: that of 2410.21611 (3 x 2048, 50 epochs). logarithms: 3 x 256, 30 epochs, random "
        f"reflections. {args.repeats} repeats with other splits: each one's area is of a fifth of the "
        f"showers, a standard error of {math.sqrt(1 / 6 / (n / 5)):.3f} (trees: of all, in five folds, "
        f"{math.sqrt(1 / 6 / n):.3f}).",
    ]
    notes += [
        f"{name}: the lowest validation loss of flow II, whose weights are taken, is that of epoch "
        f"{folder.notes(name)['best epoch']:.0f} of {args.epochs}."
        for name in SAMPLES
        if "best epoch" in folder.notes(name)
    ]
    stopped = [name for name in SAMPLES if "stopped" in folder.notes(name)]
    if stopped:
        notes.append(f"Stopped at a limit of time, best epoch so far: {', '.join(stopped)}.")
    return {
        "title": f"Quality of showers (CaloGAN geometry, {args.name}, {n:,} of each kind)",
        "command": f"python benchmarks/calo_quality.py {files} --name {args.name} --folder DIR "
        f"--train {len(folder.kept)} --epochs {args.epochs} --repeats {args.repeats} --device {args.device}",
        "machine": args.machine or f"{platform.machine()}, torch {torch.__version__}, {where}",
        "notes": notes,
        "tables": [
            {
                "title": "Classifier of Geant4 against",
                "columns": [
                    *("classifier", "sample", "AUC", "sd of repeats", "AUC - floor", "JSD"),
                    *("training, s", "training, CPU s", "sampling, ms / shower", "CPU ms / shower"),
                ],
                "rows": list(quality(folder, n)),
            },
            {
                "title": "AUC against the number of showers in each class",
                "columns": ["classifier", "showers", "HitFlow", "sd", "Geant4 (floor)", "sd of floor"],
                "rows": list(growth(folder, n)),
            },
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("showers", type=Path, nargs="+")
    parser.add_argument("--name", default="e+", help="the particle, for the title")
    parser.add_argument("--train", type=int, help="showers that train the models; half by default")
    parser.add_argument("--folder", type=Path, required=True, help="of models, samples and results")
    parser.add_argument("--samples", nargs="*", default=SAMPLES, choices=SAMPLES)
    parser.add_argument("--levels", nargs="*", default=LEVELS, choices=LEVELS)
    parser.add_argument("--epochs", type=int, default=100, help="of the teacher's and the student's training")
    parser.add_argument("--seconds", type=float, help="limit of each of these, in wall time")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", help="what the JSON file says of it")
    parser.add_argument("--json", type=Path, default=Path("docs/results/calo_quality.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    showers = joined([read_showers(file) for file in args.showers])
    number = args.train or len(showers) // 2
    n = min(number, len(showers) - number)
    folder = Folder(args.folder, args, showers[:number], showers[number:][:n].cut())
    sizes: Callable[[str, str], tuple[int, ...]] = lambda name, level: (  # noqa: E731
        (n, n // 4, n // 2) if level in GROWTH and name in (FLOOR, HITFLOW) else (n,)
    )
    for name in args.samples:
        folder.sample(name)
        for level in args.levels:
            for size in sizes(name, level):
                folder.result(name, level, size, make=True)
                write_json(args.json, report(folder, n, args))
    write_json(args.json, report(folder, n, args))


if __name__ == "__main__":
    main()
