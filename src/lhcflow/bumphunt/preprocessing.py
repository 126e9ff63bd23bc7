"""Features to the real line and back, with the exact Jacobian (2109.00546, section III.A)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..flows import Affine, Bijection, Logit

Array = NDArray[np.float64]


class Preprocessing:
    """Min-max to the unit cube, logit, standardisation: bijections in float64, fitted to a sample.

    Parameters
    ----------
    X : (n, features) sample that is standardised.
    low, high : (features,) limits of the features, within which the densities live.
    margin : how far beyond the limits the unit cube reaches, as a share of their distance; it keeps the
        outermost events at a finite place.
    """

    def __init__(self, X: Array, low: Array, high: Array, margin: float = 1e-3) -> None:
        dim = X.shape[1]
        reach = margin * (high - low)
        box = Affine.min_max(_tensor(low - reach), _tensor(high + reach)).double()
        self.bijections: list[Bijection] = [box, Logit(dim, alpha=0.0)]
        z, _ = self.forward(X)
        self.bijections.append(Affine.standardize(_tensor(z)).double())

    def forward(self, X: Array) -> tuple[Array, Array]:
        """Map features (n, features) to ``z`` (n, features); ``log|dz/dx|`` (n,) too.

        It is -inf beyond the limits; what lies there goes to the largest finite values.
        """
        x = _tensor(X)
        log_det = x.new_zeros(len(x))
        with torch.no_grad():
            for bijection in self.bijections:
                x, term = bijection(x)
                log_det = log_det + term
        return x.numpy(), log_det.numpy()

    def inverse(self, z: Array) -> Array:
        """Map ``z`` (n, features) back to features (n, features)."""
        x = _tensor(z)
        with torch.no_grad():
            for bijection in reversed(self.bijections):
                x, _ = bijection.inverse(x)
        return x.numpy()


def _tensor(x: Array) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(x, dtype=np.float64))
