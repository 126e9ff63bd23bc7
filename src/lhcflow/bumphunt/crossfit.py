"""k-fold cross-fitting: every event is scored by a detector that never saw it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from ..classifiers.ensemble import one_column
from ..errors import InputError
from .arrays import checked
from .detectors.base import Detector

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CrossFit:
    """What `cross_fit` found.

    Attributes
    ----------
    score : Array
        (n,) raw scores; those of different folds need not have the same scale.
    efficiency : Array
        (n,) share of the background's reference events in the signal region with at least that score in the
        same fold. ``efficiency < 0.01`` is a cut that keeps 1 % of the background.
    fold : ndarray
        (n,) the fold in which an event was held out.
    detectors : list of Detector
        One trained detector per fold.
    reference : (Array, Array)
        (X, m) events that stand for the background, (r, features) and (r,), of all folds.
    reference_efficiency : Array
        (r,) as ``efficiency``.
    """

    score: Array
    efficiency: Array
    fold: NDArray[np.int64]
    detectors: list[Detector]
    reference: tuple[Array, Array]
    reference_efficiency: Array


def cross_fit(
    detector: Any,
    X: ArrayLike,
    m: ArrayLike,
    labels: ArrayLike | None = None,
    background: tuple[ArrayLike, ArrayLike] | None = None,
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CrossFit:
    """Train a copy of ``detector`` on all folds but one, score that one, and so on.

    Parameters
    ----------
    detector : object
        A `Detector`, or one for each fold; they are not changed.
    X, m : array_like
        As in `Detector.fit`. The background sample is split into folds too.
    labels : array_like, optional
        As in `Detector.fit`. The background sample is split into folds too.
    background : (array_like or array_like), optional
        As in `Detector.fit`. The background sample is split into folds too.
    folds : int
        Number of folds, at least 2.
    seed : int
        Of the folds and of the reference events.
    progress : callable, optional
        Called with (folds done, folds) after each.

    Notes
    -----
    Flow, classifier and everything else are trained again in each fold. Nothing of an event enters its
    own score, so that a cut on it can't prefer the fluctuations of the data that are fitted afterwards.
    """
    X, m = checked(X, m)
    if not 2 <= folds <= len(m):
        raise InputError(f"folds must be between 2 and the number of events, got {folds}")
    ones = list(detector) if isinstance(detector, Sequence) else [detector] * folds
    if len(ones) != folds:
        raise InputError(f"{folds} folds need as many detectors, got {len(ones)}")
    y = None if labels is None else np.asarray(one_column(labels))
    fold = fold_numbers(len(m), folds, seed)
    pure = None if background is None else checked(*background)
    pure_fold = None if pure is None else fold_numbers(len(pure[1]), folds, seed, 1)
    score, efficiency = np.empty(len(m)), np.empty(len(m))
    detectors, references, reference_efficiencies = [], [], []
    for k in range(folds):

        def part(held: bool, k: int = k) -> tuple[Any, ...]:
            rows = (fold == k) == held
            known = None if y is None else y[rows]
            if pure is None or pure_fold is None:
                return X[rows], m[rows], known, None
            chosen = (pure_fold == k) == held
            return X[rows], m[rows], known, (pure[0][chosen], pure[1][chosen])

        copy: Any = clone(ones[k])
        trained = copy.fit(*part(held=False))
        held = fold == k
        score[held] = trained.score(X[held], m[held])
        reference = trained.reference(*part(held=True), seed=seed)
        levels = trained.score(*reference)
        efficiency[held] = background_efficiency(score[held], levels)
        reference_efficiencies.append(background_efficiency(levels, levels))
        references.append(reference)
        detectors.append(trained)
        if progress is not None:
            progress(k + 1, folds)
    together = (np.concatenate([r[0] for r in references]), np.concatenate([r[1] for r in references]))
    return CrossFit(score, efficiency, fold, detectors, together, np.concatenate(reference_efficiencies))


def background_efficiency(score: ArrayLike, reference: ArrayLike) -> Array:
    """Share (n,) of the ``reference`` scores (r,) that are at least as large as each ``score`` (n,).

    Examples
    --------
    >>> background_efficiency([0.0, 2.5, 9.0], [1.0, 2.0, 3.0, 4.0])
    array([1. , 0.5, 0. ])
    """
    ordered = np.sort(np.asarray(reference, float))
    if len(ordered) == 0:
        raise InputError("there are no reference events to set the scale of the scores")
    return 1 - np.searchsorted(ordered, np.asarray(score, float), side="left") / len(ordered)


def fold_numbers(n: int, folds: int, seed: int, stream: int = 0) -> NDArray[np.int64]:
    """The fold (n,) of each of ``n`` events: random, of nearly equal size, and the same for the same seed."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0xF0, stream)))
    return rng.permutation(np.arange(n) % folds)
