"""What all ensembles of classifiers share: input checks and the scikit-learn habits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from ..errors import InputError

Array = NDArray[np.float64]


class Ensemble(ClassifierMixin, BaseEstimator):
    """Classifiers of 0 against 1 whose probabilities are averaged.

    Subclasses implement ``_fit(X, y, weights)`` and ``_probability(X)``.

    Attributes
    ----------
    classes_ : [0, 1].
    n_features_in_ : number of features seen in :meth:`fit`.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Ensemble:
        """Train all members.

        Parameters
        ----------
        X, y : features (n, features) and classes (n,), 0 or 1.
        sample_weight : (n,), not negative; scaled to mean 1. To balance the classes, see :func:`balanced`.

        Raises
        ------
        InputError
            If shapes do not fit, values are not finite, or one class has fewer than ten events.
        """
        X, y = np.asarray(X, float), np.asarray(y)
        if X.ndim != 2 or y.shape != X.shape[:1]:
            raise InputError(
                f"a classifier needs X (n, features) and y (n,), got shapes {X.shape} and {y.shape}"
            )
        _check_finite(X)
        if not np.isin(y, (0, 1)).all():
            raise InputError("the classes must be 0 and 1")
        counts = np.bincount(y.astype(int), minlength=2)
        if counts.min() < 10:
            raise InputError(
                f"a classifier needs ten events per class, got {counts[0]} of 0, {counts[1]} of 1"
            )
        weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        if weights.shape != y.shape or not np.all(weights >= 0) or not 0 < weights.sum() < np.inf:
            raise InputError("sample_weight needs shape (n,), finite values >= 0 and a positive sum")
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = X.shape[1]
        self._fit(X, y.astype(np.int64), weights / weights.mean())
        return self

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities (n, 2) of the classes for ``X`` (n, features), averaged over the members."""
        if not hasattr(self, "classes_"):
            raise InputError("this classifier is not trained yet: call fit first")
        X = np.asarray(X, float)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise InputError(
                f"the classifier was trained on {self.n_features_in_} features, got X of shape {X.shape}"
            )
        _check_finite(X)
        signal = self._probability(X)
        return np.stack([1 - signal, signal], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The more probable class (n,)."""
        return (self.predict_proba(X)[:, 1] > 0.5).astype(np.int64)

    def _fit(self, X: Array, y: NDArray[np.int64], weights: Array) -> None:
        raise NotImplementedError

    def _probability(self, X: Array) -> Array:
        raise NotImplementedError


def balanced(y: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
    """Weights (n,) with which both classes of ``y`` (n,) have the same sum, n / 2."""
    y = np.asarray(y)
    weights = np.ones(len(y)) if sample_weight is None else np.array(sample_weight, float)
    for value in (0, 1):
        weights[y == value] *= 0.5 * len(y) / weights[y == value].sum()
    return weights


def member_seeds(seed: int, members: int) -> list[int]:
    """Independent seeds below 2^31, one per member."""
    if members < 1:
        raise InputError(f"an ensemble needs members >= 1, got {members}")
    return [int(s) for s in np.random.SeedSequence((seed, 0xE5)).generate_state(members) >> 1]


def _check_finite(X: Array) -> None:
    bad = int((~np.isfinite(X).all(1)).sum())
    if bad:
        raise InputError(f"X holds NaN or infinity in {bad} of {len(X)} rows: remove them first")
