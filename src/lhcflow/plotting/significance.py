"""Local p-values and upper limits along the mass, and the largest significance of pseudo-experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike
from scipy import stats

from ..errors import InputError
from .style import COLUMN, colour, style

_LOWEST = 1e-60
"""p-values below this are drawn here, as triangles: an axis that reaches further hides all others."""


def p_values(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    region: tuple[float, float] | None = None,
    points: bool = False,
    label: str = r"$m_{JJ}$ [TeV]",
) -> Figure:
    """Draw local p-values against the mass, with lines at whole standard deviations.

    Triangles stand for p-values below 1e-60. Where a p-value is NaN the line has a gap.

    Parameters
    ----------
    curves : mapping of str to (array_like, array_like)
        By name, masses (n,) in TeV and p-values (n,).
    region : (float or float), optional
        A signal region to shade.
    points : bool
        Mark the single masses, for a scan of few windows.
    """
    if not curves:
        raise InputError("p_values needs at least one curve")
    with style():
        figure = Figure(figsize=(1.25 * COLUMN, 0.95 * COLUMN), layout="constrained")
        axes = figure.subplots()
        smallest, ends = 0.1, []
        for i, (name, (mass, p)) in enumerate(curves.items()):
            x, y = np.asarray(mass, float), np.asarray(p, float)
            if not np.isfinite(y).any():
                raise InputError(f"there is no p-value of {name} to draw: all {y.size} are NaN")
            below, y = y < _LOWEST, np.maximum(y, _LOWEST)
            (line,) = axes.plot(
                x,
                y,
                "o-" if points else "-",
                markersize=3,
                linewidth=1.0,
                color="0.25" if i == 0 else colour("", i - 1),
                label=name,
            )
            if below.any():
                axes.plot(x[below], y[below], "v", markersize=5, color=line.get_color())
            smallest, ends = min(smallest, float(np.nanmin(y))), [*ends, x.min(), x.max()]
        if region is not None:
            axes.axvspan(*region, color="0.92", linewidth=0, zorder=0)
        margin = 0.05 * (max(ends) - min(ends)) if points else 0.0
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        low = smallest / 10
        for z in range(1, int(stats.norm.isf(low)) + 1):
            # With many lines only every other one has a name.
            axes.axhline(float(stats.norm.sf(z)), color="0.7", linewidth=0.6, linestyle=(0, (4, 3)))
            if z % _step(low) == 0:
                axes.annotate(
                    rf"{z}$\sigma$",
                    (1.01, float(stats.norm.sf(z))),
                    xycoords=("axes fraction", "data"),
                    va="center",
                    fontsize=8,
                    annotation_clip=False,
                )
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(low, 1.0)
        axes.set_xlabel(label)
        axes.set_ylabel(r"local $p_0$")
        axes.legend(loc="lower right")
        return figure


def _step(low: float) -> int:
    return 1 if low > 1e-16 else 2 if low > 1e-40 else 3


@dataclass(frozen=True)
class LimitPoint:
    """An upper limit at one place.

    Attributes
    ----------
    label : str
        What is written below.
    observed : float
        The limit.
    expected : array_like
        Limits (5,) that background alone gives, from -2 to 2 standard deviations.
    """

    label: str
    observed: float
    expected: ArrayLike


def limit_bands(points: Sequence[LimitPoint], ylabel: str = "upper limit on signal events") -> Figure:
    """Draw observed limits over the median and the 68 and 95 % bands of the expected ones.

    Where a limit or a band is not finite, the place says so in words.
    """
    if not points:
        raise InputError("limit_bands needs at least one limit")
    values = np.concatenate([[p.observed, *np.asarray(p.expected, float)] for p in points])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) == 0:
        raise InputError(f"none of {len(points)} limits is a positive number: there is nothing to draw")
    with style():
        figure = Figure(figsize=(max(COLUMN, 0.62 * len(points) + 1.0), 0.9 * COLUMN), layout="constrained")
        axes = figure.subplots()
        for i, point in enumerate(points):
            e = np.asarray(point.expected, float)
            missing = [
                name
                for name, v in (("limit", np.atleast_1d(point.observed)), ("expectation", e))
                if not np.isfinite(v).all()
            ]
            if missing:
                axes.text(i, np.median(values), f"no {' and no '.join(missing)}", rotation=90, ha="center")
            for low, high, shade in ((0, 4, "#c9dcec"), (1, 3, "#5b9bcb")):
                axes.fill_between([i - 0.3, i + 0.3], e[low], e[high], color=shade, linewidth=0)
            axes.plot([i - 0.3, i + 0.3], [e[2], e[2]], color="0.1", linestyle=(0, (4, 2)), linewidth=1.0)
            axes.plot(i, point.observed, "o", color="0", markersize=4)
        axes.set_xticks(range(len(points)), [p.label for p in points])
        axes.tick_params(axis="x", which="both", top=False, bottom=False)
        axes.set_xlim(-0.6, len(points) - 0.4)
        axes.set_yscale("log")
        axes.set_ylim(0.6 * values.min(), 2.5 * values.max())
        axes.set_ylabel(ylabel)
        axes.legend(
            handles=[
                Line2D([], [], marker="o", linestyle="none", color="0", markersize=4, label="observed"),
                Line2D([], [], color="0.1", linestyle=(0, (4, 2)), label="expected"),
                Patch(color="#5b9bcb", label="68 %"),
                Patch(color="#c9dcec", label="95 %"),
            ],
            loc="upper right",
            ncols=2,
        )
        return figure


def largest_significance(toys: ArrayLike, observed: float, bins: int = 40) -> Figure:
    """Draw the largest local significance of each pseudo-experiment (toys,), and the data's."""
    z = np.asarray(toys, float)
    if z.ndim != 1 or len(z) == 0:
        raise InputError(f"largest_significance needs significances (toys,), got shape {z.shape}")
    if not np.isfinite([*z, observed]).all():
        raise InputError(f"{np.count_nonzero(~np.isfinite(z))} of {len(z)} significances are not finite")
    with style():
        figure = Figure(figsize=(COLUMN, 0.8 * COLUMN), layout="constrained")
        axes = figure.subplots()
        low, high = float(np.quantile(z, 0.001)), max(float(z.max()), observed) + 0.3
        axes.hist(
            z,
            np.linspace(low, high, bins + 1).tolist(),
            color="#5b9bcb",
            alpha=0.6,
            label="pseudo-experiments",
        )
        axes.axvline(observed, color="#d55e00", label="data")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
        axes.set_xlabel("largest local significance")
        axes.set_ylabel("pseudo-experiments")
        axes.legend(loc="upper right")
        return figure
