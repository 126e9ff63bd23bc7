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


class VegasMap(Proposal):
    """Each dimension of the latent cube, cut in equal bins, stretched to the bins of a grid.

    A point ``y`` in bin ``i`` of ``b`` equal bins goes to ``x = e[i] + (b y - i) (e[i+1] - e[i])``, so that
    where bins are narrow points are dense: the density at ``x`` is the product over dimensions of
    ``1 / (b (e[i+1] - e[i]))``. J. Comput. Phys. 27 (1978) 192; 2009.05112.

    Parameters
    ----------
    dim : number of dimensions.
    bins : equal bins per dimension to start with.
    edges : (dim, bins + 1) strictly increasing edges from 0 to 1, instead of equal bins.

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
        training : (dim, bins) mean of the squared weight of the points in each bin; 0 where there were none.
        alpha : damping: 0 changes nothing, 1 is fast, 0.5 is VEGAS' choice.
        window : the training is first averaged over so many bins on either side. Without it a bin that
            by chance saw nothing grows, and rare large weights follow (at hard cuts above all).
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
        return self._regrid(importance, self.bins)

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
                if bins != self.bins:
                    raise InputError(f"the grid of dimension {d} is too narrow for {bins} bins; use fewer")
                edges[d] = self.edges[d]
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
