"""The spectrum of the resonant mass: counts in bins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..regions import SignalRegion

Array = NDArray[np.float64]

_SAME = 1e-9
"""Edges closer than this, relative to their size, are one edge."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Numbers of events in adjacent bins of the mass.

    Parameters
    ----------
    edges : array_like
        (bins + 1,) rising, in TeV.
    counts : array_like
        (bins,) not negative.

    Raises
    ------
    InputError
        If the edges do not rise, or if shapes do not fit or counts are negative or not finite.

    Examples
    --------
    >>> spectrum = Spectrum.of([2.1, 2.2, 2.6, 3.5], [2.0, 2.5, 3.0])
    >>> spectrum.counts
    array([2., 1.])
    """

    edges: Array
    counts: Array

    def __init__(self, edges: ArrayLike, counts: ArrayLike) -> None:
        e, n = checked_edges(edges), np.asarray(counts, float)
        if n.shape != (len(e) - 1,):
            raise InputError(f"{len(e)} bin edges need {len(e) - 1} counts, got shape {n.shape}")
        if not (np.isfinite(n).all() and np.all(n >= 0)):
            raise InputError("the counts of a spectrum must be finite and not negative")
        object.__setattr__(self, "edges", e)
        object.__setattr__(self, "counts", n)

    @classmethod
    def of(cls, m: ArrayLike, edges: ArrayLike) -> Spectrum:
        """Count masses (n,) in TeV; those beyond the edges are left out."""
        m = np.asarray(m, float)
        bad = int(np.count_nonzero(~np.isfinite(m)))
        if bad:
            raise InputError(f"{bad} of {m.size} masses are NaN or infinite: remove these events")
        edges = checked_edges(edges)
        return cls(edges, np.histogram(m, edges)[0])

    @property
    def centres(self) -> Array:
        """Bin centres (bins,) in TeV."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def inside(self, region: SignalRegion) -> NDArray[np.bool_]:
        """Mask (bins,) of the bins inside a region.

        Raises
        ------
        InputError
            If a limit of the region is no bin edge.
        """
        first, last = (_edge(self.edges, limit) for limit in (region.low, region.high))
        index = np.arange(len(self.counts))
        return (index >= first) & (index < last)

    def merged(self, region: SignalRegion) -> tuple[Spectrum, int]:
        """The spectrum with all bins inside the region joined into one, and the place of that bin."""
        inside = self.inside(region)
        first = int(np.flatnonzero(inside)[0])
        keep = np.ones(len(self.edges), dtype=bool)
        keep[1:-1] = ~(inside[1:] & inside[:-1])
        counts = np.add.reduceat(self.counts, np.flatnonzero(keep[:-1]))
        return Spectrum(self.edges[keep], counts), first


def checked_edges(edges: ArrayLike) -> Array:
    """Bin edges (bins + 1,) as floats; InputError unless they are finite and rise."""
    e = np.asarray(edges, float)
    if e.ndim != 1 or len(e) < 2 or not np.isfinite(e).all():
        raise InputError("bin edges must be at least two finite numbers")
    steps = np.diff(e)
    if np.any(steps <= 0):
        i = int(np.flatnonzero(steps <= 0)[0])
        raise InputError(f"bin edges must rise, but {e[i + 1]:g} follows {e[i]:g}")
    return e


def mass_bins(region: SignalRegion, low: float, high: float, width: float | None = None) -> Array:
    """Equal bins of which some end at the limits of the region.

    Parameters
    ----------
    region : SignalRegion
        The signal region.
    low, high : float
        Range in TeV; all bins lie above ``low``, the last one may reach beyond ``high``.
    width : float, optional
        About the width of a bin in TeV; a quarter of the region's if None.

    Returns
    -------
    Array
        Edges (bins + 1,) in TeV.
    """
    if not low < region.low < region.high < high:
        raise InputError(
            f"the range {low:g} to {high:g} TeV must reach beyond the signal region "
            f"{region.low:g} to {region.high:g} TeV on both sides"
        )
    width = region.width / 4 if width is None else width
    if not 0 < width <= region.width:
        raise InputError(f"a bin must be narrower than the signal region, got {width:g} TeV")
    step = region.width / round(region.width / width)
    below = math.floor((region.low - low) / step + 1e-6)
    above = math.ceil((high - region.low) / step - 1e-6)
    return region.low + step * np.arange(-below, above + 1.0)


def _edge(edges: Array, value: float) -> int:
    i = int(np.argmin(np.abs(edges - value)))
    if abs(edges[i] - value) > _SAME * max(abs(value), 1.0):
        raise InputError(
            f"the limit {value:g} TeV of the signal region is no bin edge: bin it with mass_bins"
        )
    return i
