"""One training for all windows of a scan, where the density of each of them begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .arrays import checked
from .crossfit import fold_numbers
from .density import ConditionalDensity
from .detectors.base import MIN_SIDEBAND, Detector
from .detectors.generative import GenerativeDetector
from .limits import Limits
from .regions import SignalRegion

_LEAST_SHARE = 0.3
"""Share of the events that must lie in no window for a common start."""


def common_start(
    detector: Detector,
    X: ArrayLike,
    m: ArrayLike,
    regions: Sequence[Any],
    folds: int = 5,
    seed: int = 0,
) -> list[Detector]:
    """Detectors, one per fold of `cross_fit`, whose densities need less training at any of ``regions``.

    For each fold a density is trained on the events that lie in no region, without those that are held out.
    It is the ``start`` of the density of the fold's detector. So it has seen neither the signal of any region
    nor an event that is scored.

    Parameters
    ----------
    detector : Detector
        If it has no `ConditionalDensity`, or if more than 70 % of the events lie in one of the
        regions, copies of it are returned.
    X, m : array_like
        Features (n, features) and masses (n,) in TeV.
    regions : sequence of object
        All signal regions that will be searched.
    folds, seed : int
        Those that `cross_fit` gets.
    """
    copies: list[Any] = [clone(detector) for _ in range(folds)]
    X, m = checked(X, m)
    common = np.ones(len(m), bool)
    for region in regions:
        common &= ~SignalRegion.of(region).contains(m)
    if not isinstance(detector, GenerativeDetector) or common.sum() < max(
        _LEAST_SHARE * len(m), 2 * MIN_SIDEBAND
    ):
        return copies
    given = ConditionalDensity() if detector.density is None else detector.density
    if not isinstance(given, ConditionalDensity):
        return copies
    fold = fold_numbers(len(m), folds, seed)
    for k, one in enumerate(copies):
        seen = fold != k
        density: Any = clone(given)
        density.set_params(seed=seed).fit(X[seen & common], m[seen & common], Limits(X[seen], m[seen]))
        refined: Any = clone(given)
        one.set_params(density=refined.set_params(start=FrozenEstimator(density)))
    return copies
