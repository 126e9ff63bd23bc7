"""Global p-values: the largest significance of a scan against that of refitted pseudo-experiments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ...errors import InputError
from .fitting import fit
from .limits import Reference
from .model import BinnedModel
from .spectrum import Array

_LEVEL = 0.5
"""Up-crossings are counted at this significance, where they are frequent (1005.1891)."""
_ENOUGH = 10
"""Toys as extreme as the data from which on their share is the global p-value."""
_TOYS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class GlobalP:
    """A p-value that counts all masses of a scan.

    Attributes
    ----------
    z_local : float
        Largest local significance of the data.
    p : float
        Share of the toys whose largest significance is at least that.
    low, high : float
        Its central 68 % interval (Clopper and Pearson).
    upcrossings : float
        The estimate of Gross and Vitells (1005.1891, eq. 3) with up-crossings counted in the toys; where few
        toys are as extreme as the data it is the better number.
    upcrossings_error : float
        Its statistical error, from the number of up-crossings in the toys; with none at all that of one.
    toys : int
        Number of toys.
    extreme : int
        Toys at least as extreme as the data.
    log_upcrossings : float
        Natural logarithm of ``upcrossings``, which has a value where that is too small for a number.
    """

    z_local: float
    p: float
    low: float
    high: float
    upcrossings: float
    upcrossings_error: float
    toys: int
    extreme: int
    log_upcrossings: float

    @property
    def method(self) -> str:
        """Where `best` comes from: "toys", if ten or more were as extreme as the data, or "up-crossings"."""
        # Below the level at which they are counted, up-crossings say nothing.
        return "toys" if self.extreme >= _ENOUGH or self.z_local < _LEVEL else "up-crossings"

    @property
    def best(self) -> float:
        """``p`` or ``upcrossings``: see `method`."""
        return self.p if self.method == "toys" else self.upcrossings

    @property
    def interval(self) -> tuple[float, float]:
        """Central 68 % of the statistical uncertainty of `best`."""
        if self.method == "toys":
            return self.low, self.high
        error = self.upcrossings_error
        return max(self.upcrossings - error, float(stats.norm.sf(self.z_local))), self.upcrossings + error

    @property
    def z(self) -> float:
        """Global significance; minus infinity if every toy is as extreme as the data."""
        if self.method == "toys":
            return float(stats.norm.isf(self.p))
        return significance_of_log(self.log_upcrossings)


def significance_of_log(log_p: float) -> float:
    """Standard deviations of a p-value that is given by its natural logarithm.

    Examples
    --------
    >>> round(significance_of_log(stats.norm.logsf(50.0)), 6)
    50.0
    """
    if log_p > -600:
        return float(stats.norm.isf(math.exp(log_p)))
    z, log_p = math.sqrt(-2 * log_p), float(log_p)
    for _ in range(20):
        # Newton's method; the derivative of log sf is -z (1 + 1/z^2) up to 1/z^4.
        z += (float(stats.norm.logsf(z)) - log_p) / (z + 1 / z)
    return z


def draw_toys(expected: ArrayLike, n: int, seed: int) -> Array:
    """Poisson counts (n, bins) around an expectation (bins,)."""
    if n < 1:
        raise InputError(f"the number of toys must be at least 1, got {n}")
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0x70)))
    mu = np.asarray(expected, float)
    return rng.poisson(mu, (n, len(mu))).astype(float)


def toy_scan(
    model: BinnedModel,
    peaks: ArrayLike,
    expected: ArrayLike,
    toys: int = 10_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Signed significances (toys, masses) of background-only pseudo-experiments, each refitted at each mass.

    Parameters
    ----------
    model : BinnedModel
        Of the background.
    peaks : array_like
        (masses, bins), shapes of the signal.
    expected : array_like
        (bins,) background from which the toys are drawn.
    progress : callable, optional
        Called with (masses done, masses), once per mass and 10,000 toys.
    """
    shapes = np.atleast_2d(np.asarray(peaks, float))
    counts = draw_toys(expected, toys, seed)
    z = np.zeros((toys, len(shapes)), np.float32)
    # A toy without events has no excess anywhere.
    seen = np.flatnonzero(counts.sum(1) > 0)
    for start in range(0, len(seen), _TOYS_AT_A_TIME):
        some = seen[start : start + _TOYS_AT_A_TIME]
        previous = null = fit(model, counts[some], yields=0.0)
        for i, shape in enumerate(shapes):
            with_signal = fit(model.with_signal(shape), counts[some], start=previous)
            q = np.maximum(null.deviance - with_signal.deviance, 0.0)
            z[some, i] = np.sign(with_signal.yields) * np.sqrt(q)
            if progress is not None:
                progress(i + 1, len(shapes))
    return z


def global_p(z_local: float, toys: ArrayLike) -> GlobalP:
    """The global p-value of the largest local significance, given those of toys (toys, masses)."""
    z = np.asarray(toys, float)
    if z.ndim != 2 or 0 in z.shape:
        raise InputError(f"global_p needs significances of shape (toys, masses), got {z.shape}")
    if np.isnan(z_local) or np.isnan(z).any():
        raise InputError(
            f"a global p-value needs numbers: {int(np.isnan(z).any(1).sum())} of {len(z)} toys have a "
            f"significance that is NaN, and the data have {z_local:.3g}"
        )
    n, k = len(z), int(np.count_nonzero(z.max(1) >= z_local))
    low = float(stats.beta.ppf(0.16, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(0.84, k + 1, n - k)) if k < n else 1.0
    above = z >= _LEVEL
    crossings = np.count_nonzero(above[:, 1:] & ~above[:, :-1], axis=1)
    mean = float(np.mean(crossings))
    # Crossings of one toy belong together; without any, one could have been.
    error = max(float(np.std(crossings)) / math.sqrt(n), 1 / n if mean == 0 else 0.0)
    log_p = _gross_vitells(z_local, mean)
    falling = math.exp(-0.5 * max(z_local**2 - _LEVEL**2, 0.0))
    return GlobalP(z_local, k / n, low, high, math.exp(log_p), error * falling, n, k, log_p)


def _gross_vitells(z: float, crossings: float) -> float:
    """Logarithm of the p-value."""
    if z < _LEVEL:
        return 0.0
    local, looked = float(stats.norm.logsf(z)), -0.5 * (z**2 - _LEVEL**2)
    return min(float(np.logaddexp(local, looked + math.log(crossings))) if crossings > 0 else local, 0.0)


def count_toys(model: BinnedModel, expected: ArrayLike, toys: int, seed: int = 0) -> Array:
    """Signed significances (toys,) of a model's own signal in background-only pseudo-experiments."""
    return Reference(model, draw_toys(expected, toys, seed)).z
