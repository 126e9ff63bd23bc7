"""Features to the real line and back, with the exact Jacobian (2109.00546, section III.A)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..flows import Affine, Bijection, Logit
from .limits import Limits

Array = NDArray[np.float64]


class Preprocessing:
    """Min-max to the unit cube, logit, standardisation: bijections in float64, fitted to a sample.

    Parameters
    ----------
    X, m : Array
        (n, features), (n,) sample that is standardised.
    limits : Limits
        Of the features, within which the densities live.
    margin : float
        How far beyond the limits the unit cube reaches, as a share of their distance; it keeps the outermost
        events at a finite place.
    """

    def __init__(self, X: Array, m: Array, limits: Limits, margin: float = 1e-3) -> None:
        self.limits, self.margin = limits, margin
        self.bijections: list[Bijection] = [Logit(X.shape[1], alpha=0.0)]
        z, _ = self.forward(X, m)
        self.bijections.append(Affine.standardize(_tensor(z)).double())

    def forward(self, X: Array, m: Array) -> tuple[Array, Array]:
        """Map features (n, features) at masses (n,) to ``z`` (n, features); ``log|dz/dx|`` (n,) too.

        It is -inf beyond the limits; what lies there goes to the largest finite values.
        """
        low, width = self._box(m)
        x, log_det = _tensor((X - low) / width), _tensor(-np.log(width).sum(1))
        with torch.no_grad():
            for bijection in self.bijections:
                x, term = bijection(x)
                log_det = log_det + term
        return x.numpy(), log_det.numpy()

    def inverse(self, z: Array, m: Array) -> Array:
        """Map ``z`` (n, features) at masses (n,) back to features (n, features)."""
        x = _tensor(z)
        with torch.no_grad():
            for bijection in reversed(self.bijections):
                x, _ = bijection.inverse(x)
        low, width = self._box(m)
        return low + width * x.numpy()

    def _box(self, m: Array) -> tuple[Array, Array]:
        """Where the unit cube begins, and its sides, (n, features) each."""
        low, high = self.limits(m)
        reach = self.margin * (high - low)
        return low - reach, high - low + 2 * reach


def _tensor(x: Array) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(x, dtype=np.float64))
