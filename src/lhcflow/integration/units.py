"""Powers of two that keep squares of an integrand's values within the range of float64."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer

# Binary exponents up to which values are taken as they are. Weights carry 1/calls and the Jacobian of the
# map, and sums hold squares of weight times value: 2^300 = 2e90 leaves room for factors of 1e60
# on either side.
SAFE = 300


class Units:
    """A power of two for each component of an integrand, in which its values are between 1e-90 and 1e90.

    It is 1 for almost all integrands, whose numbers then do not change. It is known from the first value
    that is not zero, and grows if much larger ones follow. Scaling by powers of two is exact.

    Parameters
    ----------
    components : int
        Number of components.

    Attributes
    ----------
    exponent : (m,) integers
        Binary exponents of the units.
    """

    def __init__(self, components: int) -> None:
        self.exponent: Integer[np.ndarray, " m"] = np.zeros(components, dtype=np.int64)
        self._seen = np.zeros(components, dtype=bool)

    def fit(self, values: Float[np.ndarray, "n m"]) -> Integer[np.ndarray, " m"]:
        """Choose the units for more values; what earlier sums must be multiplied by is 2 to the result.

        Parameters
        ----------
        values : (n, m) array
            Finite values.

        Returns
        -------
        Integer[np.ndarray, ' m']
            (m,) array of integers Old exponents minus new ones: 0 where nothing changed.
        """
        largest = largest_values(values)
        found = largest > 0
        size = np.frexp(largest)[1].astype(np.int64)
        wanted = np.where(np.abs(size) <= SAFE, 0, size)
        change = found & (~self._seen | (size > self.exponent + SAFE))
        old = self.exponent
        self.exponent = np.where(change, wanted, old)
        self._seen |= found
        return old - self.exponent

    def apply(self, values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        """The values (n, m) in these units; the same array where all units are 1."""
        return np.ldexp(values, -self.exponent) if self.exponent.any() else values

    @property
    def unit(self) -> Float[np.ndarray, " m"] | None:
        """The units (m,); None where all are 1."""
        return np.ldexp(1.0, self.exponent) if self.exponent.any() else None


def largest_values(values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """Largest absolute values (m,) of the columns; 0 for no rows."""
    if values.shape[1] == 1:  # numpy reduces a flat array much faster
        return np.array([max(values.max(initial=0.0), -values.min(initial=0.0))])
    return np.maximum(values.max(axis=0, initial=0.0), -values.min(axis=0, initial=0.0))
