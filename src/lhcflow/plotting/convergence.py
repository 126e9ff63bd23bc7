"""How an integral converged, iteration by iteration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import COLUMN, colour, style


@dataclass(frozen=True)
class Iterations:
    """Independent estimates of one integral: means, standard deviations and calls, each (iterations,)."""

    mean: ArrayLike
    sdev: ArrayLike
    calls: ArrayLike


def convergence(
    methods: Mapping[str, Iterations],
    reference: tuple[float, float] | None = None,
    quantity: str = "integral",
    unit: str = "",
) -> Figure:
    """Draw each iteration's estimate, the running weighted mean, and below the running chi2/dof.

    Parameters
    ----------
    methods : mapping of str to Iterations
        The iterations that count in the result, by the method's name.
    reference : (float or float), optional
        A known value and its error, drawn as a horizontal band.
    quantity, unit : str
        What the vertical axis says, for example "sigma" and "pb".
    """
    if not methods:
        raise InputError("convergence needs the iterations of at least one method")
    with style():
        figure = Figure(figsize=(COLUMN * 1.35, COLUMN * 1.05), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=[2.4, 1], hspace=0.02)
        main = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=main)
        main.tick_params(labelbottom=False)
        if reference is not None:
            value, error = reference
            main.axhspan(value - error, value + error, color="0.8", linewidth=0)
            main.axhline(value, color="0.4", linewidth=0.7, label="reference")
        spread, centre = [], []
        for i, (name, it) in enumerate(methods.items()):
            mean, sdev = np.asarray(it.mean, float), np.asarray(it.sdev, float)
            calls = np.cumsum(np.asarray(it.calls, float))
            if not mean.shape == sdev.shape == calls.shape or mean.ndim != 1 or not np.all(sdev > 0):
                raise InputError(f"the iterations of {name!r} need equal lengths and positive errors")
            running, error, chi2 = _running(mean, sdev)
            c = colour(name, i)
            main.errorbar(
                calls,
                mean,
                yerr=sdev,
                fmt="o",
                markersize=2.8,
                elinewidth=0.7,
                color=c,
                alpha=0.65,
                label=name,
            )
            main.plot(calls, running, color=c)
            main.fill_between(calls, running - error, running + error, color=c, alpha=0.2, linewidth=0)
            if mean.size > 1:
                lower.plot(calls[1:], chi2[1:] / np.arange(1, mean.size), "o-", markersize=2.2, color=c)
            spread.append(4 * float(np.median(sdev)))
            centre.append(float(running[-1]))
        # A wild first iteration must not press everything else into a line.
        half = max(spread)
        main.set_ylim(min(centre) - half, max(centre) + half)
        main.ticklabel_format(axis="y", useOffset=False)
        lower.axhline(1.0, color="0.6", linewidth=0.7, linestyle=(0, (4, 3)))
        lower.set_ylim(0, max(2.2, lower.get_ylim()[1]))
        lower.set_ylabel(r"$\chi^2/\mathrm{dof}$")
        lower.set_xlabel("calls")
        main.set_ylabel(f"{quantity} [{unit}]" if unit else quantity)
        main.legend(loc="best")
        figure.align_ylabels([main, lower])
    return figure


def _running(mean: np.ndarray, sdev: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Running inverse-variance mean, its error, and chi2 of the iterations so far."""
    weight = np.cumsum(sdev**-2)
    running = np.cumsum(mean * sdev**-2) / weight
    chi2 = np.array([np.sum(((mean[: k + 1] - running[k]) / sdev[: k + 1]) ** 2) for k in range(mean.size)])
    return running, weight**-0.5, chi2
