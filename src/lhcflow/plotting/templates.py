"""Features of data and of a background template, above their ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..errors import InputError
from .histogram import Histogram, draw_band, draw_points
from .style import PAGE, ratio_panels, style

_LOOK: dict[str, tuple[str, Any]] = {
    "data": ("0.1", "o"),
    "template": ("#0b62a4", "-"),
    "background": ("#d55e00", "--"),
    "signal": ("#3a8f5b", ":"),
}


@dataclass(frozen=True)
class TemplatePanel:
    """One feature.

    Attributes
    ----------
    label : str
        For the axis.
    edges : array_like
        Bin edges (bins + 1,).
    counts : mapping of str to array_like
        (bins,) by the name of the sample; "template" and "data" are compared.
    """

    label: str
    edges: ArrayLike
    counts: Mapping[str, ArrayLike]


def template_histograms(panels: Sequence[TemplatePanel], columns: int = 2) -> Figure:
    """Draw a panel per feature: normalised histograms, and below data (and background) over template.

    The signal, if there is one, is not to scale.
    """
    if not panels:
        raise InputError("template_histograms needs at least one panel")
    names = list(dict.fromkeys(name for p in panels for name in p.counts))
    with style():
        columns = min(columns if len(panels) <= 4 else 3, len(panels))
        figure, pairs = ratio_panels(len(panels), columns, PAGE if columns > 1 else 0.6 * PAGE, 2.2)
        for panel, (main, ratio) in zip(panels, pairs, strict=True):
            _draw(panel, main, ratio)
        handles = []
        for name in names:
            shade, look = _LOOK.get(name, ("0.5", "-"))
            marker, line = ("o", "none") if look == "o" else ("none", look)
            handles.append(
                Line2D([], [], color=shade, label=name, marker=marker, linestyle=line, markersize=3)
            )
        pairs[0][0].legend(handles=handles, loc="upper right")
        return figure


def _draw(panel: TemplatePanel, main: Axes, ratio: Axes) -> None:
    edges = np.asarray(panel.edges, float)
    drawn = {name: _density(edges, counts) for name, counts in panel.counts.items()}
    template = drawn["template"]
    for name, h in drawn.items():
        shade, look = _LOOK.get(name, ("0.5", "-"))
        if name == "signal":
            continue
        if look == "o":
            draw_points(main, h, shade, size=2.0)
        else:
            main.stairs(h.values, h.edges, color=shade, linestyle=look)
            if name == "template":
                main.stairs(h.values, h.edges, color=shade, fill=True, alpha=0.12, linewidth=0)
        if name in ("data", "background"):
            points = h.ratio(template)
            known = replace(points, errors=np.where(points.errors < 0.2, points.errors, 0.0))
            draw_points(ratio, known, shade, size=1.8, shift=0.0 if name == "data" else 0.15)
    draw_band(ratio, template.ratio(template), _LOOK["template"][0])
    ratio.axhline(1.0, color="0.35", linewidth=0.7)
    top = 1.3 * max(float(h.values.max()) for name, h in drawn.items() if name != "signal")
    if "signal" in drawn and drawn["signal"].values.any():
        # Its height says nothing: it is drawn as high as the panel allows.
        shade, look = _LOOK["signal"]
        values = drawn["signal"].values
        main.stairs(0.7 * top * values / values.max(), edges, color=shade, linestyle=look)
    main.set_ylim(0, top)
    main.yaxis.set_major_locator(MaxNLocator(4, prune="lower"))
    main.set_xlim(edges[0], edges[-1])
    main.set_ylabel("density")
    ratio.set_ylabel("ratio")
    ratio.set_xlabel(panel.label, labelpad=1)
    ratio.set_ylim(0.8, 1.2)
    ratio.set_yticks([0.9, 1.0, 1.1], ["0.9", "1", "1.1"])


def _density(edges: np.ndarray, counts: ArrayLike) -> Histogram:
    n = np.asarray(counts, float)
    scale = 1 / (max(n.sum(), 1e-300) * np.diff(edges))
    return Histogram(edges, n * scale, np.sqrt(n) * scale)
