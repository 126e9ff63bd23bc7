"""Whether a cut on features is a cut on the mass: tests on the data, without labels.

A cut that prefers some masses makes a peak out of background. Two tests tell: whether the features give the
mass away (`mass_resolution`), and whether the efficiency of a cut changes smoothly with the mass
(`efficiency_test`). Neither looks at the data of the signal region, so that no signal can fail them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .regions import SignalRegion
from .statistics.quality import Goodness, groups_of_bins

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

RESOLVED = 0.75
"""Half widths of the signal region. Features that tell the mass better than this follow it. Background with
pT = m/2 +- 2 % and +- 5 % has 0.3 and 0.6 and made peaks of up to 5 standard deviations; with +- 10 % it has
1.0 and made none. The features of the toy have 2.3 and those with 0.1 m added 1.2 (16,000 events, region 3.3
to 3.7 TeV)."""
FALSE_ALARMS = 1e-3
"""Chance that a cut fails `efficiency_test` whose efficiency changes log-linearly with the mass. Of 88 cuts
of CATHODE, CWoLa and ANODE on the toy (16,000 and 200,000 events, with and without signal, masses shifted,
with a moving edge) none failed; the smallest p-value was 0.006."""

_FEW = 200
"""Events beside the signal region with which the resolution is measured."""
_MOST = 30_000
_FOLDS = 3
_MEANS = 50
"""Bins of a feature in each of which the mean mass is the prediction; with fewer than 500 events fewer."""
_SLICES = 20
_GAP, _REACH = 0.5, 3.0
"""Widths of the signal region from it to where the efficiency is compared with a log-linear one, and to where
this ends. In the gap lie the tails of a signal, which passes more often."""
_TEMPLATE_BINS = 8
_STEPS = 60


@dataclass(frozen=True)
class MassResolution:
    """How well features tell the mass beside the signal region.

    Attributes
    ----------
    together : float
        Half width in TeV of the interval around the predicted mass that holds 68 % of the true ones, with all
        features.
    each : dict
        The same with one feature alone.
    limit : float
        In TeV; features that tell the mass better than this follow it.
    """

    together: float
    each: dict[str, float]
    limit: float

    @property
    def valid(self) -> bool:
        """Whether no cut on the features can be a cut on the mass."""
        return min(self.together, *self.each.values()) >= self.limit

    @property
    def following(self) -> list[str]:
        """Names of the features that follow the mass alone; all of them if they do so only together."""
        if self.valid:
            return []
        return [name for name, width in self.each.items() if width < self.limit] or list(self.each)


def mass_resolution(
    X: ArrayLike, m: ArrayLike, region: SignalRegion, names: Sequence[str] = (), seed: int = 0
) -> MassResolution | None:
    """Predict the mass from the features, in the sidebands up to one width beside the signal region.

    Means in 50 bins of each feature, and trees on all of them, are fitted to two thirds of the events and
    tried on the last third, with weights that make the spectrum flat.

    Parameters
    ----------
    X, m : arrays
        Features (n, features) and masses (n,) in TeV. At most 30,000 events are used.
    region : SignalRegion
        The signal region.
    names : sequence of str
        Of the features; ``x0``, ``x1``, ... if not given.
    seed : int
        Of the choice of events and of the thirds.

    Returns
    -------
    MassResolution or None
        None with fewer than 200 events there.
    """
    X, m = np.asarray(X, float), np.asarray(m, float)
    names = tuple(names) or tuple(f"x{i}" for i in range(X.shape[1]))
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0xDEC)))
    near = np.flatnonzero(region.sidebands(m, region.low - region.width, region.high + region.width))
    if len(near) < _FEW:
        return None
    near = rng.permutation(near)[:_MOST]
    x, y = X[near], m[near]
    counts, edges = np.histogram(y, _SLICES)
    weights = 1 / counts[np.clip(np.searchsorted(edges, y, side="right") - 1, 0, _SLICES - 1)]
    each = {name: _spread(x[:, i], y, weights, _steps) for i, name in enumerate(names)}
    together = min(_spread(x, y, weights, _trees), *each.values())
    return MassResolution(together, each, RESOLVED * region.width / 2)


Predictor = Callable[[Array, Array, Array, Array], Array]
"""Predicts y for the last of (x, y, weights, x of others)."""


def _spread(x: Array, y: Array, weights: Array, predict: Predictor) -> float:
    """Weighted 68 % quantile of the distance between ``y`` (n,) and its prediction from others' events."""
    distance = np.empty(len(y))
    fold = np.arange(len(y)) % _FOLDS
    for k in range(_FOLDS):
        seen, held = fold != k, fold == k
        distance[held] = np.abs(y[held] - predict(x[seen], y[seen], weights[seen], x[held]))
    order = np.argsort(distance)
    below = np.cumsum(weights[order])
    return float(distance[order][np.searchsorted(below, 0.6827 * below[-1])])


def _steps(x: Array, y: Array, weights: Array, others: Array) -> Array:
    """Weighted means in bins of equal numbers of events of one feature (n,)."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, min(_MEANS, len(x) // 10) + 1)[1:-1]))
    place = np.searchsorted(edges, x, side="right")
    sums, total = (np.bincount(place, v, len(edges) + 1) for v in (weights * y, weights))
    mean = np.where(total > 0, sums / np.maximum(total, 1e-300), np.average(y, weights=weights))
    return mean[np.searchsorted(edges, others, side="right")]


def _trees(x: Array, y: Array, weights: Array, others: Array) -> Array:
    """Gradient-boosted trees on all features (n, features)."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, random_state=0)
    return np.asarray(trees.fit(x, y, weights).predict(others))


@dataclass(frozen=True)
class EfficiencyTest:
    """Comparison of a cut's efficiency with one that changes log-linearly with the mass.

    Attributes
    ----------
    sidebands, template : Goodness or None
        In the data beside the signal region, and in the template inside it; None where too few events pass.
    slope, slope_error : float
        Relative change of the efficiency per TeV in the sidebands; NaN where too few events pass.
    """

    sidebands: Goodness | None
    template: Goodness | None
    slope: float
    slope_error: float

    @property
    def p(self) -> float | None:
        """Chance of a worse agreement: the smaller p-value times the number of tests; None without any."""
        found = [g.p for g in (self.sidebands, self.template) if g is not None]
        return min(1.0, len(found) * min(found)) if found else None

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against a smooth efficiency, with one false alarm in 1000 cuts."""
        return self.p is None or self.p >= FALSE_ALARMS


def efficiency_test(
    m: ArrayLike,
    passed: ArrayLike,
    edges: ArrayLike,
    region: SignalRegion,
    template_m: ArrayLike = (),
    template_passed: ArrayLike = (),
) -> EfficiencyTest:
    """Test whether the efficiency of a cut changes smoothly with the mass.

    The odds of passing are a power of e in m. Smooth changes are harmless: the fit behind the cut takes them.

    Parameters
    ----------
    m, passed : arrays
        Masses in TeV of the data and whether they pass, (n,) each. The signal region is not looked at.
    edges : array
        Of the bins in TeV. Those between half a width and three widths beside the region are used.
    region : SignalRegion
        The signal region.
    template_m, template_passed : arrays
        The same of events that stand for background. Those in the region are used, in eight bins.
    """
    m, passed, edges = np.asarray(m, float), np.asarray(passed, bool), np.asarray(edges, float)
    mass, through = np.asarray(template_m, float), np.asarray(template_passed, bool)
    if m.shape != passed.shape or mass.shape != through.shape:
        raise InputError("the efficiency needs, for each mass, whether the event passes")
    # Edges that are sums of bins differ from the limits by rounding.
    reach, gap = _REACH * region.width * (1 + 1e-9), _GAP * region.width
    sides = edges[(edges >= region.low - reach) & (edges <= region.high + reach)]
    found = _log_linear(m, passed, sides, SignalRegion(region.low - gap, region.high + gap))
    inside = region.contains(mass)
    bins = np.linspace(region.low, region.high, _TEMPLATE_BINS + 1)
    template = _log_linear(mass[inside], through[inside], bins, None)
    if found is None:
        return EfficiencyTest(None, template and template[0], float("nan"), float("nan"))
    return EfficiencyTest(found[0], template and template[0], *found[1:])


def _log_linear(
    m: Array, passed: Mask, edges: Array, masked: SignalRegion | None
) -> tuple[Goodness, float, float] | None:
    """Chi2 of log-linear odds of passing in bins, their slope per TeV and its error; None if impossible."""
    if len(edges) < 4:
        return None
    centres = 0.5 * (edges[1:] + edges[:-1])
    n, k = (np.histogram(rows, edges)[0].astype(float) for rows in (m, m[passed]))
    used = n > 0 if masked is None else (n > 0) & ~masked.contains(centres)
    n, k, x = n[used], k[used], centres[used]
    if not 0 < k.sum() < n.sum() or len(x) < 3:
        return None
    x = x - np.average(x, weights=n)
    a, b = float(np.log(k.sum() / (n - k).sum())), 0.0
    reach = np.abs(x).max()
    information = np.eye(2)
    for _ in range(_STEPS):
        share = 1 / (1 + np.exp(-(a + b * x)))
        weight = n * share * (1 - share)
        gradient = np.array([np.sum(k - n * share), np.sum(x * (k - n * share))])
        information = np.array(
            [[weight.sum(), np.sum(weight * x)], [np.sum(weight * x), np.sum(weight * x**2)]]
        )
        information += 1e-9 * np.eye(2) * (1 + np.trace(information))
        step = np.linalg.solve(information, gradient)
        # Far from the maximum a step may be too long by any factor.
        step *= min(1.0, 2 / max(abs(step[0]) + abs(step[1]) * reach, 1e-300))
        a, b = a + step[0], b + step[1]
        if np.abs(step).max() < 1e-9:
            break
    share = np.clip(1 / (1 + np.exp(-(a + b * x))), 1e-300, 1 - 1e-12)
    groups = groups_of_bins(np.minimum(n * share, n * (1 - share)))
    n_, k_, mu = (np.add.reduceat(v, groups) for v in (n, k, n * share))
    variance = np.add.reduceat(n * share * (1 - share), groups)
    if len(n_) < 3:
        return None
    error = float(np.sqrt(np.linalg.inv(information)[1, 1]))
    return Goodness(float(np.sum((k_ - mu) ** 2 / variance)), len(n_) - 2), float(b), error
