"""A VEGAS grid to put under a flow, found by a ladder of temperatures as well."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .buffer import SampleBuffer, effective_share
from .vegas_map import VegasMap

BINS = 32
# Effective points for a grid. With fewer, each bin's content is noise; in 65 dimensions the product of so
# many noisy densities leaves the next round still fewer, and so on until the grid has lost the integrand.
LEAST = 2 * BINS
NARROW = 8.0  # a density this far above the mean is better left to the grid than to the flow's splines


def tempered_grid(
    f: Callable[[np.ndarray], np.ndarray],
    buffer: SampleBuffer,
    calls: int,
    rng: np.random.Generator,
    *,
    rounds: int = 5,
    effective: float = 0.2,
) -> VegasMap:
    """A separable grid for the variables in which the integrand has narrow peaks.

    In each round the grid's bins are made to hold equal parts of ``|f|^beta``, averaged with the grid so
    far; beta is the largest that leaves enough effective points, so that a single large value can't draw
    the grid to it (which is how VEGAS loses modes in many dimensions). Variables whose density stays
    below ``NARROW`` get no grid: the flow learns them without the steps that a grid has.

    Parameters
    ----------
    f : callable
        The integrand's driving component.
    buffer : SampleBuffer
        Takes all points; those it holds already are used from the start.
    calls : int
        Evaluations, spread over ``rounds``.
    rng : np.random.Generator
        Random numbers.
    effective : float
        Share of effective points, see `SampleBuffer.temperature`.
    """
    grid = VegasMap(buffer.x.shape[1], bins=BINS)
    sizes = np.diff(np.arange(rounds + 1) * calls // rounds).tolist()
    for size in [0, *sizes] if len(buffer) else sizes:
        if size:
            x, _ = grid.sample(size, rng)
            buffer.add(x, f(x), grid)
        log_w = buffer.log_weights(buffer.temperature(effective))
        if effective_share(log_w) * len(buffer) < LEAST:
            continue
        grid = _equalised(grid, buffer.x, np.exp(log_w - log_w.max()))
    edges = grid.edges.copy()
    broad = 1 / (BINS * np.diff(edges).min(axis=1)) < NARROW
    edges[broad] = np.linspace(0, 1, BINS + 1)
    return VegasMap(len(edges), edges=edges)


def _equalised(grid: VegasMap, x: np.ndarray, w: np.ndarray) -> VegasMap:
    """Bins with equal shares of the mean of the weights' distribution and of the grid's own density."""
    edges = np.empty_like(grid.edges)
    for d, old in enumerate(grid.edges):
        order = np.argsort(x[:, d])
        points = np.concatenate([[0.0], x[order, d], [1.0]])
        mass = np.concatenate([[0.0], np.cumsum(w[order])])
        of_points = np.interp(points[:-1], points[:-1], mass / mass[-1])
        of_grid = np.linspace(0, 1, BINS + 1)
        places = np.union1d(points, old)
        total = (np.interp(places, points[:-1], of_points) + np.interp(places, old, of_grid)) / 2
        edges[d] = np.interp(of_grid, total, places)
        edges[d, 0], edges[d, -1] = 0, 1
        if not (np.diff(edges[d]) > 0).all():
            edges[d] = old
    return VegasMap(len(edges), edges=edges)
