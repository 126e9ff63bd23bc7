"""The spectrum of the resonant mass inside the signal region, as a kernel density."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ..errors import InputError
from .regions import SignalRegion

Array = NDArray[np.float64]

_BINS = 4000


class MassDensity:
    """A Gaussian kernel density in ``logit((m - low) / (high - low))`` (2109.00546, section III.B).

    Parameters
    ----------
    m : array_like
        (n,) masses in TeV; those inside the region are used.
    region : SignalRegion
        The signal region; the density is zero outside.
    bandwidth : float
        Of the kernel, in the logit.
    """

    def __init__(self, m: ArrayLike, region: SignalRegion, bandwidth: float = 0.01) -> None:
        m = np.asarray(m, float)
        inside = m[(m > region.low) & (m < region.high)]
        if len(inside) == 0:
            raise InputError(f"there are no events in {region.low:g} to {region.high:g} TeV")
        self.region, self.bandwidth = region, bandwidth
        self.points = special.logit((inside - region.low) / region.width)
        # For the density, kernels on a grid: finer than the bandwidth where the events are.
        reach = 8 * bandwidth
        low, high = self.points.min() - reach, self.points.max() + reach
        bins = max(_BINS, int(8 * (high - low) / bandwidth))
        self._edges = np.linspace(low, high, bins + 1)
        counts = np.histogram(self.points, self._edges)[0]
        step = self._edges[1] - self._edges[0]
        offsets = np.arange(-int(reach / step), int(reach / step) + 1) * step
        kernel = np.exp(-0.5 * (offsets / bandwidth) ** 2)
        smooth = np.convolve(counts, kernel, mode="same")
        self._density = smooth / (smooth.sum() * step)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` masses (n,) in TeV: those of events, each moved by a kernel."""
        t = rng.choice(self.points, n) + self.bandwidth * rng.standard_normal(n)
        return self.region.low + self.region.width * special.expit(t)

    def log_prob(self, m: ArrayLike) -> Array:
        """Log density (n,) per TeV; -inf outside the region."""
        u = (np.asarray(m, float) - self.region.low) / self.region.width
        inside = (u > 0) & (u < 1)
        t = special.logit(np.where(inside, u, 0.5))
        centres = 0.5 * (self._edges[1:] + self._edges[:-1])
        with np.errstate(divide="ignore"):
            density = np.log(np.interp(t, centres, self._density, left=0.0, right=0.0))
        # dt/dm = 1 / (u (1 - u) width)
        jacobian = -np.log(np.where(inside, u * (1 - u), 1.0) * self.region.width)
        return np.where(inside, density + jacobian, -np.inf)
