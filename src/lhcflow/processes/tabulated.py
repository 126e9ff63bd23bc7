"""Sampling from a smooth density in one dimension by a fine table, exactly invertible."""

from collections.abc import Callable

import numpy as np


class TabulatedDensity:
    """The density that is linear between `bins` + 1 equidistant points of a function.

    The table is a density of its own, normalised and inverted in closed form, so it carries no
    error; it only follows the function up to O(1 / bins^2).

    Parameters
    ----------
    function : callable
        Maps an array (m,) of points to values (m,), not negative and not all zero.
    low, high : float
        Ends of the interval.
    """

    def __init__(
        self, function: Callable[[np.ndarray], np.ndarray], low: float, high: float, bins: int = 2000
    ) -> None:
        self.low, self.high, self.bins = low, high, bins
        self._width = (high - low) / bins
        values = function(np.linspace(low, high, bins + 1))
        areas = (values[1:] + values[:-1]) / 2 * self._width
        self._values = values / areas.sum()
        self._cdf = np.concatenate([[0.0], np.cumsum(areas)]) / areas.sum()

    def density(self, x: np.ndarray) -> np.ndarray:
        """The density at x, (n,); 0 outside [low, high] up to rounding."""
        position = (x - self.low) / self._width
        slack = 1e-9 * self.bins
        bin_, inside = self._bin(position)
        value = self._values[bin_] + inside * (self._values[bin_ + 1] - self._values[bin_])
        return np.where((position >= -slack) & (position <= self.bins + slack), value, 0.0)

    def sample(self, u: np.ndarray) -> np.ndarray:
        """The point x (n,) with cumulative density `u` in [0, 1]."""
        bin_ = np.clip(np.searchsorted(self._cdf, u, side="right") - 1, 0, self.bins - 1)
        area = (u - self._cdf[bin_]) / self._width
        left, right = self._values[bin_], self._values[bin_ + 1]
        # left t + (right - left) t^2 / 2 = area, in the form that has no cancellation
        root = np.sqrt(np.maximum(left**2 + 2 * (right - left) * area, 0))
        inside = 2 * area / np.maximum(left + root, 1e-300)
        return self.low + (bin_ + np.clip(inside, 0, 1)) * self._width

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """The inverse of `sample`."""
        bin_, t = self._bin((x - self.low) / self._width)
        left, right = self._values[bin_], self._values[bin_ + 1]
        return self._cdf[bin_] + self._width * (left * t + (right - left) * t**2 / 2)

    def _bin(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bin_ = np.clip(np.nan_to_num(position), 0, self.bins - 1).astype(np.intp)
        return bin_, np.clip(position - bin_, 0, 1)
