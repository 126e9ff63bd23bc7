"""The logistic density on an interval: rapidities of jets around the boson's."""

import numpy as np

WIDTH = 1.5


def sample(u: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Points (n,) in [low, high] with cumulative density `u` (n,)."""
    a, b = _sigmoid(low, centre), _sigmoid(high, centre)
    c = np.clip(a + u * (b - a), 1e-15, 1 - 1e-15)
    return np.clip(centre + WIDTH * np.log(c / (1 - c)), low, high)


def cumulative(y: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The inverse of `sample`."""
    a, b = _sigmoid(low, centre), _sigmoid(high, centre)
    return (_sigmoid(y, centre) - a) / (b - a)


def density(y: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The density (n,) at `y`; 0 outside the interval and where that is empty."""
    a, b, c = _sigmoid(low, centre), _sigmoid(high, centre), _sigmoid(y, centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = c * (1 - c) / (WIDTH * (b - a))
    slack = 1e-9
    return np.where((high > low) & (y > low - slack) & (y < high + slack), value, 0.0)


def _sigmoid(y: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(y - centre) / WIDTH))
