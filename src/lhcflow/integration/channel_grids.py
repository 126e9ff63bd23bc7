"""Multichannel VEGAS: one importance grid for each category, and learned probabilities of the categories."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self

import numpy as np
from jaxtyping import Float, Integer

from .buffer import SampleBuffer
from .categories import Categories, drawn
from .proposal import Proposal, inside
from .vegas_map import VegasMap

BINS = 64
PSEUDO = 500.0  # points of an even histogram that each category's is averaged with
LEAST = 0.02  # of the probability that a category has by its share in the cube
POINTS_PER_WINDOW = 200


class ChannelGrids(Proposal):
    """A category with its probability, then a point from the category's VEGAS grid.

    Parameters
    ----------
    categories : Categories
        Of the first coordinate.
    probability : ndarray
        (k,) of the categories, with sum 1.
    edges : ndarray
        (k, dim - 1, bins + 1) edges of the grids.
    """

    def __init__(self, categories: Categories, probability: np.ndarray, edges: np.ndarray) -> None:
        self.categories = categories
        self.probability = np.asarray(probability, dtype=float)
        self.edges = np.asarray(edges, dtype=float)
        self.dim = self.edges.shape[1] + 1
        self._maps = [VegasMap(self.dim - 1, edges=edges) for edges in self.edges]

    @classmethod
    def even(cls, categories: Categories, dim: int, bins: int = BINS) -> ChannelGrids:
        """Even points of the cube."""
        edges = np.tile(np.linspace(0, 1, bins + 1), (len(categories), dim - 1, 1))
        return cls(categories, categories.shares, edges)

    @property
    def bins(self) -> int:
        """Bins of each grid."""
        return self.edges.shape[2] - 1

    def with_probability(self, probability: np.ndarray) -> ChannelGrids:
        """The same grids with other probabilities of the categories."""
        other = copy.copy(self)
        other.probability = np.asarray(probability, dtype=float)
        return other

    def where_narrow(self, least: float) -> ChannelGrids:
        """Even bins in the variables of which no bin has `least` times the mean density: no steps there."""
        edges = self.edges.copy()
        broad = 1 / (self.bins * np.diff(edges).min(axis=2)) < least
        edges[broad] = np.linspace(0, 1, self.bins + 1)
        return ChannelGrids(self.categories, self.probability, edges)

    def map(
        self, y: Float[np.ndarray, "n d"], number: Integer[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """The continuous coordinates from even ``y`` in their categories' grids, and the Jacobian (n,)."""
        return self._each(VegasMap.map, y, number)

    def inverse(
        self, x: Float[np.ndarray, "n d"], number: Integer[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """The inverse of `map`: ``y`` (n, d) and the density |dy/dx| (n,)."""
        return self._each(VegasMap.inverse, x, number)

    def _each(
        self,
        move: Callable[[VegasMap, np.ndarray], tuple[np.ndarray, np.ndarray]],
        points: np.ndarray,
        number: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """``move`` with the map of each point's category."""
        moved, factor = np.empty(points.shape), np.empty(len(points))
        for k in np.unique(number):
            mine = np.flatnonzero(number == k)
            moved[mine], factor[mine] = move(self._maps[k], points[mine])
        return moved, factor

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        number = drawn(self.probability, n, rng)
        x = np.empty((n, self.dim))
        x[:, 0] = self.categories.place(number, rng.random(n))
        x[:, 1:], jacobian = self.map(rng.random((n, self.dim - 1)), number)
        return x, self.ratio[number] / jacobian

    def density(self, x: np.ndarray) -> np.ndarray:
        clipped = np.clip(x, 0, 1)
        number = self.categories.number(clipped[:, 0])
        _, density = self.inverse(clipped[:, 1:], number)
        return np.where(inside(x), self.ratio[number] * density, 0.0)

    @property
    def ratio(self) -> Float[np.ndarray, " k"]:
        """Probability over share of each category: the density in the first coordinate."""
        shares = self.categories.shares
        return np.divide(self.probability, shares, out=np.zeros_like(shares), where=shares > 0)

    def refined(
        self, x: np.ndarray, weights: np.ndarray, alpha: float = 0.8, pooled: bool = False
    ) -> ChannelGrids:
        """Grids and probabilities adapted to points that were drawn from them.

        Parameters
        ----------
        x, weights : ndarray
            (n, dim), (n,) points and f / density.
        alpha : float
            Damping of the grids, as in `VegasMap`.
        pooled : bool
            One histogram for all categories with the same last label (the channel), whose grids must be
            equal; otherwise each category has its own, averaged with an even one of 500 points.
        """
        largest = np.abs(weights).max(initial=0.0)
        if not largest > 0:  # nothing to adapt to
            return self
        # Only ratios count, and squares can be represented in units of this power of two.
        weights = np.ldexp(weights, -np.frexp(largest)[1])
        number = self.categories.number(x[:, 0])
        y, _ = self.inverse(x[:, 1:], number)
        index = np.minimum((y * self.bins).astype(np.intp), self.bins - 1)
        square = weights**2
        size = len(self.categories)
        counts = np.bincount(number, minlength=size)
        second = np.bincount(number, square, size) / np.maximum(counts, 1)
        row = self.categories.labels[:, -1] if pooled else np.arange(size)
        relative = square if pooled else square / np.maximum(second, 1e-300)[number]
        edges = self.edges.copy()
        for r in np.unique(row):
            mine = np.flatnonzero(row == r)
            points = np.flatnonzero(row[number] == r)
            if len(points) < 50 or not relative[points].any():
                continue
            cells = (np.arange(self.dim - 1) * self.bins + index[points]).ravel()
            histogram = np.bincount(
                cells, np.repeat(relative[points], self.dim - 1), (self.dim - 1) * self.bins
            ).reshape(self.dim - 1, self.bins)
            histogram *= len(points) / histogram.sum(axis=1, keepdims=True)
            histogram += PSEUDO / self.bins
            window = POINTS_PER_WINDOW * self.bins // (2 * len(points))
            grid = self._maps[mine[0]]
            edges[mine] = grid.refined(histogram, alpha, min(window, self.bins // 8)).edges
        return ChannelGrids(self.categories, self._adapted(counts, second), edges)

    def _adapted(self, counts: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Probabilities in proportion to the roots of the second moments, where there are enough points."""
        trust = counts / (counts + 20.0)
        wanted = self.probability * np.sqrt(second)
        wanted = trust * wanted / max(wanted.sum(), 1e-300) + (1 - trust) * self.probability
        wanted = np.maximum(wanted, LEAST * self.categories.shares)
        return wanted / wanted.sum()

    def state(self) -> dict[str, np.ndarray]:
        return {
            "shares": self.categories.shares,
            "labels": self.categories.labels,
            "probability": self.probability,
            "edges": self.edges,
        }

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        categories = Categories(state["shares"], state["labels"])
        return cls(categories, state["probability"], state["edges"])

    def __repr__(self) -> str:
        return f"ChannelGrids({len(self.categories)} categories, dim={self.dim}, bins={self.bins})"


def adapted_grids(
    f: Callable[[np.ndarray], np.ndarray],
    grids: ChannelGrids,
    calls: int,
    rng: np.random.Generator,
    *,
    pooled: int = 3,
    own: int = 3,
    buffer: SampleBuffer | None = None,
) -> ChannelGrids:
    """Adapt grids in iterations: first those of a channel in common, then each category's by itself.

    Parameters
    ----------
    f : callable
        The integrand's driving component.
    grids : ChannelGrids
        To start with.
    calls : int
        Evaluations of all iterations together.
    rng : np.random.Generator
        Random numbers.
    pooled, own : int
        Number of iterations of either kind.
    buffer : SampleBuffer, optional
        Takes the points, if there is one.
    """
    sizes = np.diff(np.arange(pooled + own + 1) * calls // (pooled + own))
    for i, size in enumerate(sizes.tolist()):
        x, density = grids.sample(size, rng)
        values = np.asarray(f(x), dtype=float)
        if buffer is not None:
            buffer.add(x, values, grids)
        grids = grids.refined(x, values / density, pooled=i < pooled)
    return grids
