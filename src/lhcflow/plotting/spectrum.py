"""The spectrum of a bump hunt before and after cuts, with its background fits and their pulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import xlogy

from ..errors import InputError
from .style import COLUMN, style

_SHADES = ("0.25", "#0b62a4", "#d55e00", "#3a8f5b", "#8b4a9c", "#b0762d")


@dataclass(frozen=True)
class FittedSpectrum:
    """Counts of events and the background expected from the sidebands.

    Attributes
    ----------
    edges : array_like
        Bin edges (bins + 1,) in TeV.
    counts : array_like
        Events (bins,).
    background, error : array_like
        Expected events (bins,) and their uncertainty.
    label : str
        For the legend.
    """

    edges: ArrayLike
    counts: ArrayLike
    background: ArrayLike
    error: ArrayLike
    label: str


def fitted_spectra(spectra: Sequence[FittedSpectrum], region: tuple[float, float] | None = None) -> Figure:
    """Draw spectra above the pulls of their fits, one row of pulls each.

    Points have the central 68 % interval of a Poisson mean; lines and bands are the background and its
    uncertainty, also in the shaded signal region, which the fits do not see. Pulls are signed roots of
    the Poisson deviance, made smaller by the uncertainty: with many events
    (data - background) / sqrt(background + uncertainty^2).
    """
    if not spectra:
        raise InputError("fitted_spectra needs at least one spectrum")
    rows = len(spectra)
    with style():
        figure = Figure(figsize=(1.25 * COLUMN, 0.95 * COLUMN + 0.55 * rows), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.0, hspace=0.0)  # type: ignore[union-attr]
        axes = figure.subplots(
            rows + 1, 1, sharex=True, squeeze=False, height_ratios=[0.95 * COLUMN, *[0.55] * rows]
        )[:, 0]
        main = axes[0]
        for i, spectrum in enumerate(spectra):
            shade = _SHADES[i % len(_SHADES)]
            _draw(main, spectrum, shade)
            _pulls(axes[i + 1], spectrum, shade)
        for panel in axes:
            if region is not None:
                panel.axvspan(*region, color="0.92", linewidth=0, zorder=0)
        main.set_yscale("log")
        main.yaxis.set_minor_formatter(NullFormatter())
        tops = [np.max(np.asarray(s.counts)) for s in spectra]
        main.set_ylim(0.3, 4 * max(max(tops), 1))
        main.set_ylabel("events / bin")
        # Beyond the last event of all spectra there is nothing to see.
        edges = np.asarray(spectra[0].edges, float)
        filled = [int(np.flatnonzero(np.asarray(s.counts) > 0)[-1]) for s in spectra if np.any(s.counts)]
        last = max(filled, default=len(edges) - 2)
        main.set_xlim(edges[0], edges[min(last + 2, len(edges) - 1)])
        main.legend(loc="upper right")
        axes[-1].set_xlabel(r"$m_{JJ}$ [TeV]")
        axes[1 + (rows - 1) // 2].set_ylabel("pull")
        return figure


def _draw(axes: Axes, spectrum: FittedSpectrum, shade: str) -> None:
    edges, n = np.asarray(spectrum.edges, float), np.asarray(spectrum.counts, float)
    background, error = np.asarray(spectrum.background, float), np.asarray(spectrum.error, float)
    centres = 0.5 * (edges[1:] + edges[:-1])
    low = np.where(n > 0, n - stats.gamma.ppf(0.16, np.maximum(n, 1)), 0.0)
    high = stats.gamma.ppf(0.84, n + 1) - n
    seen = n > 0
    axes.errorbar(
        centres[seen],
        n[seen],
        yerr=[low[seen], high[seen]],
        fmt="o",
        markersize=2.4,
        elinewidth=0.8,
        color=shade,
        label=spectrum.label,
    )
    axes.plot(centres, background, color=shade, linewidth=0.9)
    low_line = np.maximum(background - error, 1e-9)
    axes.fill_between(centres, low_line, background + error, color=shade, alpha=0.25, linewidth=0)


def _pulls(axes: Axes, spectrum: FittedSpectrum, shade: str) -> None:
    edges, n = np.asarray(spectrum.edges, float), np.asarray(spectrum.counts, float)
    background, error = np.asarray(spectrum.background, float), np.asarray(spectrum.error, float)
    mu = np.maximum(background, 1e-12)
    deviance = 2 * np.maximum(xlogy(n, np.maximum(n, 1) / mu) - (n - mu), 0)
    pulls = np.sign(n - mu) * np.sqrt(deviance / (1 + error**2 / mu))
    axes.stairs(pulls, edges, fill=True, color=shade, alpha=0.75, linewidth=0)
    axes.axhline(0.0, color="0.35", linewidth=0.6)
    reach = max(3.5, 1.1 * float(np.abs(pulls).max()))
    axes.set_ylim(-min(reach, 5.0), reach)
    axes.set_yticks([-2, 0, 2] if reach < 6 else [0, 5] if reach < 12 else [0, 10])
    axes.minorticks_off()
