"""One bin with a background from elsewhere: one object for significance, limit and exported workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats
from scipy.special import gammainc, gammaincc, xlogy

from ...errors import InputError
from .limits import BANDS, FURTHEST, Limit, crossing, upper_limit
from .model import BinnedModel, auxiliary, counting_data, counting_model
from .significance import Significance, signed_z
from .spectrum import Array

EXACT = 100.0
"""Events, observed or expected, below which sums over all outcomes take the place of asymptotic formulas. At
100 events and with a well-known background those give limits that are 2 % too small, at 25 events 4 %."""

_NODES = 300
"""Values of the auxiliary count in the table from which quantiles of q~ are read: all of its values if they
are no more than that."""
_REACH = 9.0
"""Standard deviations of each count that the sums cover: beyond lies 1e-18."""
_TIE = 1e-8
"""Outcomes whose q~ differ by less than this, relative to the larger of q~ and 1, count as equally
extreme."""


@dataclass(frozen=True)
class Counting:
    """Events in one bin, and the background that is expected there.

    The uncertainty is that of an auxiliary Poisson count around ``tau b`` with ``tau = background /
    error^2``, as in HistFactory's ``shapesys`` and in the on/off problem (physics/0702156). An uncertainty
    below one per mille of the Poisson error sqrt(background) changes no result by 1e-6 and counts as none,
    here and in the workspace.

    Attributes
    ----------
    observed : float
        Events that were counted.
    background, error : float
        Expected events and their uncertainty.

    Examples
    --------
    >>> round(Counting(0, 3.0, 0.3).limit().observed, 3)
    2.996
    """

    observed: float
    background: float
    error: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.observed) and self.observed >= 0):
            raise InputError(f"the number of events must be finite and not negative, got {self.observed}")
        auxiliary(self.background, self.error)

    @property
    def model(self) -> BinnedModel:
        """The model that is fitted: `counting_model`."""
        return counting_model(self.background, self.error)

    @property
    def counts(self) -> Array:
        """The data of the model."""
        return counting_data(self.observed, self.background, self.error)

    @property
    def few(self) -> bool:
        """Whether asymptotic formulas are too far off: fewer than 100 events observed or expected."""
        return min(self.observed, self.background) < EXACT

    def significance(self) -> Significance:
        """Local significance, asymptotic, with the background's uncertainty in the profile likelihood."""
        z, fits = signed_z(self.model, self.counts)
        return Significance(
            self.observed,
            self.background,
            self.error,
            float(fits.yields[0]),
            float(fits.yield_error[0]),
            float(z[0]),
        )

    def p0(self) -> float | None:
        """Local p-value as a sum over all outcomes; None where there are many events.

        Outcomes are ordered by the signed significance, and the background is the one that fits best without
        signal.
        """
        if not self.few:
            return None
        tau, aux = self._auxiliary()
        if tau is None:
            return float(stats.poisson.sf(self.observed - 1, self.background))
        b = float((self.observed + aux) / (1 + tau))
        z = _signed(np.array(self.observed), np.array(aux), tau)
        n = _outcomes([b], self.observed)
        # z falls with the auxiliary count: the first one that is less extreme, for each n.
        first = _first(lambda m: _signed(n, m, tau) < z - _TIE * max(abs(z), 1.0), n, tau * b)
        chance = np.where(first > 0, gammaincc(np.maximum(first, 1), tau * b), 0.0)
        return min(float(np.sum(stats.poisson.pmf(n, b) * chance)), 1.0)

    def limit(self, level: float = 0.95) -> Limit:
        """CLs upper limit on the signal events.

        Below 100 events, observed or expected, CLs are sums over all outcomes of both counts with the
        test statistic q~ (1007.1727, eq. 16); like in toys, both counts fluctuate around the fit of the
        data, with the tested signal and without any. From 100 events on, and for deficits of more than eight
        standard deviations, the limit is asymptotic.

        A well-known background that is not known exactly breaks the ties between outcomes with the same
        number of events, so that its limit is below that of an exactly known one, by 8 % for 3 observed over
        1.
        """
        asymptotic = upper_limit(self.model, self.counts, level)
        if not self.few or signed_z(self.model, self.counts)[0][0] < FURTHEST:
            return asymptotic
        exact = _Exact(self.observed, self.background, self._auxiliary())
        alpha = 1 - level
        observed = crossing(exact.log_cls, alpha, asymptotic.observed)
        expected = tuple(
            crossing(lambda s, band=band: exact.log_cls(s, band), alpha, guess)
            for band, guess in zip(BANDS, asymptotic.expected, strict=True)
        )
        return Limit(observed, expected, level, "exact")  # type: ignore[arg-type]

    def workspace(self, name: str = "signal_region") -> dict[str, Any]:
        """The same model and data for pyhf: see `counting_workspace`."""
        from .export import counting_workspace

        return counting_workspace(self.observed, self.background, self.error, name)

    def _auxiliary(self) -> tuple[float | None, float]:
        """tau, None where the background is known, and the auxiliary count."""
        aux = auxiliary(self.background, self.error)
        return (None, 0.0) if aux is None else (aux / self.background, aux)


class _Exact:
    """CLs of one outcome as sums over all of them."""

    def __init__(self, observed: float, background: float, aux: tuple[float | None, float]) -> None:
        self.n, self.b = observed, background
        self.tau, self.m = aux

    def log_cls(self, s: float, band: int | None = None) -> float:
        """Logarithm of CLs of the data, or of the outcome at a quantile of background alone."""
        if self.tau is None:
            n = self.n if band is None else stats.poisson.ppf(stats.norm.cdf(band), self.b)
            return float(stats.poisson.logcdf(n, s + self.b) - stats.poisson.logcdf(n, self.b))
        tau = self.tau
        with_signal = float(_profiled(np.array(self.n), np.array(self.m), tau, s))
        without = float((self.n + self.m) / (1 + tau))
        n = _outcomes([s + with_signal, without], self.n)
        if band is None:
            q = float(_q(np.array(self.n), np.array(self.m), tau, s))
        else:
            q = _quantile(n, without, tau, s, float(stats.norm.cdf(band)))
        # q~ rises with the auxiliary count: the first one that is as extreme, for each n.
        scale = tau * max(with_signal, without)
        first = _first(lambda m: _q(n, m, tau, s) >= q - _TIE * max(q, 1.0), n, scale)
        a, b = (
            _log_tail(n, first, mean, tau * under)
            for mean, under in ((s + with_signal, with_signal), (without, without))
        )
        return a - b


def _outcomes(means: list[float], observed: float) -> Array:
    """Numbers of events (n,) that have a chance under one of the means, down to the observed one."""
    low, high = min([*means, observed]), max([*means, observed])
    first = max(0.0, np.floor(low - _REACH * np.sqrt(low)))
    return np.arange(first, np.ceil(high + _REACH * np.sqrt(high) + 2 * _REACH) + 1)


def _first(is_beyond, n: Array, scale: float) -> Array:  # type: ignore[no-untyped-def]
    """For each n (n,) the smallest auxiliary count (n,) for which a condition that stays true is true."""
    low = np.full(n.shape, -1.0)
    high = np.full(n.shape, np.ceil(scale + 40 * np.sqrt(scale) + 100))
    while np.any(high - low > 1):
        middle = np.ceil((low + high) / 2)
        beyond = is_beyond(middle)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return high


def _log_tail(n: Array, first: Array, mean: float, aux: float) -> float:
    """Logarithm of the chance of n with an auxiliary count of at least ``first`` (n,)."""
    with np.errstate(divide="ignore"):
        beyond = np.where(first > 0, np.log(gammainc(np.maximum(first, 1), aux)), 0.0)
    total: Any = special.logsumexp(stats.poisson.logpmf(n, mean) + beyond)
    return float(total)


def _quantile(n: Array, background: float, tau: float, s: float, chance: float) -> float:
    """The largest q~ that background alone reaches or exceeds with this chance."""
    mean = tau * background
    low = max(0.0, np.floor(mean - _REACH * np.sqrt(mean)))
    high = np.ceil(mean + _REACH * np.sqrt(mean) + 2 * _REACH)
    edges = np.unique(np.round(np.linspace(low, high + 1, min(int(high - low) + 2, _NODES + 1))))
    weight = np.diff(stats.poisson.cdf(edges - 1, mean))
    nodes = np.floor((edges[1:] + edges[:-1] - 1) / 2)
    q = _q(n[:, None], nodes[None, :], tau, s).ravel()
    w = (stats.poisson.pmf(n, background)[:, None] * weight).ravel()
    order = np.argsort(-q)
    reached = np.cumsum(w[order]) / w.sum()
    return float(q[order[min(int(np.searchsorted(reached, chance - 1e-12)), len(order) - 1)]])


def _profiled(n: Array, m: Array, tau: float, s: float) -> Array:
    """Background that fits best to counts n and m (...,) with a signal s."""
    a = 1 + tau
    half = a * s - n - m
    root = np.sqrt(half**2 + 4 * a * m * s)
    with np.errstate(divide="ignore", invalid="ignore"):
        other = np.where(m > 0, 2 * m * s / (half + root), 0.0)
    return np.where(half < 0, (root - half) / (2 * a), other)


def _deviance(n: Array, mu: Array) -> Array:
    """-2 log L of counts, relative to that of mu = n, without cancellation where mu is close to n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (mu - n) / np.where(n > 0, n, 1.0)
        near = (mu - n) - n * np.log1p(np.maximum(ratio, -0.5))
        far = (mu - n) + xlogy(n, np.where(n > 0, n, 1.0) / mu)
    return 2 * np.where((n > 0) & (np.abs(ratio) < 0.5), near, far)


def _q(n: Array, m: Array, tau: float, s: float) -> Array:
    """q~ (...,) of counts n and m for a signal s."""
    b = _profiled(n, m, tau, s)
    null = (n + m) / (1 + tau)
    q = _deviance(n, s + b) + _deviance(m, tau * b)
    q = q - np.where(n < m / tau, _deviance(n, null) + _deviance(m, tau * null), 0.0)
    return np.where(n - m / tau > s, 0.0, np.maximum(q, 0.0))


def _signed(n: Array, m: Array, tau: float) -> Array:
    """Signed significance (...,) of counts n and m."""
    null = (n + m) / (1 + tau)
    return np.sign(n - m / tau) * np.sqrt(np.maximum(_deviance(n, null) + _deviance(m, tau * null), 0.0))
