"""The whole evaluation of a generated sample against a real one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import device_named, whole
from ..classifiers import ClassifierTest, Recipe, classifier_test
from ..errors import InputError
from .distances import Distance, fpd, kpd
from .features import Features, features
from .inputs import LEVELS, Level, classifier_inputs, high_level_inputs, support_inputs
from .outside import Outside, as_table, outside
from .prdc import Prdc, prdc
from .separation import SeparationTable, separation_table
from .showers import Showers

OTHER_ENERGIES = 1e-3
"""p-value below which incident energies count as different: one comparison in 1000 is a false alarm."""


@dataclass(frozen=True)
class Comparison:
    """How one sample compares with another.

    Attributes
    ----------
    events : (int, int)
        Numbers of events of both samples.
    tests : dict of {"low", "low-normalised", "high"} to ClassifierTest
        The classifier tests that were made, by level.
    separation : SeparationTable
        See the functions of these names.
    fpd, kpd : Distance
        See the functions of these names.
    prdc : Prdc
        See the functions of these names.
    """

    events: tuple[int, int]
    tests: dict[Level, ClassifierTest]
    separation: SeparationTable
    fpd: Distance
    kpd: Distance
    prdc: Prdc

    def to_dict(self) -> dict[str, Any]:
        """Numbers for a result file."""
        return {
            "events": self.events,
            "classifier": {level: test.to_dict() for level, test in self.tests.items()},
            "fpd": dataclasses.asdict(self.fpd),
            "kpd": dataclasses.asdict(self.kpd),
            "prdc": dataclasses.asdict(self.prdc),
            "separation": self.separation.to_dict(),
        }


@dataclass(frozen=True)
class Evaluation:
    """Generated against real showers, and real against other real ones.

    Attributes
    ----------
    result : Comparison
        Generated against real.
    floor : Comparison or None
        Real against real, what a perfect generator would get; None if it was not wanted.
    floor_note : str
        Which samples the floor is of.
    real, generated : Features
        Features of both samples.
    outside : tuple of Outside
        Features with generated entries outside the range of the real ones.
    energies : tuple of float
        P-values (Kolmogorov-Smirnov) for the incident energies of the generated sample, and of the second
        real one if there is one, being distributed as those of the real sample.
    threshold : float
        In MeV; voxels below it were set to zero in all samples.
    seconds : dict of str to float
        Wall time of each step.
    """

    result: Comparison
    floor: Comparison | None
    floor_note: str
    real: Features
    generated: Features
    outside: tuple[Outside, ...]
    energies: tuple[float, ...]
    threshold: float
    seconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Numbers for a result file."""
        return {
            "generated": self.result.to_dict(),
            "floor": self.floor and self.floor.to_dict(),
            "floor_note": self.floor_note,
            "outside": as_table(self.outside),
            "energies_p": list(self.energies),
            "threshold_mev": self.threshold,
            "seconds": self.seconds,
        }


def evaluate(
    real: Showers,
    generated: Showers,
    recipe: Recipe,
    *,
    other_real: Showers | None = None,
    floor: bool = True,
    levels: Sequence[Level] = LEVELS,
    repeats: int = 1,
    threshold: float | None = None,
    seed: int = 0,
    device: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Compare generated with real showers by every metric.

    Parameters
    ----------
    real, generated : Showers
        Samples in one geometry.
    recipe : Recipe
        Of the classifier tests; its name ("caloflow" or "calochallenge") also chooses the inputs.
    other_real : Showers, optional
        A second real sample, independent of the first, for the floor. If None, the floor compares the two
        halves of the first: with half as many events, a test sees less.
    floor : bool
        Whether to measure it.
    levels : sequence of {"low", "low-normalised", "high"}
        Of the classifier tests.
    repeats : int
        Of the classifier tests.
    threshold : float, optional
        In MeV; voxels below it are set to zero in all samples. The geometry's own if None.
    seed : int
        Of everything random.
    device : str, optional
        Where classifiers train.
    say : callable
        Told what is being done.

    Raises
    ------
    InputError
        If the geometries differ or samples are too small.
    """
    seed, repeats = whole(seed, "seed", 0), whole(repeats, "repeats", 1)
    if device is not None:
        device_named(device)
    for level in levels:
        if level not in LEVELS:
            raise InputError(f"there is no level {level!r}: take {', '.join(LEVELS)}")
    samples = [s for s in (real, generated, other_real) if s is not None]
    for sample in samples:
        if sample.geometry != real.geometry:
            raise InputError(f"can't compare showers in {real.geometry} with showers in {sample.geometry}")
        if len(sample) < 40:
            raise InputError(f"the evaluation needs 40 showers in each sample, got {len(sample)}")
    limit = real.geometry.threshold if threshold is None else threshold
    cut = [s.cut(limit) for s in samples]
    seconds: dict[str, float] = {}

    def compare(a: Showers, b: Showers, fa: Features, fb: Features, what: str, seed: int) -> Comparison:
        def timed(name: str, function: Callable[[], Any]) -> Any:
            say(f"{name}, {what}")
            start = time.perf_counter()
            value = function()
            seconds[f"{name}, {what}"] = round(time.perf_counter() - start, 3)
            return value

        separation = timed("separation powers", lambda: separation_table(a, b, fa, fb))
        high = [high_level_inputs(s) for s in (a, b)]
        measured_fpd = timed("FPD", lambda: fpd(high[0], high[1]))
        measured_kpd = timed("KPD", lambda: kpd(high[0], high[1]))
        support = timed("PRDC", lambda: prdc(support_inputs(a), support_inputs(b), seed=seed))
        tests: dict[Level, ClassifierTest] = {}
        for level in levels:
            x, y = high if level == "high" else [classifier_inputs(s, level, recipe.name) for s in (a, b)]
            tests[level] = timed(
                f"classifier, {level}",
                lambda x=x, y=y: classifier_test(x, y, recipe, repeats=repeats, seed=seed, device=device),
            )
        return Comparison((len(a), len(b)), tests, separation, measured_fpd, measured_kpd, support)

    from scipy.stats import ks_2samp

    energies = [float(ks_2samp(real.energy_mev, s.energy_mev)[1]) for s in samples[1:]]  # type: ignore[arg-type]
    table = [features(s) for s in cut]
    result = compare(cut[0], cut[1], table[0], table[1], "generated", seed)
    reference, note = None, ""
    if floor and len(cut) == 3:
        note = f"two independent real samples, {len(cut[0]):,} and {len(cut[2]):,} showers"
        if energies[1] < OTHER_ENERGIES:
            note += ", whose incident energies differ: this is no floor"
        reference = compare(cut[0], cut[2], table[0], table[2], "floor", seed + 1)
    elif floor and len(real) < 80:
        note = "not measured: half of the real showers are fewer than 40"
    elif floor:
        half = np.random.default_rng(np.random.SeedSequence((seed, 0xF100))).permutation(len(real))
        a, b = np.sort(half[: len(half) // 2]), np.sort(half[len(half) // 2 :])
        note = f"halves of the real sample, {len(a):,} and {len(b):,} showers"
        reference = compare(cut[0][a], cut[0][b], _part(table[0], a), _part(table[0], b), "floor", seed + 1)
    beyond = outside(table[0], table[1])
    return Evaluation(result, reference, note, table[0], table[1], beyond, tuple(energies), limit, seconds)


def _part(table: Features, rows: np.ndarray) -> Features:
    return Features(table.columns, table.values[rows])
