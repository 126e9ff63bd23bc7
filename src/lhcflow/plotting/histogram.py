"""Weighted histograms with their errors, and how two of them are drawn above their ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Histogram:
    """Densities (bins,) with errors (bins,) between ``edges`` (bins + 1,)."""

    edges: Array
    values: Array
    errors: Array

    @property
    def centres(self) -> Array:
        """Bin centres (bins,)."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def ratio(self, other: Histogram) -> Histogram:
        """``self / other`` with the errors of ``self`` only; NaN where ``other`` is empty."""
        safe = np.where(other.values > 0, other.values, np.nan)
        return Histogram(self.edges, self.values / safe, self.errors / safe)


def histogram(
    x: ArrayLike, edges: ArrayLike, weights: ArrayLike | None = None, total: float | None = None
) -> Histogram:
    """Histogram ``x`` (n,) as a density.

    Parameters
    ----------
    x : array_like
        Values (n,) and their weights (n,), 1 if None.
    weights : array_like, optional
        Values (n,) and their weights (n,), 1 if None.
    edges : array_like
        Bin edges (bins + 1,).
    total : float, optional
        What the density integrates to over all x, inside the edges or not; for example a cross section in pb.
        1 if None.

    Notes
    -----
    The errors are those of independent weighted entries, sqrt(sum w^2).
    """
    x = np.asarray(x, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    edges = np.asarray(edges, dtype=float)
    if x.ndim != 1 or x.shape != w.shape:
        raise InputError(f"a histogram needs values and weights of shape (n,), got {x.shape} and {w.shape}")
    if not w.sum() > 0:
        raise InputError("a histogram needs weights with a positive sum")
    scale = (1.0 if total is None else total) / w.sum() / np.diff(edges)
    values = np.histogram(x, edges, weights=w)[0] * scale
    errors = np.sqrt(np.histogram(x, edges, weights=w**2)[0]) * scale
    return Histogram(edges, values, errors)


def draw_line(axes: Axes, h: Histogram, colour: str, label: str | None = None, fill: bool = False) -> None:
    """Draw a histogram as a step line with a band of one standard deviation."""
    if fill:
        axes.stairs(h.values, h.edges, color=colour, alpha=0.13, fill=True, linewidth=0)
    axes.stairs(h.values, h.edges, color=colour, label=label)
    draw_band(axes, h, colour)


def draw_band(axes: Axes, h: Histogram, colour: str) -> None:
    """Draw the band of one standard deviation of a histogram."""
    axes.fill_between(
        h.edges,
        np.append(h.values - h.errors, (h.values - h.errors)[-1:]),
        np.append(h.values + h.errors, (h.values + h.errors)[-1:]),
        step="post",
        color=colour,
        alpha=0.3,
        linewidth=0,
    )


def draw_points(
    axes: Axes, h: Histogram, colour: str, label: str | None = None, size: float = 2.6, shift: float = 0.0
) -> None:
    """Draw a histogram as points with error bars, ``shift`` bins to the right of the centres.

    Bins that are empty or have no finite value are left out.
    """
    seen = np.isfinite(h.values) & (h.errors > 0)
    axes.errorbar(
        (h.centres + shift * np.diff(h.edges))[seen],
        h.values[seen],
        yerr=h.errors[seen],
        fmt="o",
        markersize=size,
        elinewidth=0.35 * size,
        color=colour,
        label=label,
    )


def draw_ratio(axes: Axes, points: Histogram, reference: Histogram, colour: str, line: str = "0.35") -> None:
    """Draw ``points / reference`` with errors above the band of the reference's own relative error."""
    band = reference.ratio(reference)
    axes.axhline(1.0, color=line, linewidth=0.7)
    draw_band(axes, band, line)
    ratio = points.ratio(reference)
    draw_points(axes, ratio, colour, size=2.2)
    # The window follows the points that say something: those known better than 50 %.
    precise = (ratio.errors > 0) & (ratio.errors < 0.5)
    reach = np.abs(ratio.values[precise] - 1) + ratio.errors[precise]
    half = float(np.clip(1.15 * np.quantile(reach, 0.97) if reach.size else 0.5, 0.05, 0.98))
    axes.set_ylim(1 - half, 1 + half)
    # Few labels, none at the ends, where they would touch those of the panel above.
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="both", steps=[1, 2, 5, 10]))
