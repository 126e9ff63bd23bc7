"""Integrate two peaks in four dimensions with an honest error, and draw unweighted points."""

import numpy as np

from lhcflow.integration import Integrator

WIDTH = 0.1


def two_peaks(x: np.ndarray) -> np.ndarray:
    """Normal densities of width 0.1 around 1/3 and 2/3 in each of the coordinates; (n, 4) -> (n,)."""
    norm = (2 * np.pi * WIDTH**2) ** (-x.shape[1] / 2)
    squares = [((x - centre) ** 2).sum(axis=1) / (2 * WIDTH**2) for centre in (1 / 3, 2 / 3)]
    return norm * sum(np.exp(-s) for s in squares) / 2


result = Integrator(4, seed=1, method="vegas").integrate(two_peaks, calls=50_000, quiet=True)
print(result.summary())
points = result.sampler.unweight(1000)
print(f"efficiency {points.efficiency:.3f}, {points.overweight:.1e} of the integral in overweight points")
