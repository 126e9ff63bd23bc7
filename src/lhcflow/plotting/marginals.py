"""Target and learned distribution of the integration variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from ..errors import InputError
from .histogram import draw_line, draw_points, draw_ratio, histogram
from .style import DENSITY, PAGE, colour, free_cell, ratio_panels, style

_TICKS = (0.2, 0.5, 0.8)


def marginals(
    target: ArrayLike,
    samples: Mapping[str, ArrayLike],
    target_weights: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    bins: int = 40,
    columns: int = 3,
) -> Figure:
    """Draw the distribution of each integration variable with the ratio to the target below.

    Parameters
    ----------
    target : array_like
        Points (n, dim) in the unit cube and weights (n,) that follow |f|.
    target_weights : array_like, optional
        Points (n, dim) in the unit cube and weights (n,) that follow |f|.
    samples : mapping of str to array_like
        Points (m, dim) of samplers by name, for example "before" and "learned".
    names : sequence of str, optional
        Labels of the variables; x_1, x_2, ... if None.
    """
    x, weights, labels = _checked(target, target_weights, names)
    dim = x.shape[1]
    columns = min(columns, dim)
    edges = np.linspace(0, 1, bins + 1)
    with style():
        figure, pairs = ratio_panels(dim, columns, PAGE * (0.06 + 0.94 * columns / 3))
        for j, (main, ratio) in enumerate(pairs):
            reference = histogram(x[:, j], edges, weights)
            draw_line(main, reference, colour("target"), "target", fill=True)
            for i, (name, points) in enumerate(samples.items()):
                h = histogram(_same_dim(points, dim, name)[:, j], edges)
                draw_points(main, h, colour(name, i), name)
                draw_ratio(ratio, h, reference, colour(name, i))
            # One scale for all variables, and no "before" curve that sets it.
            ratio.set_ylim(0.5, 1.5)
            ratio.set_yticks([0.75, 1.0, 1.25])
            ratio.set_xticks(_TICKS)
            main.set_ylim(0, 1.1 * main.get_ylim()[1])
            main.set_xlim(0, 1)
            ratio.set_xlabel(labels[j])
            if j % columns == 0:
                main.set_ylabel("density")
                ratio.set_ylabel("to target")
        cell = free_cell(figure, dim, columns)
        handles, texts = pairs[0][0].get_legend_handles_labels()
        (cell or pairs[0][0]).legend(handles, texts, loc="center" if cell else "best")
    return figure


def corner(
    target: ArrayLike,
    learned: ArrayLike,
    target_weights: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    bins: int = 40,
    learned_name: str = "learned",
) -> Figure:
    """Draw all pairs of variables: the target below the diagonal, the learned distribution above.

    Each panel above the diagonal is the mirror image, in colour scale too, of the one below it, so a
    well-trained flow makes the figure symmetric. The diagonal holds the marginals of both.

    Parameters
    ----------
    target : array_like
        Points (n, dim) in the unit cube and weights (n,) that follow |f|.
    target_weights : array_like, optional
        Points (n, dim) in the unit cube and weights (n,) that follow |f|.
    learned : array_like
        Points (m, dim) of the sampler.
    """
    x, weights, labels = _checked(target, target_weights, names)
    dim = x.shape[1]
    y = _same_dim(learned, dim, learned_name)
    edges = np.linspace(0, 1, bins + 1)
    with style():
        size = min(PAGE, 1.4 * dim)
        figure = Figure(figsize=(size, size))
        low, high = 0.6 / size, 1 - 0.25 / size
        ticks = _TICKS if dim <= 6 else _TICKS[::2]
        label_place = -0.42 * dim / (size - 0.7)  # inches to the left, in widths of a panel
        grid = figure.add_gridspec(
            dim,
            dim,
            wspace=0.06,
            hspace=0.06,
            left=low,
            right=high + 0.15 / size,
            bottom=0.5 / size,
            top=high,
        )
        for row in range(dim):
            for column in range(dim):
                axes = figure.add_subplot(grid[row, column])
                axes.minorticks_off()
                axes.tick_params(top=False, right=False)
                axes.set_xticks(ticks, [f"{t}" for t in ticks] if row == dim - 1 else [])
                axes.set_xlim(0, 1)
                if row == column:
                    draw_line(axes, histogram(x[:, row], edges, weights), colour("target"), fill=True)
                    axes.stairs(histogram(y[:, row], edges).values, edges, color=colour("learned"))
                    axes.set_yticks([])
                    axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
                else:
                    axes.set_yticks(ticks, [f"{t}" for t in ticks] if column == 0 else [])
                    axes.set_ylim(0, 1)
                    # Both halves share the scale of the target's density in this pair of variables.
                    first, second = sorted((row, column))
                    ceiling = np.quantile(_density(x[:, first], x[:, second], edges, weights), 0.995)
                    if row > column:
                        density = _density(x[:, column], x[:, row], edges, weights)
                    else:
                        density = _density(y[:, column], y[:, row], edges, None)
                    axes.pcolormesh(
                        edges,
                        edges,
                        density.T,
                        cmap=DENSITY,
                        vmin=0,
                        vmax=ceiling,
                        rasterized=True,
                    )
                if row == dim - 1:
                    axes.set_xlabel(labels[column])
                if column == 0:
                    axes.set_ylabel(labels[row])
                    axes.yaxis.set_label_coords(label_place, 0.5)
        figure.legend(
            handles=[
                Patch(facecolor="0.87", edgecolor=colour("target"), label="target, below the diagonal"),
                Line2D([], [], color=colour("learned"), label=f"{learned_name}, above the diagonal"),
            ],
            loc="upper center",
            ncols=2,
            columnspacing=3,
            borderaxespad=0.1,
        )
    return figure


def _density(a: np.ndarray, b: np.ndarray, edges: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.histogram2d(a, b, bins=[edges, edges], weights=weights, density=True)[0]


def _checked(
    points: ArrayLike, weights: ArrayLike | None, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, Sequence[str]]:
    x = np.asarray(points, float)
    if x.ndim != 2:
        raise InputError(f"points need shape (n, dim), got {x.shape}")
    w = np.ones(len(x)) if weights is None else np.abs(np.asarray(weights, float))
    labels = [rf"$x_{{{j + 1}}}$" for j in range(x.shape[1])] if names is None else names
    if len(labels) != x.shape[1]:
        raise InputError(f"{x.shape[1]} variables need as many names, got {len(labels)}")
    return x, w, labels


def _same_dim(points: ArrayLike, dim: int, name: str) -> np.ndarray:
    y = np.asarray(points, float)
    if y.ndim != 2 or y.shape[1] != dim:
        raise InputError(f"the points of {name!r} need shape (n, {dim}), got {y.shape}")
    return y
