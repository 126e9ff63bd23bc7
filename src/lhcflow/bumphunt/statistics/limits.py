"""CLs upper limits on the number of signal events, asymptotic or with toys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...errors import InputError, RunError
from .fitting import Fits, fit
from .model import BinnedModel
from .spectrum import Array

_BANDS = (-2, -1, 0, 1, 2)
_POINTS, _ROUNDS = 33, 3
_TOY_POINTS = 9
_LEAST_Q = 1e-6
"""Signals too small to matter have this q~ of the Asimov data, so that CLs is about 1 and not 0 / 0."""


@dataclass(frozen=True)
class Limit:
    """An upper limit on signal events.

    Attributes
    ----------
    observed : the limit.
    expected : median and central 68 and 95 % of the limits that background alone would give, from low to
        high: (-2, -1, 0, 1, 2) standard deviations.
    level : confidence level.
    method : "asymptotic" or "toys".
    """

    observed: float
    expected: tuple[float, float, float, float, float]
    level: float
    method: str


def upper_limit(model: BinnedModel, counts: ArrayLike, level: float = 0.95) -> Limit:
    """The CLs limit (Read 2002) from the asymptotic distribution of the test statistic q~ (1007.1727).

    Parameters
    ----------
    model : with a signal, whose yield is limited. Its entries must not be negative.
    counts : (bins,) data.
    level : confidence level.
    """
    n = _checked(model, counts, level)
    null = fit(model, n, yields=0.0)
    asimov = null.expected[0]

    def log_cls(s: Array) -> tuple[Array, Array]:
        q, q_asimov = test_statistic(model, n, s), test_statistic(model, asimov, s)
        observed = _asymptotic(q, q_asimov)
        expected = [_expected(q_asimov, band) for band in _BANDS]
        return observed, np.array(expected)

    scale = _scale(model, n)
    observed = _root(lambda s: log_cls(s)[0], scale, level)
    expected = [_root(lambda s, i=i: log_cls(s)[1][i], scale, level) for i in range(len(_BANDS))]
    return Limit(observed, tuple(expected), level, "asymptotic")  # type: ignore[arg-type]


def toy_limit(
    model: BinnedModel, counts: ArrayLike, level: float = 0.95, toys: int = 5000, seed: int = 0
) -> Limit:
    """The CLs limit with pseudo-experiments, for few events, where the asymptotic one is off.

    Toys have the background parameters that fit best for the tested signal, and for none. The band of
    expected limits is that of background toys.

    Parameters
    ----------
    toys : for each of nine signals around the asymptotic limit and for each hypothesis.
    """
    n = _checked(model, counts, level)
    first = upper_limit(model, n, level)
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0x715)))
    null = fit(model, n, yields=0.0).expected[0]
    background = rng.poisson(null, (toys, model.bins)).astype(float)
    background = background[background.sum(1) > 0]
    tested = np.geomspace(
        0.5 * min(first.expected[0], first.observed),
        1.6 * max(first.expected[4], first.observed),
        _TOY_POINTS,
    )
    observed, bands = [], []
    for s in tested:
        with_signal = fit(model, n, yields=s).expected[0]
        signal = rng.poisson(with_signal, (toys, model.bins)).astype(float)
        q_signal = np.sort(test_statistic(model, signal[signal.sum(1) > 0], s))
        q_background = test_statistic(model, background, s)
        q = test_statistic(model, n, np.array([s]))[0]
        ordered = np.sort(q_background)

        def cls(values: Array, q_signal: Array = q_signal, ordered: Array = ordered) -> Array:
            at_least = [1 - np.searchsorted(x, values - 1e-9) / len(x) for x in (q_signal, ordered)]
            return at_least[0] / np.maximum(at_least[1], 1 / len(ordered))

        observed.append(cls(np.array([q]))[0])
        # A large q under background alone means a small limit.
        quantiles = np.quantile(q_background, stats.norm.cdf(np.negative(_BANDS)))
        bands.append(cls(quantiles))
    alpha = 1 - level
    expected = tuple(_crossing(tested, np.array(bands)[:, i], alpha) for i in range(len(_BANDS)))
    return Limit(_crossing(tested, np.array(observed), alpha), expected, level, "toys")  # type: ignore[arg-type]


def test_statistic(model: BinnedModel, counts: ArrayLike, yields: ArrayLike) -> Array:
    """q~ (n,) of 1007.1727, eq. 16, for spectra (n, bins) or one (bins,), and signals (n,) or one number."""
    data, s = np.atleast_2d(np.asarray(counts, float)), np.atleast_1d(np.asarray(yields, float))
    n = max(len(data), len(s))
    data, s = np.broadcast_to(data, (n, model.bins)), np.broadcast_to(s, n)
    tested: Fits = fit(model, data, yields=s)
    null = fit(model, data, yields=0.0)
    best = fit(model, data, start=null)
    reference = np.where(best.yields < 0, null.deviance, best.deviance)
    return np.where(best.yields > s, 0.0, np.maximum(tested.deviance - reference, 0.0))


test_statistic.__test__ = False  # type: ignore[attr-defined]  (no test of pytest's)


def _asymptotic(q: Array, q_asimov: Array) -> Array:
    """CLs (n,) from q~ of the data and of the Asimov data set (1007.1727, eqs. 64 to 66)."""
    q_asimov = np.maximum(q_asimov, _LEAST_Q)
    root = np.sqrt(q_asimov)
    small = q <= q_asimov
    z = np.where(small, np.sqrt(q), (q + q_asimov) / (2 * root))
    z_b = np.where(small, np.sqrt(q) - root, (q - q_asimov) / (2 * root))
    return stats.norm.sf(z) / stats.norm.sf(z_b)


def _expected(q_asimov: Array, band: int) -> Array:
    """CLs (n,) that a background-only experiment so many standard deviations from the median gives."""
    return stats.norm.sf(np.sqrt(q_asimov) - band) / stats.norm.cdf(band)


def _root(cls, scale: float, level: float) -> float:  # type: ignore[no-untyped-def]
    """The signal at which CLs falls to 1 - level: all points of a grid at once, then a finer grid."""
    low, high = 0.0, 8 * scale
    for _ in range(30):
        if cls(np.array([high]))[0] < 1 - level:
            break
        high *= 3
    else:
        raise RunError("no upper limit was found: does the model's signal reach any bin?")
    grid = values = np.empty(0)
    for _ in range(_ROUNDS):
        grid = np.linspace(low, high, _POINTS)
        values = cls(np.maximum(grid, 1e-9 * high))
        first = max(int(np.argmax(values < 1 - level)), 1)
        low, high = float(grid[first - 1]), float(grid[first])
    return _crossing(grid, values, 1 - level)


def _crossing(s: Array, cls: Array, alpha: float) -> float:
    """Where CLs crosses alpha, linear in its logarithm; the last point if it never does."""
    below = np.flatnonzero(cls < alpha)
    if len(below) == 0:
        return float(s[-1])
    i = int(below[0])
    if i == 0:
        return float(s[0])
    a, b = (np.log(max(c, 1e-12)) for c in (cls[i - 1], cls[i]))
    return float(s[i - 1] + (s[i] - s[i - 1]) * (a - np.log(alpha)) / (a - b))


def _scale(model: BinnedModel, counts: Array) -> float:
    """A typical error of the yield: sqrt of the background under the signal, at least one event."""
    under = np.sum(counts * model.signal) / max(model.signal.max(), 1e-300)
    return max(float(np.sqrt(under)), 1.0) / max(float(model.signal.sum()), 1e-6)


def _checked(model: BinnedModel, counts: ArrayLike, level: float) -> Array:
    n = np.asarray(counts, float)
    if n.shape != (model.bins,):
        raise InputError(f"a limit needs one spectrum of {model.bins} bins, got shape {n.shape}")
    if not 0 < level < 1:
        raise InputError(f"the confidence level must be between 0 and 1, got {level}")
    if not model.signal.any() or np.any(model.signal < 0):
        raise InputError("a limit needs a model with a signal that is not negative in any bin")
    return n
