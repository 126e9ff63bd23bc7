"""The map of a VEGAS grid as a bijection."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from .bijection import Bijection


class VegasGrid(Bijection):
    """Piecewise-linear map of each dimension that sends every bin of a grid to an interval 1/bins.

    Data to latent, in bin ``i`` with edges ``e[i]``, ``e[i+1]``:
    ``z = (i + (x - e[i]) / (e[i+1] - e[i])) / bins``, the inverse of the map of Lepage, J. Comput. Phys. 27
    (1978) 192, and 2009.05112. Beyond the grid the outer bins go on, so that points outside of the
    data's range stay outside the unit cube.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    bins : int
        Bins per dimension, ignored if ``edges`` is given.
    edges : (dim, bins + 1) strictly increasing bin edges (tensor or array); equal bins on [0, 1] if
        None. They are kept as a buffer: fixed, saved with the flow, and x is differentiated through.

    Raises
    ------
    InputError
        If the edges have the wrong shape or do not increase.

    Examples
    --------
    >>> import torch
    >>> grid = VegasGrid(1, edges=torch.tensor([[0.0, 0.1, 1.0]]))
    >>> z, log_det = grid(torch.tensor([[0.1], [1.0]]))
    >>> z.tolist()
    [[0.5], [1.0]]
    """

    edges: Tensor

    def __init__(self, dim: int, bins: int = 1, edges: Tensor | None = None) -> None:
        super().__init__(dim)
        if edges is None:
            if bins < 1:
                raise InputError(f"a VEGAS grid needs bins >= 1, got {bins}")
            edges = torch.linspace(0, 1, bins + 1).expand(dim, -1)
        edges = torch.as_tensor(edges).to(torch.get_default_dtype()).clone()
        if edges.ndim != 2 or edges.shape[0] != dim or edges.shape[1] < 2:
            raise InputError(f"grid edges need shape ({dim}, bins + 1), got {tuple(edges.shape)}")
        if not bool((edges.diff(dim=1) > 0).all()):
            raise InputError(
                f"grid edges must strictly increase in {edges.dtype}; merge or widen the narrow bins"
            )
        self.bins = edges.shape[1] - 1
        self.register_buffer("edges", edges)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        columns = x.detach().T.contiguous()
        index = (torch.searchsorted(self.edges, columns, right=True) - 1).clamp(0, self.bins - 1).T
        left, right = self._bin(index)
        z = (index + (x - left) / (right - left)) / self.bins
        return z, -((right - left) * self.bins).log().sum(-1)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        position = z * self.bins
        index = position.detach().floor().clamp(0, self.bins - 1).long()
        left, right = self._bin(index)
        # lerp is exact at both ends of a bin; left + t * width is not at the upper one.
        x = torch.lerp(left, right, position - index)
        return x, ((right - left) * self.bins).log().sum(-1)

    def _bin(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Left and right edges (n, dim) of the bins ``index`` (n, dim)."""
        return self.edges.gather(1, index.T).T, self.edges.gather(1, index.T + 1).T

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "bins": self.bins}

    def extra_repr(self) -> str:
        return f"dim={self.dim}, bins={self.bins}"
