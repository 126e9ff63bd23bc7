"""Limits and p-values from importance-sampled pseudo-experiments, with their Monte Carlo errors.

All toys of a limit come from a mixture of hypotheses: the fit of the data with a free signal, without
signal, and with signals around the limit. Their weights for any other hypothesis are ratios of Poisson
likelihoods, so that the same toys serve all tested signals, and rare outcomes are drawn often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import interpolate, special, stats

from ...errors import InputError, RunError
from .fitting import fit
from .limits import BANDS, FURTHEST, Limit, Reference, checked, upper_limit, without_events
from .model import BinnedModel
from .spectrum import Array

PRECISION = 0.02
"""Relative Monte Carlo error of the observed and the median limit that is stated to be kept."""

_TOYS, _MOST = 5000, 80_000
"""Toys of the first round, and at most. After a round their number grows to what its errors ask for."""
_STEP = 1.0
"""Distance of neighbouring hypotheses in the square roots of all expectations: two standard deviations."""
_AROUND = (0.85, 1.0, 1.18)
"""Tested signals, in units of each asymptotic limit, between which CLs is interpolated; more are added until
all limits lie inside."""
_POINTS = 80
"""Signals along which the expectations are followed from no signal to beyond the limits."""
_CLOSE = 1.3
"""Largest ratio of the tested signals on both sides of a limit."""
_RESAMPLED = 40
"""Bootstrap samples of the toys, from which errors are known to 11 %."""
_FINE = 800
"""Points between the tested signals at which the interpolated CLs is read."""
_TIE = 1e-6
"""Outcomes whose test statistics differ by less than this count as equally extreme: fits end at 1e-7."""
_LEAST_CLS = 1e-30
"""CLs are followed down to here."""
_LEAST_MEAN = 1e-3
"""Expectation of a bin from which toys are drawn, at least: an empty one has to have a likelihood."""


@dataclass(frozen=True, eq=False)
class Toys:
    """Pseudo-experiments from a mixture of hypotheses in equal parts.

    Attributes
    ----------
    counts : array, shape (n, bins)
        Events in the bins of each pseudo-experiment.
    part : array, shape (n,)
        Hypothesis that each was drawn from.
    log_density : array, shape (n,)
        Logarithm of the mixture's likelihood, without the factorials, which no ratio needs.
    """

    counts: Array
    part: NDArray[np.int64]
    log_density: Array

    @classmethod
    def draw(cls, means: Array, n: int, seed: int) -> Toys:
        """About n toys of hypotheses with these expectations (hypotheses, bins)."""
        rng = np.random.default_rng(np.random.SeedSequence((seed, 0x715)))
        means = np.maximum(means, _LEAST_MEAN)
        part = np.arange(n) % len(means)
        counts = rng.poisson(means[part]).astype(float)
        each = np.stack([_log_density(counts, mean) for mean in means])
        return cls(counts, part, special.logsumexp(each, axis=0) - np.log(len(means)))

    def weights(self, mean: Array) -> Array:
        """Weights (n,), whose mean is one, for a hypothesis with the expectation (bins,)."""
        return np.exp(_log_density(self.counts, np.maximum(mean, 1e-300)) - self.log_density)

    def resampled(self, times: int, seed: int) -> NDArray[np.float32]:
        """Multiplicities (times, n) of the toys in bootstrap samples, each part by itself."""
        rng = np.random.default_rng(np.random.SeedSequence((seed, 0xB007)))
        found = np.empty((times, len(self.part)), np.float32)
        for k in np.unique(self.part):
            rows = np.flatnonzero(self.part == k)
            found[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), times)
        return found


def toy_limit(
    model: BinnedModel, counts: ArrayLike, level: float = 0.95, toys: int = _TOYS, seed: int = 0
) -> Limit:
    """The CLs limit with pseudo-experiments, for few events, where the asymptotic one is off.

    Toys have the background parameters that fit best for the tested signal, and for none. The band of
    expected limits is that of background toys. CLs of about 15 signals are interpolated.

    Parameters
    ----------
    model, counts, level
        As in `upper_limit`.
    toys : int
        In the first round. There are more rounds with more toys until the Monte Carlo errors of the observed
        and the median limit, from a bootstrap, are below 2 %, up to 80,000 toys.
    seed : int
        Of the toys and of the bootstrap.

    Returns
    -------
    Limit
        With its Monte Carlo errors. A limit without any event where there could be signal is exact. Where the
        data lie more than eight standard deviations below the background, it is the asymptotic one.
    """
    n = checked(model, counts, level)
    if toys < 100:
        raise InputError(f"a limit needs 100 toys or more, got {toys}")
    start = upper_limit(model, n, level)
    empty = without_events(model, n, level)
    if Reference(model, n[None, :]).z[0] < FURTHEST:
        return start
    while True:
        observed, expected, error, expected_error = _limits(model, n, level, start, toys, seed)
        worst = max(0.0 if empty else error / observed, expected_error[2] / expected[2])
        # The bootstrap knows an error to 11 %.
        if worst < 0.9 * PRECISION or toys >= _MOST:
            break
        toys = min(_MOST, int(toys * max(2.0, 1.2 * (worst / (0.9 * PRECISION)) ** 2)))
    if empty is not None:
        observed, error = empty, 0.0
    return Limit(observed, expected, level, "toys", error, expected_error)  # type: ignore[arg-type]


def toy_p_value(
    model: BinnedModel, counts: ArrayLike, toys: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Chance that background alone is as significant as the data, and its Monte Carlo error.

    Toys come in equal parts from the fits of the data without and with a free signal and from expectations
    between them, so that p-values of 1e-10 have errors of a few percent too. A deficit needs the first only.

    Parameters
    ----------
    model : BinnedModel
        With a signal.
    counts : array_like, shape (bins,)
        Data.
    """
    n = np.asarray(counts, float)
    data = Reference(model, n[None, :])
    null = fit(model, n, yields=0.0).expected[0]
    means = [null]
    if data.yields[0] > 0:
        means += [*_between(null, fit(model, n).expected[0])]
    drawn = Toys.draw(np.array(means), toys, seed)
    value = drawn.weights(null) * (Reference(model, drawn.counts).z >= data.z[0] - _TIE)
    parts = [value[drawn.part == k] for k in range(len(means))]
    variance = sum(float(np.var(p)) * len(p) for p in parts) / toys**2
    return min(float(np.mean(value)), 1.0), float(np.sqrt(variance))


def _limits(
    model: BinnedModel, n: Array, level: float, start: Limit, toys: int, seed: int
) -> tuple[float, tuple[float, ...], float, tuple[float, ...]]:
    """Observed and expected limits with their errors."""
    null, free = (f.expected[0] for f in (fit(model, n, yields=0.0), fit(model, n)))
    near, far = 1.2 * start.expected[4], 1.2 * start.observed
    signals, path = _path(model, n, 0.0, near)
    places = _places(path, 3)
    # With the background of each signal, but without the signal: there the outcomes that exclude it lie.
    means = [*path[places], *(path[i] - signals[i] * model.signal for i in places[1:])]
    means += [null] * (len(means) // 3)
    # What lies further away is for the observed limit only, and takes a quarter of the toys at most.
    further = []
    if far > near:
        path = _path(model, n, near, far)[1]
        further += list(path[_places(path, 1)[1:]])
    if Reference(model, n[None, :]).yields[0] < 0:
        further += list(_between(null, free))
    means = means * max(1, int(np.ceil(3 * len(further) / len(means)))) + further
    drawn = Toys.draw(np.array(means), toys, seed)
    data, reference = Reference(model, n[None, :]), Reference(model, drawn.counts)
    again, without = drawn.resampled(_RESAMPLED, seed), drawn.weights(null)

    def log_cls(s: float) -> Array:
        """Of the data and of the expected limits, from the toys and from each bootstrap sample."""
        q, observed = reference.q(s), float(data.q(s)[0])
        order = np.argsort(-q, kind="stable")
        weights = (drawn.weights(fit(model, n, yields=s).expected[0])[order], without[order])
        central: list[Any] = [np.cumsum(w[None, :], axis=1) for w in weights]
        samples: list[Any] = [np.cumsum(again[:, order] * w.astype(np.float32), axis=1) for w in weights]
        found = [_at_quantiles(a, b, -q[order], observed) for a, b in (central, samples)]
        if np.isnan(found[0]).any():
            raise RunError(f"none of {toys} toys is as extreme as the data: no limit was found")
        return np.concatenate([found[0], np.where(np.isnan(found[1]), found[0], found[1])])

    alpha = np.log1p(-level)
    guesses = np.unique([start.observed, *start.expected])
    tested = np.unique(np.outer(guesses, _AROUND))
    keep = np.append(True, tested[1:] / tested[:-1] > 1.05)
    curves = {float(s): log_cls(s) for s in tested[keep]}
    for _ in range(40):
        if np.max(curves[high := max(curves)]) < alpha:
            break
        curves[1.3 * high] = log_cls(1.3 * high)
    else:
        raise RunError("no upper limit was found: does the model's signal reach any bin?")
    while np.min(curves[low := min(curves)]) < alpha and low > 1e-6 * high:
        curves[low / 1.6] = log_cls(low / 1.6)
    roots = np.empty(0)
    for _ in range(3):
        tested = np.array(sorted(curves))
        roots = _roots(tested, np.array([curves[s] for s in tested]), alpha)
        i = np.searchsorted(tested, roots[0])
        wide = (i > 0) & (i < len(tested)) & (tested[np.minimum(i, len(tested) - 1)] > _CLOSE * tested[i - 1])
        for s in np.unique(roots[0][wide]):
            curves[float(s)] = log_cls(s)
        if not wide.any():
            break
    central, spread = roots[0], np.std(roots[1:], axis=0)
    return (
        float(central[0]),
        tuple(float(v) for v in central[1:]),
        float(spread[0]),
        tuple(float(v) for v in spread[1:]),
    )


def _at_quantiles(with_signal: Array, without: Array, falling: Array, observed: float) -> Array:
    """Logarithm of CLs (samples, 6) of the data and of the expected limits.

    Parameters
    ----------
    with_signal, without : arrays, shape (samples, toys)
        Sums of the weights of the toys as extreme as each or more.
    falling : array, shape (toys,)
        Minus q~ of the toys, sorted.
    observed : float
        q~ of the data.
    """
    rows = np.arange(len(without))
    # Single precision reaches down to 1e-38, far below any limit.
    a, b = with_signal / with_signal[:, -1:], without / without[:, -1:]
    # Equal toys belong together.
    last = np.searchsorted(falling, falling + _TIE, side="right") - 1
    places = [np.full(len(rows), np.searchsorted(falling, -observed + _TIE, side="right") - 1)]
    for band in BANDS:
        reached = np.array([np.searchsorted(row, stats.norm.cdf(band) - 1e-6) for row in b])
        places.append(last[np.minimum(reached, len(falling) - 1)])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.where((i >= 0) & (b[rows, i] > 0), a[rows, i] / b[rows, i], np.nan) for i in places]
    return np.log(np.maximum(np.stack(ratios, axis=1), _LEAST_CLS))


def _path(model: BinnedModel, n: Array, first: float, last: float) -> tuple[Array, Array]:
    """Signals (points,) from one to another, and the expectations (points, bins) that fit best with them."""
    signals = first + (last - first) * np.linspace(0, 1, _POINTS) ** 2
    return signals, fit(model, np.tile(n, (_POINTS, 1)), yields=signals).expected


def _places(path: Array, least: int) -> NDArray[np.int64]:
    """Points of a path (points, bins) of expectations no further apart than a step, the ends among them."""
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(np.sqrt(path), axis=0), axis=1)))
    steps = max(int(np.ceil(length[-1] / _STEP)), least)
    return np.unique(np.searchsorted(length, np.linspace(0, length[-1], steps + 1)))


def _between(first: Array, last: Array) -> Array:
    """Expectations (hypotheses, bins) on the straight way between two, in square roots, without the first."""
    share = np.linspace(0, 1, _POINTS)[:, None]
    path = ((1 - share) * np.sqrt(first) + share * np.sqrt(last)) ** 2
    return path[_places(path, 1)[1:]]


def _roots(s: Array, values: Array, alpha: float) -> Array:
    """Where curves (points, ...) of s (points,) fall below alpha for the first time."""
    curves = values.reshape(len(s), -1)
    fine = np.geomspace(s[0], s[-1], _FINE)
    smooth = interpolate.PchipInterpolator(np.log(s), curves, axis=0)(np.log(fine))
    i = np.maximum(np.argmax(smooth < alpha, axis=0), 1)
    rows = np.arange(curves.shape[1])
    before, after = smooth[i - 1, rows], smooth[i, rows]
    share = np.clip((before - alpha) / (before - after), 0.0, 1.0)
    found = fine[i - 1] + share * (fine[i] - fine[i - 1])
    return np.where(np.any(smooth < alpha, axis=0), found, np.nan).reshape(values.shape[1:])


def _log_density(counts: Array, mean: Array) -> Array:
    return counts @ np.log(mean) - mean.sum()
