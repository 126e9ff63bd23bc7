"""A sample after each layer of a flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import PAGE, style

_MAP = LinearSegmentedColormap.from_list("depth", ["#0b62a4", "#8fb8d6", "#e3cfa6", "#e89b5a", "#b2410e"])


def layers(
    samples: Sequence[ArrayLike],
    titles: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    columns: int | None = None,
) -> Figure:
    """Draw the same sample after each layer, from the base to the data.

    Points keep the colour of their place in the base (the first panel), so that one sees where each
    region is carried.

    Parameters
    ----------
    samples : sequence of array_like
        Points (n, 2) each, the base first.
    titles : sequence of str, optional
        One per panel; "base", "layer 1", ... if None.
    limits : (float or float), optional
        Range of both axes; that of all samples if None.
    """
    points = [np.asarray(s, float) for s in samples]
    if not points or any(p.shape != points[0].shape or p.ndim != 2 or p.shape[1] != 2 for p in points):
        raise InputError("layers needs samples of one shape (n, 2)")
    if titles is None:
        titles = ["base"] + [f"layer {i}" for i in range(1, len(points))]
    if limits is None:
        every = np.concatenate(points)
        limits = (float(every.min()), float(every.max()))
    centred = points[0] - points[0].mean(axis=0)
    # Turned by 45 degrees, so that the colour tells something about both coordinates.
    shade = centred.sum(axis=1).argsort().argsort() / len(centred)
    columns = min(len(points), 4) if columns is None else columns
    rows = -(-len(points) // columns)
    with style():
        figure = Figure(figsize=(PAGE, PAGE / columns * 1.08 * rows), layout="constrained")
        grid = figure.add_gridspec(rows, columns)
        for j, (sample, title) in enumerate(zip(points, titles, strict=True)):
            axes = figure.add_subplot(grid[j // columns, j % columns])
            axes.scatter(*sample.T, c=shade, cmap=_MAP, s=0.8, linewidths=0, rasterized=True)
            axes.set_xlim(*limits)
            axes.set_ylim(*limits)
            axes.set_aspect("equal")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.minorticks_off()
            axes.set_title(title)
    return figure
