"""The importance grid of VEGAS: a separable, piecewise-linear map of the unit cube (Lepage 1978)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float

from .._native import core
from ..errors import InputError
from .proposal import Proposal, inside

if TYPE_CHECKING:
    from ..flows.vegas_grid import VegasGrid

GROWTH = 1.0  # a bin is about as wide as its distance from a narrower one at most: widths double
PIECES = 32  # of a bin that is too wide; more than enough to place edges in it by interpolation


class VegasMap(Proposal):
    """Each dimension of the latent cube, cut in equal bins, stretched to the bins of a grid.

    A point ``y`` in bin ``i`` of ``b`` equal bins goes to ``x = e[i] + (b y - i) (e[i+1] - e[i])``, so that
    where bins are narrow points are dense: the density at ``x`` is the product over dimensions of
    ``1 / (b (e[i+1] - e[i]))``. J. Comput. Phys. 27 (1978) 192; 2009.05112.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    bins : int
        Equal bins per dimension to start with.
    edges : ndarray, optional
        (dim, bins + 1) strictly increasing edges from 0 to 1, instead of equal bins.

    Examples
    --------
    >>> grid = VegasMap(1, edges=np.array([[0.0, 0.1, 1.0]]))
    >>> x, jacobian = grid.map(np.array([[0.25], [0.75]]))
    >>> x.ravel().tolist(), jacobian.tolist()
    ([0.05, 0.55], [0.2, 1.8])
    """

    edges: Float[np.ndarray, "dim bins+1"]

    def __init__(self, dim: int, bins: int = 1, edges: np.ndarray | None = None) -> None:
        if edges is None:
            if dim < 1 or bins < 1:
                raise InputError(f"a VEGAS map needs dim >= 1 and bins >= 1, got {dim} and {bins}")
            edges = np.tile(np.linspace(0, 1, bins + 1), (dim, 1))
        edges = np.array(edges, dtype=float, order="C")
        if edges.ndim != 2 or edges.shape[0] != dim or edges.shape[1] < 2:
            raise InputError(f"grid edges need shape ({dim}, bins + 1), got {edges.shape}")
        if (edges[:, 0] != 0).any() or (edges[:, -1] != 1).any() or not (np.diff(edges) > 0).all():
            raise InputError("grid edges must strictly increase from 0 to 1 in every dimension")
        self.dim = dim
        self.edges = edges

    @property
    def bins(self) -> int:
        """Bins per dimension."""
        return self.edges.shape[1] - 1

    def map(
        self, y: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Latent to integration variables: ``x`` (n, dim) and the Jacobian |dx/dy| (n,)."""
        y = np.ascontiguousarray(y, dtype=float)
        if core is not None:
            x, jacobian = np.empty_like(y), np.empty(len(y))
            core.vegas_map(self.edges, y, x, jacobian)
            return x, jacobian
        position = y * self.bins
        index = np.clip(position.astype(np.intp), 0, self.bins - 1)
        rows = np.arange(self.dim)
        left, right = self.edges[rows, index], self.edges[rows, index + 1]
        return left + (position - index) * (right - left), ((right - left) * self.bins).prod(axis=1)

    def inverse(
        self, x: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Integration to latent variables: ``y`` (n, dim) and the density |dy/dx| (n,)."""
        x = np.ascontiguousarray(x, dtype=float)
        y, density = np.empty_like(x), np.ones(len(x))
        for d in range(self.dim):
            edges = self.edges[d]
            index = np.clip(np.searchsorted(edges, x[:, d], side="right") - 1, 0, self.bins - 1)
            width = edges[index + 1] - edges[index]
            y[:, d] = (index + (x[:, d] - edges[index]) / width) / self.bins
            density /= width * self.bins
        return y, density

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, jacobian = self.map(rng.random((n, self.dim)))
        return x, 1 / jacobian

    def density(self, x: np.ndarray) -> np.ndarray:
        return np.where(inside(x), self.inverse(np.clip(x, 0, 1))[1], 0.0)

    def refined(
        self, training: Float[np.ndarray, "dim bins"], alpha: float = 0.5, window: int = 0
    ) -> VegasMap:
        """The grid adapted to where the integrand is large (Lepage 1978; 2009.05112).

        Parameters
        ----------
        training : ndarray, shape (dim, bins)
            (dim, bins) mean of the squared weight of the points in each bin; 0 where there were none.
        alpha : float
            Damping: 0 changes nothing, 1 is fast, 0.5 is VEGAS' choice.
        window : int
            The training is first averaged over so many bins on either side. Without it a bin that by chance
            saw nothing grows, and rare large weights follow (at hard cuts above all).
        """
        smooth = np.asarray(training, dtype=float)
        window = min(window, self.bins - 1)
        if window > 0:
            padded = np.pad(smooth, ((0, 0), (window, window)), mode="edge")
            smooth = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1, axis=1).mean(axis=-1)
        if self.bins > 2:
            padded = np.pad(smooth, ((0, 0), (1, 1)), mode="edge")
            smooth = (padded[:, :-2] + 6 * smooth + padded[:, 2:]) / 8
        total = smooth.sum(axis=1, keepdims=True)
        share = np.divide(smooth, total, out=np.full_like(smooth, 1 / self.bins), where=total > 0)
        share = np.clip(share, 1e-300, 1 - 1e-9)
        importance = ((1 - share) / -np.log(share)) ** alpha
        return self._regrid(importance, self.bins)._graded()

    def _graded(self) -> VegasMap:
        """The same number of bins, with more of them where a wide one lies beside a narrow one.

        Where the integrand is a narrow peak, all bins but two go there, and those two have a flank of the
        peak and all the empty space beside it. None of their points may ever fall on the flank, whose
        share of the integral (one bin's) is then missing without a trace in the error. So the width allowed
        at ``x`` is at most that of any bin plus ``GROWTH`` times the distance from it, and wider bins
        are cut: 2 log(width ratio) more bins, of a thousand, for each peak.
        """
        edges = np.stack([_graded_edges(row) for row in self.edges])
        return VegasMap(self.dim, edges=edges)

    def rebinned(self, bins: int) -> VegasMap:
        """The same map, as well as ``bins`` bins can say it."""
        return self if bins == self.bins else self._regrid(np.ones((self.dim, self.bins)), bins)

    def _regrid(self, importance: np.ndarray, bins: int) -> VegasMap:
        """New edges that share the importance (dim, bins) of the old bins equally."""
        edges = np.empty((self.dim, bins + 1))
        for d in range(self.dim):
            cumulative = np.concatenate([[0.0], np.cumsum(importance[d])])
            edges[d] = np.interp(np.linspace(0, cumulative[-1], bins + 1), cumulative, self.edges[d])
            edges[d, 0], edges[d, -1] = 0, 1
            # A peak narrower than the spacing of floating-point numbers: this dimension stays as it was.
            if not (np.diff(edges[d]) > 0).all():
                edges[d] = _resized_edges(self.edges[d], bins)
        return VegasMap(self.dim, edges=edges)

    def to_bijection(self) -> VegasGrid:
        """The same map as a layer of a flow (data ``x`` to latent ``y``), in torch's default dtype."""
        import torch

        from ..flows.vegas_grid import VegasGrid

        return VegasGrid(self.dim, edges=torch.as_tensor(self.edges))

    def state(self) -> dict[str, np.ndarray]:
        return {"edges": self.edges}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        return cls(state["edges"].shape[0], edges=state["edges"])

    def __repr__(self) -> str:
        return f"VegasMap(dim={self.dim}, bins={self.bins})"


def _graded_edges(edges: np.ndarray) -> np.ndarray:
    """Edges (bins + 1,) such that widths grow with distance from narrow bins; as many as before."""
    width = np.diff(edges)
    # The width allowed at the left end of each bin by those on its left, at the right end by those beyond it.
    inf = np.inf
    left = GROWTH * edges[:-1] + np.minimum.accumulate(np.r_[inf, (width - GROWTH * edges[1:])[:-1]])
    right = np.minimum.accumulate(np.r_[inf, (width + GROWTH * edges[:-1])[:0:-1]])[::-1] - GROWTH * edges[1:]
    wide = np.flatnonzero(width > 2 * np.minimum(left, right))
    if len(wide) == 0:
        return edges
    places, counts = [edges], [np.arange(len(edges), dtype=float)]
    extra = np.zeros(len(edges))
    for i in wide.tolist():
        w, narrow_left, narrow_right = width[i], min(left[i], width[i]), min(right[i], width[i])
        # Points of the bin that are dense at both ends, and the number of allowed bins up to each of them.
        t = np.geomspace(1e-3 * min(narrow_left, narrow_right) / w, 0.5, PIECES)
        t = w * np.r_[0.0, t, 1 - t[-2::-1], 1.0]
        allowed = np.minimum(w, np.minimum(narrow_left + GROWTH * t, narrow_right + GROWTH * (w - t)))
        number = np.r_[0.0, np.cumsum(np.diff(t) * (1 / allowed[1:] + 1 / allowed[:-1]) / 2)]
        number *= max(1.0, 1 / number[-1])
        places.append(edges[i] + t[1:-1])
        counts.append(i + number[1:-1])
        extra[i + 1 :] += number[-1] - 1
        counts[-1] = counts[-1] + extra[i]
    counts[0] = counts[0] + extra
    place, count = np.concatenate(places), np.concatenate(counts)
    order = np.argsort(place, kind="stable")
    place, count = place[order], np.maximum.accumulate(count[order])
    graded = np.interp(np.linspace(0, count[-1], len(edges)), count, place)
    graded[0], graded[-1] = 0, 1
    return graded if (np.diff(graded) > 0).all() else edges


def _resized_edges(edges: np.ndarray, bins: int) -> np.ndarray:
    """Other edges (bins + 1,) made from these: the widest bins are halved, or some edges are left out."""
    while len(edges) - 1 < bins:
        width = np.diff(edges)
        widest = np.argsort(-width, kind="stable")[: min(bins + 1 - len(edges), max(len(width) // 2, 1))]
        edges = np.sort(np.r_[edges, (edges[widest] + edges[widest + 1]) / 2])
    return edges[np.rint(np.linspace(0, len(edges) - 1, bins + 1)).astype(np.intp)]
