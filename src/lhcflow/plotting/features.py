"""Histograms of the features of showers, real and generated, above their ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from ..errors import InputError
from .histogram import draw_band, draw_line, draw_points, histogram
from .style import PAGE, colour, ratio_panels, style

_GREY = "0.35"


@dataclass(frozen=True)
class FeaturePanel:
    """One feature of several samples.

    Attributes
    ----------
    symbol, unit : str
        In TeX, without dollar signs; "" if there is no unit.
    edges : array_like
        Bin edges (bins + 1,); equally spaced in the logarithm for a logarithmic axis.
    real : array_like
        Values (n,).
    generated : mapping of str to array_like
        Values (m,) of each generated sample, by its name.
    powers : mapping of str to float
        Separation power of each generated sample, written into the panel.
    weights : mapping of str to array_like
        Of the values of a generated sample, by its name; 1 if it is not there.
    """

    symbol: str
    unit: str
    edges: ArrayLike
    real: ArrayLike
    generated: Mapping[str, ArrayLike]
    powers: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, ArrayLike] = field(default_factory=dict)


def feature_histograms(
    panels: Sequence[FeaturePanel], real_name: str = "Geant4", columns: int = 3, log_y: bool = True
) -> Figure:
    """Draw a panel per feature: normalised histograms, and below the ratio to the real sample.

    The grey line and band are the real sample and its statistical error, coloured lines the generated ones;
    the ratio carries the error of its numerator.
    """
    if not panels:
        raise InputError("feature_histograms needs at least one panel")
    names = list(dict.fromkeys(name for p in panels for name in p.generated))
    colours = {name: colour(name, i) for i, name in enumerate(names)}
    with style():
        figure, pairs = ratio_panels(len(panels), columns, PAGE, 1.95)
        for panel, (main, ratio) in zip(panels, pairs, strict=True):
            _draw(panel, main, ratio, colours, log_y)
        handles = [Patch(facecolor="0.87", edgecolor=_GREY, label=real_name)]
        handles += [Line2D([], [], color=colours[n], label=n) for n in names]
        _head(figure, 0.25)
        figure.legend(handles=handles, loc="upper center", ncols=len(handles), borderaxespad=0.2)
        return figure


def _draw(panel: FeaturePanel, main: Axes, ratio: Axes, colours: dict[str, str], log_y: bool) -> None:
    edges = np.asarray(panel.edges, float)
    real = histogram(panel.real, edges)
    draw_line(main, real, _GREY, fill=True)
    draw_band(ratio, real.ratio(real), _GREY)
    ratio.axhline(1.0, color=_GREY, linewidth=0.7)
    tops = [real.values.max()]
    for name, values in panel.generated.items():
        h = histogram(values, edges, panel.weights.get(name))
        main.stairs(h.values, h.edges, color=colours[name], linewidth=1.0)
        draw_points(ratio, h.ratio(real), colours[name], size=1.6)
        tops.append(h.values.max())
    positive = edges[0] > 0 and np.allclose(np.diff(np.log(edges)), np.log(edges[1] / edges[0]), atol=1e-3)
    if positive and edges[-1] / edges[0] > 5:
        main.set_xscale("log")
        main.xaxis.set_major_locator(LogLocator(numticks=6))
        main.xaxis.set_minor_formatter(NullFormatter())
    main.set_xlim(edges[0], edges[-1])
    if np.allclose(np.diff(edges), 1.0) and np.allclose(edges % 1.0, 0.5):  # whole numbers
        main.set_xticks(edges[:-1] + 0.5)
        main.tick_params(axis="x", which="minor", bottom=False, top=False)
        ratio.tick_params(axis="x", which="minor", bottom=False, top=False)
    top = max(max(tops), 1e-300)
    if log_y and max(tops) > 0:
        filled = real.values[real.values > 0]
        low = max(float(filled.min()) if len(filled) else top, 1e-6 * top)
        # Room above the curves for the numbers.
        main.set_yscale("log")
        main.set_ylim(0.4 * low, top * max((top / (0.4 * low)) ** 0.4, 12.0))
        main.yaxis.set_major_locator(LogLocator(numticks=5))
        main.yaxis.set_minor_formatter(NullFormatter())
    else:
        main.set_ylim(0, 1.35 * max(top, 1e-12))
        main.yaxis.set_major_locator(MaxNLocator(4))
    for i, (name, power) in enumerate(panel.powers.items()):
        main.text(
            0.96, 0.94 - 0.13 * i, f"$S$ = {_number(power)}", transform=main.transAxes, ha="right", va="top",
            color=colours.get(name, "0"), fontsize=8,
        )  # fmt: skip
    label = f"${panel.symbol}$" + (f" [{panel.unit}]" if panel.unit else "")
    ratio.set_xlabel(label, labelpad=1)
    per = panel.unit and f" [1/{panel.unit}]"
    main.set_ylabel(f"density{per}" if per else "density")
    ratio.set_ylabel("ratio")
    ratio.set_ylim(0.35, 1.65)
    ratio.set_yticks([0.5, 1.0, 1.5], ["0.5", "1", "1.5"], fontsize=7)


def _head(figure: Figure, inches: float) -> None:
    """Make the figure taller, with room above its panels."""
    width, height = figure.get_size_inches()
    factor = height / (height + inches)
    for axes in figure.axes:
        x, y, w, h = axes.get_position().bounds
        axes.set_position((x, y * factor, w, h * factor))
    figure.set_size_inches(width, height + inches)


def _number(x: float) -> str:
    """Two digits, as a power of ten if it is small."""
    if x == 0 or x >= 1e-3:
        return f"{x:.2g}"
    digits, exponent = f"{x:.1e}".split("e")
    return rf"${digits}\times10^{{{int(exponent)}}}$"
