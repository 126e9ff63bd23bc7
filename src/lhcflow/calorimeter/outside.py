"""Generated showers outside the range of the real ones, which histograms drop and means hide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from ..errors import InputError
from .features import Features

# Entries are far outside if they are beyond the range by so much of its width.
_FAR = 0.5


@dataclass(frozen=True)
class Outside:
    """Entries of one feature outside the range of the real showers.

    Attributes
    ----------
    feature, unit : str
        The feature, and its unit.
    low, high : float
        Range of the real showers.
    count : int
        Generated entries below or above it.
    probability : float
        Of so many or more on one side, times two, if both samples have one distribution: the range of
        finitely many real showers does not hold all of it.
    far : int
        Entries that are beyond the range by more than half of its width.
    value, shower : float, int
        The entry that is farthest outside, and the number of its shower.
    """

    feature: str
    unit: str
    low: float
    high: float
    count: int
    probability: float
    far: int
    value: float
    shower: int

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.feature} from {self.low:.3g} to {self.high:.3g}{unit}, {self.far:,} far outside, "
            f"the farthest {self.value:.3g}{unit} in shower {self.shower}"
        )


def outside(real: Features, generated: Features) -> tuple[Outside, ...]:
    """All features that have generated entries outside the range of the real ones.

    Raises
    ------
    InputError
        If the two have different features.
    """
    if real.columns != generated.columns:
        raise InputError("the two samples have different features")
    found = []
    for j, feature in enumerate(real.columns):
        x, y = real.values[:, j], generated.values[:, j]
        low, high = float(x.min()), float(x.max())
        beyond = np.maximum(low - y, y - high)
        sides = int((y < low).sum()), int((y > high).sum())
        if not any(sides):
            continue
        chance = min(1.0, 2 * exceedance(max(sides), len(x), len(y)))
        far, worst = int((beyond > _FAR * (high - low)).sum()), int(beyond.argmax())
        found.append(
            Outside(feature.name, feature.unit, low, high, sum(sides), chance, far, float(y[worst]), worst)
        )
    return tuple(found)


def exceedance(count: int, real: int, generated: int) -> float:
    """Probability that ``count`` or more of ``generated`` numbers exceed the largest of ``real`` others.

    If all are independent and of one continuous distribution, all orders are equally likely: the
    ``count`` largest are all generated ones with probability C(generated, count) / C(all, count).
    """
    if count > generated:
        return 0.0
    both = real + generated
    log = (
        gammaln(generated + 1)
        - gammaln(generated - count + 1)
        - gammaln(both + 1)
        + gammaln(both - count + 1)
    )
    return float(np.exp(log))


def as_table(found: tuple[Outside, ...]) -> dict[str, Any]:
    """For a result file."""
    return {o.feature: {k: v for k, v in vars(o).items() if k != "feature"} for o in found}
