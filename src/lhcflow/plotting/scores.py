"""Distributions of anomaly scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import PAGE, style

_LOOK: dict[str, tuple[str, Any]] = {
    "template": ("0.35", "-"),
    "signal region": ("#0b62a4", "-"),
    "sidebands": ("#d55e00", "-"),
    "background": ("0.0", ":"),
    "signal": ("#3a8f5b", "--"),
}


@dataclass(frozen=True)
class ScorePanel:
    """Scores of one method as -log10 of the background efficiency.

    Attributes
    ----------
    title : str
        Name of the method.
    edges : array_like
        Bin edges (bins + 1,).
    counts : mapping of str to array_like
        (bins,) events of each sample, by its name.
    """

    title: str
    edges: ArrayLike
    counts: Mapping[str, ArrayLike]


def score_distributions(panels: Sequence[ScorePanel], columns: int = 3) -> Figure:
    """Draw a panel per method: normalised distributions of -log10(background efficiency).

    Background falls as 10^-x by construction; what lies above it to the right is signal, or background
    that the template does not describe.
    """
    if not panels:
        raise InputError("score_distributions needs at least one panel")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    names = list(dict.fromkeys(name for p in panels for name in p.counts))
    with style():
        width = PAGE if columns == 3 else PAGE * (0.1 + 0.3 * columns)
        figure = Figure(figsize=(width, 2.0 * rows + 0.25), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        smallest = 1.0
        for i, panel in enumerate(panels):
            axes = grid[i // columns][i % columns]
            edges = np.asarray(panel.edges, float)
            for name, counts in panel.counts.items():
                n = np.asarray(counts, float)
                if n.sum() == 0:
                    continue
                shade, dashes = _LOOK.get(name, ("0.5", "-"))
                values = n / n.sum() / np.diff(edges)
                smallest = min(smallest, values[values > 0].min())
                axes.stairs(values, edges, color=shade, linestyle=dashes, linewidth=1.1)
                if name in ("signal region", "sidebands"):
                    error = np.sqrt(n) / n.sum() / np.diff(edges)
                    axes.fill_between(
                        edges,
                        np.append(values - error, 0),
                        np.append(values + error, 0),
                        step="post",
                        color=shade,
                        alpha=0.2,
                        linewidth=0,
                    )
            axes.set_xlim(edges[0], edges[-1])
            axes.text(0.95, 0.93, panel.title, transform=axes.transAxes, ha="right", va="top")
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for i in range(len(panels)):
            axes = grid[i // columns][i % columns]
            if i + columns >= len(panels):
                axes.tick_params(labelbottom=True)
                axes.set_xlabel(r"$-\log_{10}$(background efficiency)")
            if i % columns == 0:
                axes.set_ylabel("density")
        grid[0][0].set_yscale("log")
        grid[0][0].yaxis.set_minor_formatter(NullFormatter())
        grid[0][0].set_ylim(max(0.5 * smallest, 1e-6), 20)
        handles = []
        for n in names:
            shade, dashes = _LOOK.get(n, ("0.5", "-"))
            handles.append(Line2D([], [], color=shade, linestyle=dashes, label=n))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        return figure
