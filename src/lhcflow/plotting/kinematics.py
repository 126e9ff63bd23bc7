"""Distributions of observables: unweighted events against a weighted reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from ..errors import InputError
from .histogram import draw_line, draw_points, draw_ratio, histogram
from .style import COLUMN, DENSITY, PAGE, colour, free_cell, ratio_panels, style


@dataclass(frozen=True)
class Observable:
    """One observable of the events and of the reference.

    Parameters
    ----------
    symbol, unit : str
        What stands at the axis, without dollar signs: ``"E_1"``, ``"GeV"``.
    events, reference : array_like
        Values (n,) and (m,).
    low, high : float or None
        Range; of the reference if None.
    scale : {"linear", "log-y", "log"}
        "linear"; "log-y" for steep ones; "log" for both axes, with bins of equal width in log10.
    """

    symbol: str
    events: ArrayLike
    reference: ArrayLike
    unit: str = ""
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log-y", "log"] = "linear"


def observables(
    panels: Sequence[Observable],
    reference_weights: ArrayLike | None = None,
    event_weights: ArrayLike | None = None,
    cross_section: float | None = None,
    unit: str = "pb",
    bins: int = 30,
    columns: int = 3,
) -> Figure:
    """Draw observables of unweighted events (points) and a weighted reference (line), with ratios.

    Parameters
    ----------
    panels : sequence of Observable
        The observables.
    reference_weights : array_like, optional
        Weights (m,) of the reference.
    event_weights : array_like, optional
        Weights (n,) of the events, for the few that were overweight; 1 if None.
    cross_section : float, optional
        Both curves are normalised to it (in ``unit``); to 1 if None.

    Notes
    -----
    The points carry their own errors, the reference a band of its own; ratios are to the reference.
    """
    if not panels:
        raise InputError("observables needs at least one panel")
    columns = min(columns, len(panels))
    with style():
        figure, pairs = ratio_panels(len(panels), columns, PAGE * (0.06 + 0.94 * columns / 3))
        for j, (panel, (main, ratio)) in enumerate(zip(panels, pairs, strict=True)):
            edges = _edges(panel, bins)
            line = histogram(panel.reference, edges, reference_weights, cross_section)
            points = histogram(panel.events, edges, event_weights, cross_section)
            draw_line(main, line, colour("target"), "weighted", fill=panel.scale == "linear")
            draw_points(main, points, colour("flow"), "unweighted")
            draw_ratio(ratio, points, line, colour("flow"))
            if panel.scale == "log":
                main.set_xscale("log")
                ratio.xaxis.set_minor_formatter(NullFormatter())
            if panel.scale == "linear":
                main.set_ylim(0, 1.2 * main.get_ylim()[1])
            else:
                main.set_yscale("log")
                # an error bar that reaches 0, of a bin with one event, must not stretch the axis
                seen = np.concatenate([line.values[line.values > 0], points.values[points.values > 0]])
                if seen.size:
                    main.set_ylim(bottom=0.3 * float(seen.min()), top=3 * float(seen.max()))
            main.set_xlim(edges[0], edges[-1])
            ratio.set_xlabel(f"${panel.symbol}$" + (f" [{panel.unit}]" if panel.unit else ""))
            main.set_ylabel(_differential(panel, unit if cross_section else None))
            if j % columns == 0:
                ratio.set_ylabel("ratio")
        cell = free_cell(figure, len(panels), columns)
        handles, texts = pairs[0][0].get_legend_handles_labels()
        (cell or pairs[0][0]).legend(handles, texts, loc="center" if cell else "best")
    return figure


def _differential(panel: Observable, unit: str | None) -> str:
    """The name of the vertical axis: d sigma / d x with its unit, or the normalised one."""
    sigma = r"\mathrm{d}\sigma" if unit else r"\sigma^{-1}\mathrm{d}\sigma"
    symbol = rf"({panel.symbol})" if {"+", "-"} & set(panel.symbol) else panel.symbol
    units = {
        (True, True): f" [{unit}/{panel.unit}]",
        (True, False): f" [{unit}]",
        (False, True): f" [1/{panel.unit}]",
    }
    return rf"${sigma}/\mathrm{{d}}\,{symbol}$" + units.get((bool(unit), bool(panel.unit)), "")


def dalitz(
    x1: ArrayLike, x2: ArrayLike, weights: ArrayLike | None = None, bins: int = 60, title: str | None = None
) -> Figure:
    """Draw the density of events in the energy fractions x_i = 2 E_i / sqrt(s) of quark and antiquark.

    Parameters
    ----------
    x1, x2 : array_like
        Energy fractions (n,) of quark and antiquark.
    weights : array_like, optional
        (n,), 1 if None.
    """
    a, b = np.asarray(x1, float), np.asarray(x2, float)
    w = None if weights is None else np.asarray(weights, float)
    edges = np.linspace(0, 1, bins + 1)
    if not np.any((a > 0) & (a < 1) & (b > 0) & (b < 1)):
        raise InputError("dalitz needs events with 0 < x1, x2 < 1")
    density = np.histogram2d(a, b, bins=[edges, edges], weights=w, density=True)[0]
    drawn = np.ma.masked_less_equal(density, 0)
    with style():
        figure = Figure(figsize=(COLUMN * 1.2, COLUMN), layout="compressed")
        axes = figure.add_subplot()
        high = float(drawn.max())
        mesh = axes.pcolormesh(
            edges,
            edges,
            drawn.T,
            norm=LogNorm(max(float(drawn.min()), high / 1e4), high),
            cmap=DENSITY,
            rasterized=True,
        )
        axes.plot([0, 1], [1, 0], color="0.5", linewidth=0.7)
        axes.text(
            0.27, 0.5, r"$x_1 + x_2 < 1$", rotation=-45, rotation_mode="anchor", ha="center", color="0.4"
        )
        axes.set_aspect("equal")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel(r"$x_1 = 2E_q/\sqrt{s}$")
        axes.set_ylabel(r"$x_2 = 2E_{\bar q}/\sqrt{s}$")
        label = r"$\sigma^{-1}\,\mathrm{d}^2\sigma/\mathrm{d}x_1\mathrm{d}x_2$"
        figure.colorbar(mesh, ax=axes, label=label, pad=0.02)
        if title:
            axes.set_title(title)
    return figure


def _edges(panel: Observable, bins: int) -> np.ndarray:
    values = np.asarray(panel.reference, float)
    low = float(values.min()) if panel.low is None else panel.low
    high = float(values.max()) if panel.high is None else panel.high
    if panel.scale == "log":
        low = max(low, 1e-300)
        return np.logspace(np.log10(low), np.log10(high), bins + 1)
    return np.linspace(low, high, bins + 1)
