"""The history of a training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import COLUMN, colour, style


def training_history(
    losses: Mapping[str, ArrayLike],
    steps: ArrayLike | None = None,
    learning_rate: ArrayLike | None = None,
    loss_name: str = "loss",
    step_name: str = "step",
) -> Figure:
    """Draw loss curves against the step and, if given, the learning rate below.

    Parameters
    ----------
    losses : mapping of str to array_like
        Curves (steps,) by name, for example "training" and "validation"; NaN where not measured.
    steps : array_like, optional
        Abscissa (steps,); 1, 2, ... if None.
    learning_rate : array_like, optional
        (steps,), drawn in a panel of its own.
    """
    curves = {name: np.asarray(values, float) for name, values in losses.items()}
    lengths = {c.shape for c in curves.values()}
    if len(lengths) != 1:
        raise InputError(f"training_history needs curves of one length, got {sorted(lengths)}")
    n = next(iter(lengths))[0]
    x = np.arange(1, n + 1) if steps is None else np.asarray(steps, float)
    with style():
        figure = Figure(
            figsize=(COLUMN * 1.25, COLUMN * (1.0 if learning_rate is not None else 0.8)),
            layout="constrained",
        )
        grid = figure.add_gridspec(
            2 if learning_rate is not None else 1, 1, height_ratios=[3, 1][: 1 + (learning_rate is not None)]
        )
        axes = figure.add_subplot(grid[0])
        for i, (name, values) in enumerate(curves.items()):
            good = np.isfinite(values)
            noisy = good.sum() > 200
            axes.plot(
                x[good],
                values[good],
                color=colour(name, i),
                alpha=0.25 if noisy else 1.0,
                linewidth=0.6 if noisy else 1.2,
                label=None if noisy else name,
            )
            if noisy:
                xs, smooth = _smooth(x[good], values[good])
                axes.plot(xs, smooth, color=colour(name, i), label=name)
        values = np.concatenate([c[np.isfinite(c)] for c in curves.values()])
        if values.size and values.min() > 0 and values.max() > 30 * np.median(values):
            axes.set_yscale("log")
        axes.set_ylabel(loss_name)
        axes.legend(loc="upper right")
        bottom = axes
        if learning_rate is not None:
            bottom = figure.add_subplot(grid[1], sharex=axes)
            bottom.plot(x, np.asarray(learning_rate, float), color="0.35")
            bottom.set_ylabel("learning rate")
            bottom.set_ylim(bottom=0)
            axes.tick_params(labelbottom=False)
            figure.align_ylabels([axes, bottom])
        bottom.set_xlim(x[0], x[-1] if n > 1 else x[0] + 1)
        bottom.set_xlabel(step_name)
    return figure


def _smooth(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over about a hundred windows of neighbouring steps."""
    width = max(len(x) // 100, 1)
    n = len(x) // width * width
    return x[:n].reshape(-1, width).mean(axis=1), y[:n].reshape(-1, width).mean(axis=1)
