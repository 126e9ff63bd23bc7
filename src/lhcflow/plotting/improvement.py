"""How much a cut improves a search: significance improvement and background rejection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import PAGE, colour, style


@dataclass(frozen=True)
class ImprovementCurve:
    """Significance improvement TPR / sqrt(FPR) of one method against the signal efficiency TPR.

    Attributes
    ----------
    tpr : array_like
        Signal efficiencies (points,).
    sic, low, high : array_like
        (points,) the improvement and its band; NaN where it is not known.
    """

    tpr: ArrayLike
    sic: ArrayLike
    low: ArrayLike
    high: ArrayLike


def improvement_curves(curves: Mapping[str, ImprovementCurve]) -> Figure:
    """Draw the significance improvement (left) and the background rejection 1 / FPR (right) with bands."""
    if not curves:
        raise InputError("improvement_curves needs at least one curve")
    with style():
        figure = Figure(figsize=(PAGE, 0.42 * PAGE), layout="constrained")
        left, right = figure.subplots(1, 2)
        for i, (name, curve) in enumerate(curves.items()):
            tpr, sic, low, high = (
                np.asarray(v, float) for v in (curve.tpr, curve.sic, curve.low, curve.high)
            )
            shade = colour(name, i)
            dashes = (0, (4, 2)) if name == "optimum" else "-"
            for axes, power in ((left, 1.0), (right, 2.0)):
                scale = 1.0 if power == 1.0 else 1 / tpr
                axes.fill_between(
                    tpr, (scale * low) ** power, (scale * high) ** power, color=shade, alpha=0.16, linewidth=0
                )
                axes.plot(tpr, (scale * sic) ** power, color=shade, label=name, linestyle=dashes)
        grid = np.linspace(1e-3, 1, 300)
        left.plot(grid, np.sqrt(grid), color="0.6", linewidth=0.8, linestyle=":", label="random")
        right.plot(grid, 1 / grid, color="0.6", linewidth=0.8, linestyle=":")
        for axes in (left, right):
            axes.set_xlim(0, 1)
            axes.set_xlabel("signal efficiency (TPR)")
        left.set_ylim(bottom=0)
        left.set_ylabel(r"significance improvement  $\mathrm{TPR}/\sqrt{\mathrm{FPR}}$")
        right.set_yscale("log")
        right.set_ylim(bottom=1)
        right.yaxis.set_minor_formatter(NullFormatter())
        right.set_ylabel("background rejection  1/FPR")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), columnspacing=1.2)
        return figure
