"""The distribution of event weights: how far a sampler is from unweighted events."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import COLUMN, colour, style


def weight_distribution(
    weights: Mapping[str, ArrayLike],
    efficiencies: Mapping[str, float] | None = None,
    bins_per_decade: int = 12,
) -> Figure:
    """Draw the distributions of w / <w> of several samplers, both axes logarithmic.

    Parameters
    ----------
    weights : mapping of str to array_like
        Arrays (n,) by the sampler's name ("flow", "VEGAS", "channels" have colours of their own). Zero
        weights (outside the cuts) are not drawn but count in the mean.
    efficiencies : mapping of str to float, optional
        Unweighting efficiencies to be named in the legend.
    """
    if not weights:
        raise InputError("weight_distribution needs at least one array of weights")
    relative = {}
    for name, values in weights.items():
        w = np.asarray(values, dtype=float)
        mean = w.mean() if w.size else np.nan
        if not (np.isfinite(mean) and mean > 0):
            raise InputError(f"the weights of {name!r} need a finite, positive mean, got {mean}")
        relative[name] = w / mean
    positive = np.concatenate([r[r > 0] for r in relative.values()])
    low = max(np.log10(np.quantile(positive, 1e-4)), -5.0) - 0.05
    high = np.log10(positive.max()) + 0.05
    edges = np.logspace(low, high, max(round((high - low) * bins_per_decade), 40) + 1)

    with style():
        figure = Figure(figsize=(COLUMN * 1.25, COLUMN * 0.95), layout="constrained")
        axes = figure.add_subplot()
        floor = np.inf
        for i, (name, r) in enumerate(relative.items()):
            counts = np.histogram(r, edges)[0]
            # Per unit of ln w, so that the area under the curve is the share of the points.
            density = counts / r.size / np.diff(np.log(edges))
            floor = min(floor, 0.5 / r.size / np.diff(np.log(edges)).max())
            label = name
            if efficiencies and name in efficiencies:
                label += rf"  ($\varepsilon_{{\mathrm{{uw}}}}$ = {efficiencies[name]:.3g})"
            drawn = np.where(counts > 0, density, floor / 10)
            axes.stairs(drawn, edges, color=colour(name, i), label=label, baseline=None)
        axes.axvline(1.0, color="0.6", linewidth=0.7, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(edges[0], edges[-1])
        # Room for the legend above the curves.
        axes.set_ylim(floor, axes.get_ylim()[1] * 10 ** (0.45 * len(relative)))
        axes.set_xlabel(r"$w\,/\,\langle w\rangle$")
        axes.set_ylabel(r"$(1/N)\;\mathrm{d}N/\mathrm{d}\ln w$")
        axes.legend(loc="upper left")
    return figure
