"""Quality of shower models: classifiers of Geant4 against HitFlow, the CaloFlow teacher, and more Geant4.

    python benchmarks/calo_quality.py SHOWERS.h5 [MORE.h5 ...] --folder DIR [--json FILE]

The first --train showers of all files train both models, which also see their reflections. Of the others one
half is the real sample of the classifiers, and generated showers have its incident energies; the other half
against it is the floor, Geant4 against Geant4. Inputs are those of 2106.05285, unnormalised and normalised,
and a third set that sees more: the logarithm of normalised voxels. Classifiers reflect their showers at
random, so that few showers go further; they are smaller than the published ones, the same for all samples.
Boosted trees see the CaloChallenge's features and what :func:`occupancy` gives. --published adds the
classifier of 2106.05285 as it is.

The teacher stops after --seconds of wall time, with its best weights, or is left out if --seconds is 0; CPU
times are in the table. "Independent cells" is HitFlow without what cells know of each other. Models and tests
in --folder are taken, not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from lhcflow.calorimeter import Showers, read_showers
from lhcflow.calorimeter.inputs import VoxelInputs, high_level_inputs
from lhcflow.calorimeter.models import CaloFlow, HitFlow, Reflections, ShowerModel, TimeIsUp, TrainingSettings
from lhcflow.classifiers import CALOFLOW, auc, classifier_test
from lhcflow.files import write_json

RECIPE = dataclasses.replace(CALOFLOW, hidden=(128, 128, 128), batch_size=200, epochs=20)
LARGER = dataclasses.replace(RECIPE, hidden=(256, 256, 256), epochs=30)  # for logarithms
LEVELS = ("unnormalised", "normalised", "logarithms", "boosted trees")
PUBLISHED = {"unnormalised, 3 x 512": False, "normalised, 3 x 512": True}
"""Levels with the recipe of 2106.05285, and whether voxels are normalised."""
FLOOR = "Geant4 (floor)"
INDEPENDENT = "independent cells"


class Mirrored:
    """Inputs of showers that are reflected at random on every access."""

    def __init__(self, showers: Showers, level: str, seed: int) -> None:
        mirror = Reflections.of(showers.geometry)
        voxels = torch.from_numpy(showers.voxels)
        copies = [mirror.reflect(voxels, a, b).numpy() for a in (False, True) for b in (False, True)]
        protocol = [
            VoxelInputs(Showers(showers.geometry, showers.energy, copy), level != "unnormalised", "caloflow")
            for copy in copies
        ]
        self.copies = torch.stack([inputs.rows(torch.arange(len(voxels))) for inputs in protocol])
        if level == "logarithms":
            part = self.copies[..., : showers.geometry.voxels]
            part.copy_(part.clamp_min(1e-7).log10() / 3 + 1)
        self.dim = self.copies.shape[2]
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.copies.shape[1]

    def rows(self, index: torch.Tensor) -> torch.Tensor:
        chosen = torch.randint(0, 4, (len(index),), generator=self.generator)
        return self.copies[chosen, index]


def train(folder: Path, showers: Showers, seconds: float, epochs: int) -> dict[str, float]:
    """Train what is not in the folder; CPU seconds of each part."""
    record = folder / "cpu_seconds.json"
    spent: dict[str, float] = json.loads(record.read_text()) if record.is_file() else {}
    energy = TrainingSettings(epochs=60, progress=False, reflections=Reflections.of(showers.geometry))
    voxel = dataclasses.replace(energy, epochs=epochs, schedule="constant", seconds=seconds)

    def timed(name: str, work: Callable[[], Any]) -> None:
        start = time.process_time()
        work()
        spent[name] = time.process_time() - start
        write_json(record, spent)
        print(f"{name}: {spent[name]:.1f} CPU s", flush=True)

    if not (folder / "hitflow.safetensors").is_file():
        hitflow = HitFlow([layer.shape for layer in showers.geometry.layers])
        timed("hitflow", lambda: hitflow.train_on(showers.energy_mev, showers.voxels, energy))
        hitflow.save(folder / "hitflow.safetensors")
    if seconds > 0 and not (folder / "teacher.safetensors").is_file():
        teacher = CaloFlow.build([layer.size for layer in showers.geometry.layers])

        def run() -> None:
            try:
                teacher.train_on(
                    showers.energy_mev,
                    showers.voxels,
                    voxel,
                    energy_settings=energy,
                    folder=folder,
                    resume=True,
                )
            except TimeIsUp:
                print("the teacher's time is up", flush=True)

        timed("teacher", run)
        teacher.save(folder / "teacher.safetensors")
    return spent


def test(real: Showers, other: Showers, level: str, repeats: int) -> tuple[np.ndarray, float | None]:
    """Areas (repeats,) and the mean divergence."""
    if level == "boosted trees":
        return np.array([boosted(real, other, seed) for seed in range(repeats)]), None
    if level in PUBLISHED:
        pair = [VoxelInputs(s, PUBLISHED[level], "caloflow") for s in (real, other)]
        recipe = CALOFLOW
    else:
        pair = [Mirrored(real, level, 1), Mirrored(other, level, 2)]
        recipe = LARGER if level == "logarithms" else RECIPE
    result = classifier_test(pair[0], pair[1], recipe, repeats=repeats)
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


def sample_of(model: ShowerModel, real: Showers) -> tuple[Showers, float]:
    """Showers of a model for given energies, and the CPU time of each in ms."""
    model.sample(real.energy_mev[:256])
    start = time.process_time()
    voxels = model.sample(real.energy_mev, seed=7)
    each = 1e3 * (time.process_time() - start) / len(real)
    return Showers(real.geometry, real.energy, voxels).cut(), each


def joined(parts: list[Showers]) -> Showers:
    """The showers of several files as one."""
    return Showers(
        parts[0].geometry,
        np.concatenate([part.energy for part in parts]),
        np.concatenate([part.voxels for part in parts]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("showers", type=Path, nargs="+")
    parser.add_argument("--name", default="e+", help="the particle, for the title")
    parser.add_argument("--train", type=int, help="showers that train the models; a third by default")
    parser.add_argument("--published", action="store_true", help="the classifier of 2106.05285 too")
    parser.add_argument("--folder", type=Path, required=True, help="of the models")
    parser.add_argument("--seconds", type=float, default=3600.0, help="wall time of the teacher's training")
    parser.add_argument("--epochs", type=int, default=100, help="most epochs of the teacher's training")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("docs/results/calo_quality.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.folder.mkdir(parents=True, exist_ok=True)
    showers = joined([read_showers(file) for file in args.showers])
    number = args.train or len(showers) // 3
    half = (len(showers) - number) // 2
    kept, real, second = showers[:number], showers[number:][:half].cut(), showers[number:][half:].cut()
    spent = train(args.folder, kept, args.seconds, args.epochs)
    levels = (*LEVELS, *(PUBLISHED if args.published else ()))
    models = {"HitFlow": "hitflow", INDEPENDENT: "hitflow"}
    if args.seconds > 0:
        models["CaloFlow teacher"] = "teacher"
    done = args.folder / "tests.json"
    known: dict[str, list[Any]] = json.loads(done.read_text()) if done.is_file() else {}
    each: dict[str, float] = {}
    for name in (FLOOR, *models):
        other = second
        if name in models:
            model = ShowerModel.load(args.folder / f"{models[name]}.safetensors")
            if isinstance(model, HitFlow) and name == INDEPENDENT:
                model.terms.zero_()
                model.links.zero_()
            other, each[name] = sample_of(model, real)
        for level in LEVELS if name == INDEPENDENT else levels:
            key = f"{name}, {level}, {args.repeats}"
            if key not in known:
                areas, divergence = test(real, other, level, args.repeats)
                known[key] = [float(areas.mean()), float(areas.std(ddof=1)), divergence]
                write_json(done, known)
            print(key, known[key], flush=True)
        for n in (half // 4, half // 2) if name in (FLOOR, "HitFlow") else ():
            for level in LEVELS:
                key = f"{name}, {level}, {args.repeats}, {n}"
                if key not in known:
                    areas, _ = test(real[:n], other[:n], level, args.repeats)
                    known[key] = [float(areas.mean()), float(areas.std(ddof=1)), None]
                    write_json(done, known)
                print(key, known[key], flush=True)
    rows = []
    for level in levels:
        for name in (FLOOR, *(m for m in models if m != INDEPENDENT or level in LEVELS)):
            mean, spread, jsd = known[f"{name}, {level}, {args.repeats}"]
            above = mean - known[f"{FLOOR}, {level}, {args.repeats}"][0]
            cpu = spent.get(models.get(name, ""))
            rows.append([level, name, mean, spread, above, jsd, cpu, each.get(name)])
    growth = []
    for level in LEVELS:
        for n in (half // 4, half // 2, half):
            size = "" if n == half else f", {n}"
            pair = [known[f"{name}, {level}, {args.repeats}{size}"][:2] for name in ("HitFlow", FLOOR)]
            growth.append([level, n, *pair[0], *pair[1]])
    report = {
        "title": f"Quality of showers (CaloGAN geometry, {args.name})",
        "command": f"python benchmarks/calo_quality.py {' '.join(file.name for file in args.showers)} "
        f"--name {args.name} --folder DIR --train {number} --repeats {args.repeats} "
        f"--seconds {args.seconds:g}{' --published' if args.published else ''}",
        "machine": f"{platform.machine()}, torch {torch.__version__}, one thread",
        "notes": [
            f"{args.name} of 1 to 100 GeV, Geant4 with data-free physics: {len(kept):,} showers trained both "
            f"models (with reflections; 10 % held out); {len(real):,} others are the tests' real sample, and "
            f"{len(second):,} more the floor's.",
            f"Classifiers: {' x '.join(map(str, RECIPE.hidden))}, {RECIPE.epochs} epochs, batches of "
            f"{RECIPE.batch_size} ({LARGER.hidden[0]} wide and {LARGER.epochs} epochs for logarithms), "
            f"{args.repeats} repeats with other splits; random reflections. "
            "With so few showers they see less than the published ones: AUCs can't be compared with those.",
            "'3 x 512' is the classifier of 2106.05285: 150 epochs, batches of 1000, no reflections."
            if args.published
            else "",
            "Each repeat's area is of a fifth of the real sample and as many others (trees: of all of it, in "
            f"five folds): a standard error of {math.sqrt(1 / 6 / (half / 5)):.2f} "
            f"({math.sqrt(1 / 6 / half):.2f}).",
            "" if args.seconds > 0 else "The CaloFlow teacher was not trained (--seconds 0).",
        ],
        "tables": [
            {
                "title": "Classifier of Geant4 against",
                "columns": [
                    "voxels",
                    "sample",
                    "AUC",
                    "sd of repeats",
                    "AUC - floor",
                    "JSD",
                    "training, CPU s",
                    "sampling, ms / shower",
                ],
                "rows": rows,
            },
            {
                "title": "AUC against the number of showers in each class",
                "columns": ["voxels", "showers", "HitFlow", "sd", "Geant4 (floor)", "sd of floor"],
                "rows": growth,
            },
        ],
    }
    report["notes"] = [note for note in report["notes"] if note]
    write_json(args.json, report)


if __name__ == "__main__":
    main()
