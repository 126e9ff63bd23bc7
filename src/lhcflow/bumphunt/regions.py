"""Signal region and sidebands: intervals of the resonant mass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SignalRegion:
    """The interval ``low <= m < high`` of the resonant mass, in TeV.

    Raises
    ------
    InputError
        If the limits are not finite or not in order.

    Examples
    --------
    >>> region = SignalRegion(3.3, 3.7)
    >>> region.contains([3.2, 3.3, 3.5, 3.7])
    array([False,  True,  True, False])
    >>> region.sidebands([3.2, 3.3, 3.5, 3.7])
    array([ True, False, False,  True])
    >>> region.strips([3.0, 3.2, 3.5, 3.8, 4.0], width=0.2)
    (array([False,  True, False, False, False]), array([False, False, False,  True, False]))
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"a signal region needs low < high, got {self.low} to {self.high} TeV")

    @classmethod
    def of(cls, region: SignalRegion | Sequence[float]) -> SignalRegion:
        """Take a region or a pair (low, high)."""
        if isinstance(region, cls):
            return region
        limits = tuple(region)  # type: ignore[arg-type]
        if len(limits) != 2:
            raise InputError(f"a signal region is a pair (low, high) in TeV, got {limits}")
        return cls(float(limits[0]), float(limits[1]))

    @property
    def width(self) -> float:
        """Width in TeV."""
        return self.high - self.low

    @property
    def centre(self) -> float:
        """Centre in TeV."""
        return 0.5 * (self.low + self.high)

    def contains(self, m: ArrayLike) -> Mask:
        """Mask (n,) of the masses (n,) inside."""
        m = np.asarray(m, dtype=float)
        return (m >= self.low) & (m < self.high)

    def sidebands(self, m: ArrayLike, low: float = -math.inf, high: float = math.inf) -> Mask:
        """Mask (n,) of the masses (n,) outside the region and in ``low <= m < high``."""
        m = np.asarray(m, dtype=float)
        return ~self.contains(m) & (m >= low) & (m < high)

    def strips(self, m: ArrayLike, width: float) -> tuple[Mask, Mask]:
        """Masks (n,), (n,) of the strips of ``width`` below and above the region."""
        m = np.asarray(m, dtype=float)
        below = (m >= self.low - width) & (m < self.low)
        above = (m >= self.high) & (m < self.high + width)
        return below, above
