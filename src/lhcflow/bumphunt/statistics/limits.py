"""CLs upper limits on the number of signal events from asymptotic formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from ...errors import InputError, RunError
from .fitting import Fits, fit
from .model import BinnedModel
from .spectrum import Array

BANDS = (-2, -1, 0, 1, 2)
"""Standard deviations of the expected limits."""

FURTHEST = -8.0
"""Significance of a deficit beyond which limits are asymptotic: no sum or toy reaches outcomes as rare as
that."""

_POINTS, _ROUNDS = 33, 3
_LEAST_Q = 1e-6
"""Signals too small to matter have this q~ of the Asimov data, so that CLs is about 1 and not 0 / 0."""

Five = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Limit:
    """An upper limit on signal events.

    Attributes
    ----------
    observed : float
        The limit.
    expected : tuple of 5 floats
        Median and central 68 and 95 % of the limits that background alone would give, from low to
        high: (-2, -1, 0, 1, 2) standard deviations.
    level : float
        Confidence level.
    method : str
        Where CLs come from: "asymptotic" formulas, "exact" sums over all outcomes, or "toys".
    error : float
        Monte Carlo error of the observed limit; zero without toys.
    expected_error : tuple of 5 floats
        Those of the expected limits.
    """

    observed: float
    expected: Five
    level: float
    method: str
    error: float = 0.0
    expected_error: Five = (0.0, 0.0, 0.0, 0.0, 0.0)


def upper_limit(model: BinnedModel, counts: ArrayLike, level: float = 0.95) -> Limit:
    """The CLs limit (Read 2002) from the asymptotic distribution of the test statistic q~ (1007.1727).

    With fewer than 25 events, observed or expected, use `toy_limit` or, for a count over a background from
    elsewhere, `Counting.limit`: the formulas are then off by several percent and more. If no
    event was seen where there could be signal, the observed limit is ``-log(1 - level)`` over the share of
    the signal that the bins hold, which is exact.

    Parameters
    ----------
    model : BinnedModel
        With a signal, whose yield is limited. Its entries must not be negative.
    counts : array_like, shape (bins,)
        Data.
    level : float
        Confidence level.
    """
    n = checked(model, counts, level)
    asimov = fit(model, n, yields=0.0).expected[0] if n.sum() > 0 or not model.parameters else None
    if asimov is None:
        raise InputError("an empty spectrum has no expected limit: there are no events in the range")

    def log_cls(s: Array) -> Array:
        q, q_asimov = test_statistic(model, n, s), test_statistic(model, asimov, s)
        return np.array([_asymptotic(q, q_asimov), *(_expected(q_asimov, band) for band in BANDS)])

    scale = _scale(model, n)
    observed, *expected = (_root(lambda s, i=i: log_cls(s)[i], scale, level) for i in range(len(BANDS) + 1))
    empty = without_events(model, n, level)
    return Limit(observed if empty is None else empty, tuple(expected), level, "asymptotic")  # type: ignore[arg-type]


def without_events(model: BinnedModel, counts: Array, level: float) -> float | None:
    """The limit if no event was seen where there could be signal, None if there is one.

    A signal then changes nothing but the chance ``exp(-s)`` to see none, and CLs is that chance: no outcome
    is more extreme, whatever the background and its uncertainty.
    """
    if np.any(counts[model.signal > 0] > 0):
        return None
    return -math.log1p(-level) / float(model.signal.sum())


def test_statistic(model: BinnedModel, counts: ArrayLike, yields: ArrayLike) -> Array:
    """q~ (n,) of 1007.1727, eq. 16, for spectra (n, bins) or one (bins,), and signals (n,) or one number.

    An empty spectrum is an outcome like any other: no background fits it best, with and without signal, and
    q~ is twice the expected signal.
    """
    data, s = np.atleast_2d(np.asarray(counts, float)), np.atleast_1d(np.asarray(yields, float))
    n = max(len(data), len(s))
    data, s = np.broadcast_to(data, (n, model.bins)), np.broadcast_to(s, n)
    return Reference(model, data).q(s)


test_statistic.__test__ = False  # type: ignore[attr-defined]  (no test of pytest's)


class Reference:
    """Fits of spectra without signal and with a free one, to which fits with tested signals are compared.

    Parameters
    ----------
    model : BinnedModel
        Of the spectra.
    counts : array, shape (n, bins)
        Events in the bins of each spectrum.

    Attributes
    ----------
    yields : array, shape (n,)
        Signal that fits best, of either sign; zero for an empty spectrum, if the model has parameters.
    null, best : array, shape (n,)
        -2 log L without signal and with the free one.
    """

    def __init__(self, model: BinnedModel, counts: Array) -> None:
        self.model, self.counts = model, counts
        # Without parameters there is nothing that events have to fix.
        self.seen = counts.sum(1) > 0 if model.parameters else np.ones(len(counts), bool)
        self.yields, self.null, self.best = (np.zeros(len(counts)) for _ in range(3))
        self._latest: Fits | None = None
        if self.seen.any():
            null = fit(model, counts[self.seen], yields=0.0)
            best = fit(model, counts[self.seen], start=null)
            self._latest = best
            self._parameters = np.zeros((len(counts), model.parameters))
            self._parameters[self.seen] = best.parameters
            self.yields[self.seen] = best.yields
            self.null[self.seen], self.best[self.seen] = null.deviance, best.deviance

    @property
    def z(self) -> Array:
        """Signed significances (n,)."""
        return np.sign(self.yields) * np.sqrt(np.maximum(self.null - self.best, 0.0))

    def q(self, yields: ArrayLike) -> Array:
        """q~ (n,) for signals (n,) or one number."""
        s = np.broadcast_to(np.asarray(yields, float), len(self.counts))
        # Above the tested signal q~ is zero, whatever the fit.
        q = np.where(self.yields > s, 0.0, 2 * s * float(self.model.signal.sum()))
        rows = np.flatnonzero(self.seen & (self.yields <= s))
        if self._latest is not None and len(rows):
            # The fit of the signal tested before is closer than any other start.
            start = replace(self._latest, parameters=self._parameters[rows])
            tested = fit(self.model, self.counts[rows], yields=s[rows], start=start)
            self._parameters[rows] = tested.parameters
            reference = np.where(self.yields < 0, self.null, self.best)[rows]
            q[rows] = np.maximum(tested.deviance - reference, 0.0)
        return q


def crossing(log_cls: Callable[[float], float], alpha: float, guess: float) -> float:
    """The signal at which a falling CLs, given by its logarithm, reaches ``alpha``."""

    def above(s: float) -> float:
        value = log_cls(s) - math.log(alpha)
        if math.isnan(value):
            raise RunError(f"CLs of {s:.4g} signal events is not a number")
        return value

    low, high = 0.7 * guess, 1.4 * guess
    if above(low) <= 0:
        low, high = 0.0, low
    for _ in range(60):
        if above(high) < 0:
            found: Any = optimize.brentq(
                lambda s: above(s) if s > 0 else -math.log(alpha), low, high, xtol=1e-7 * high
            )
            return float(found)
        low, high = high, 2 * high
    raise RunError("no upper limit was found: does the model's signal reach any bin?")


def _asymptotic(q: Array, q_asimov: Array) -> Array:
    """Logarithm of CLs (n,) from q~ of the data and of the Asimov data set (1007.1727, eqs. 64 to 66)."""
    q_asimov = np.maximum(q_asimov, _LEAST_Q)
    root = np.sqrt(q_asimov)
    small = q <= q_asimov
    z = np.where(small, np.sqrt(q), (q + q_asimov) / (2 * root))
    z_b = np.where(small, np.sqrt(q) - root, (q - q_asimov) / (2 * root))
    return stats.norm.logsf(z) - stats.norm.logsf(z_b)


def _expected(q_asimov: Array, band: int) -> Array:
    """Logarithm of CLs (n,) of a background-only experiment so many standard deviations from the median."""
    return stats.norm.logsf(np.sqrt(q_asimov) - band) - stats.norm.logcdf(band)


def _root(log_cls: Callable[[Array], Array], scale: float, level: float) -> float:
    """The signal at which CLs falls to 1 - level: all points of a grid at once, then a finer grid."""
    alpha = math.log1p(-level)
    low, high = 0.0, 8 * scale
    for _ in range(30):
        if log_cls(np.array([high]))[0] < alpha:
            break
        high *= 3
    else:
        raise RunError("no upper limit was found: does the model's signal reach any bin?")
    i, values = 1, np.empty(0)
    for _ in range(_ROUNDS):
        grid = np.linspace(low, high, _POINTS)
        values = log_cls(np.maximum(grid, 1e-9 * high))
        if not np.isfinite(values).all():
            raise RunError(f"CLs between {low:.4g} and {high:.4g} signal events is not a number")
        # The first point lies above alpha: at no signal CLs is 1.
        i = max(int(np.argmax(values < alpha)), 1)
        low, high = float(grid[i - 1]), float(grid[i])
    share = (values[i - 1] - alpha) / (values[i - 1] - values[i])
    return float(low + (high - low) * min(max(share, 0.0), 1.0))


def _scale(model: BinnedModel, counts: Array) -> float:
    """A typical error of the yield: sqrt of the background under the signal, at least one event."""
    under = np.sum(counts * model.signal) / max(model.signal.max(), 1e-300)
    return max(float(np.sqrt(under)), 1.0) / max(float(model.signal.sum()), 1e-6)


def checked(model: BinnedModel, counts: ArrayLike, level: float) -> Array:
    """The counts (bins,) as floats; InputError where no limit can be had."""
    n = np.asarray(counts, float)
    if n.shape != (model.bins,):
        raise InputError(f"a limit needs one spectrum of {model.bins} bins, got shape {n.shape}")
    if not 0 < level < 1:
        raise InputError(f"the confidence level must be between 0 and 1, got {level}")
    if not model.signal.any() or np.any(model.signal < 0):
        raise InputError("a limit needs a model with a signal that is not negative in any bin")
    return n
