"""Between the unit cube and the real line."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import InputError
from .bijection import Bijection


class Logit(Bijection):
    """Data in the unit cube to the real line: ``z = logit(alpha + (1 - 2 alpha) x)`` in each dimension.

    ``alpha`` keeps 0 and 1 at a finite distance (1705.07057; 1e-6 in CaloFlow, 2106.05285).
    With ``alpha = 0`` they go to the largest finite values. Points outside the range of the map have
    density zero: their log-determinant is -inf.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    alpha : float
        In [0, 0.5).
    """

    def __init__(self, dim: int, alpha: float = 1e-6) -> None:
        super().__init__(dim)
        self.alpha = _checked(alpha)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return _logit(x, self.alpha)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return _sigmoid(z, self.alpha)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "alpha": self.alpha}

    def extra_repr(self) -> str:
        return f"dim={self.dim}, alpha={self.alpha:g}"


class Sigmoid(Bijection):
    """Data on the real line to the unit cube, the inverse of `Logit` with the same ``alpha``."""

    def __init__(self, dim: int, alpha: float = 0.0) -> None:
        super().__init__(dim)
        self.alpha = _checked(alpha)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return _sigmoid(x, self.alpha)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return _logit(z, self.alpha)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "alpha": self.alpha}

    def extra_repr(self) -> str:
        return f"dim={self.dim}, alpha={self.alpha:g}"


def _checked(alpha: float) -> float:
    if not 0 <= alpha < 0.5:
        raise InputError(f"alpha must be in [0, 0.5), got {alpha}")
    return float(alpha)


def _logit(x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    # Both ends are computed from the near side: 1 - (alpha + ...) would lose alpha in float32.
    lower = alpha + (1 - 2 * alpha) * x
    upper = alpha + (1 - 2 * alpha) * (1 - x)
    outside = ((lower < 0) | (upper < 0)).any(-1)
    tiny = torch.finfo(x.dtype).tiny
    log_lower, log_upper = lower.clamp_min(tiny).log(), upper.clamp_min(tiny).log()
    log_det = (math.log1p(-2 * alpha) - log_lower - log_upper).sum(-1)
    return log_lower - log_upper, torch.where(outside, -math.inf, log_det)


def _sigmoid(z: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    x = (z.sigmoid() - alpha) / (1 - 2 * alpha)
    log_det = (logsigmoid(z) + logsigmoid(-z) - math.log1p(-2 * alpha)).sum(-1)
    return x, log_det
