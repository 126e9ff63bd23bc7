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
from .model import BinnedModel
from .significance import signed_z
from .spectrum import Array

_LEVEL = 0.5
"""Up-crossings are counted at this significance, where they are frequent (1005.1891)."""
_TOYS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class GlobalP:
    """A p-value that counts all masses of a scan.

    Attributes
    ----------
    z_local : largest local significance of the data.
    p : share of the toys whose largest significance is at least that.
    low, high : its central 68 % interval (Clopper and Pearson).
    upcrossings : the estimate of Gross and Vitells (1005.1891, eq. 3) with up-crossings counted in the
        toys; where no toy is as extreme as the data it is the better number.
    toys : number of toys.
    """

    z_local: float
    p: float
    low: float
    high: float
    upcrossings: float
    toys: int

    @property
    def best(self) -> float:
        """``p`` if ten toys or more were as extreme as the data, else the up-crossing estimate."""
        return self.p if self.p * self.toys >= 10 else self.upcrossings

    @property
    def z(self) -> float:
        """Global significance."""
        return float(stats.norm.isf(self.best)) if self.best > 0 else math.inf


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
    model : of the background.
    peaks : (masses, bins), shapes of the signal.
    expected : (bins,) background from which the toys are drawn.
    progress : called with (masses done, masses), once per mass and 10,000 toys.
    """
    shapes = np.atleast_2d(np.asarray(peaks, float))
    counts = draw_toys(expected, toys, seed)
    if not np.all(counts.sum(1) > 0):
        raise InputError(f"toys of {np.sum(expected):.2g} events are empty at times: there is nothing to fit")
    z = np.empty((toys, len(shapes)), np.float32)
    for start in range(0, toys, _TOYS_AT_A_TIME):
        some = slice(start, start + _TOYS_AT_A_TIME)
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
    n, k = len(z), int(np.count_nonzero(z.max(1) >= z_local))
    low = float(stats.beta.ppf(0.16, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(0.84, k + 1, n - k)) if k < n else 1.0
    above = z >= _LEVEL
    crossings = float(np.mean(np.count_nonzero(above[:, 1:] & ~above[:, :-1], axis=1)))
    return GlobalP(z_local, k / n, low, high, _gross_vitells(z_local, crossings), n)


def _gross_vitells(z: float, crossings: float) -> float:
    if z < _LEVEL:
        return 1.0
    return min(float(stats.norm.sf(z)) + crossings * math.exp(-0.5 * (z**2 - _LEVEL**2)), 1.0)


def count_toys(model: BinnedModel, expected: ArrayLike, toys: int, seed: int = 0) -> Array:
    """Signed significances (toys,) of a model's own signal in background-only pseudo-experiments."""
    return signed_z(model, draw_toys(expected, toys, seed))[0]
