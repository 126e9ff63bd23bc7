"""What all ensembles of classifiers share: input checks and the scikit-learn habits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ..errors import InputError

Array = NDArray[np.float64]


class NotTrainedError(InputError, NotFittedError):
    """Something was asked of an estimator before its ``fit``."""


class Ensemble(ClassifierMixin, BaseEstimator):
    """Classifiers of two classes whose probabilities are averaged.

    Subclasses implement ``_fit(X, y, weights)`` and ``_probability(X)``.

    Attributes
    ----------
    classes_ : ndarray
        (2,) the two classes in order; the second is the "signal".
    n_features_in_ : int
        Number of features seen in `fit`.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Ensemble:
        """Train all members.

        Parameters
        ----------
        X, y : arrays
            Features (n, features), and classes (n,), of which there are two. scikit-learn takes a column
            (n, 1) too, with a warning.
        sample_weight : array or None
            (n,) or (n, 1), not negative; scaled to mean 1. To balance the classes, see `balanced`.

        Raises
        ------
        InputError
            If shapes do not fit, values are not finite, there are not two classes of two events or more, or
            all weights of a class are 0.
        """
        X_, y_ = _validated(self, X, y=y)
        classes, codes, counts = np.unique(y_, return_inverse=True, return_counts=True)
        if len(classes) != 2:
            noun = "class" if len(classes) == 1 else "classes"
            raise InputError(
                f"Only binary classification is supported: y needs two classes, got {len(classes)} {noun}"
            )
        if counts.min() < 2:
            raise InputError(f"a classifier needs two events per class or more, got {counts.min()}")
        weights = np.ones(len(X_)) if sample_weight is None else _weights(sample_weight)
        if weights.shape != y_.shape or not np.all(weights >= 0) or not 0 < weights.sum() < np.inf:
            raise InputError("sample_weight needs shape (n,), finite values >= 0 and not all of them zero")
        for value, sum_ in zip(classes, np.bincount(codes, weights), strict=True):
            if not sum_ > 0:
                raise InputError(f"all events of the class {value!r} have the weight 0")
        self.classes_ = classes
        self._fit(X_, codes.astype(np.int64), weights / weights.mean())
        return self

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities (n, 2) of the classes for ``X`` (n, features), averaged over the members."""
        if not hasattr(self, "classes_"):
            raise NotTrainedError("this classifier is not trained yet: call fit first")
        signal = self._probability(_validated(self, X, reset=False))
        return np.stack([1 - signal, signal], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The more probable class (n,)."""
        likely = self.predict_proba(X)[:, 1] > 0.5
        return self.classes_[likely.astype(int)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _fit(self, X: Array, y: NDArray[np.int64], weights: Array) -> None:
        raise NotImplementedError

    def _probability(self, X: Array) -> Array:
        raise NotImplementedError


def balanced(y: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
    """Weights (n,) with which both classes of ``y`` have the same sum, n / 2.

    Parameters
    ----------
    y : array
        Classes (n,) or (n, 1), 0 or 1.
    sample_weight : array or None
        Weights (n,) or (n, 1) to begin with, not negative; 1 if not given.

    Raises
    ------
    InputError
        If shapes do not fit, or if ``y`` has other values, or a class has no weight.
    """
    y = np.asarray(one_column(y))
    weights = np.ones(len(y)) if sample_weight is None else _weights(sample_weight).copy()
    if y.ndim != 1 or weights.shape != y.shape or not np.isin(y, (0, 1)).all():
        raise InputError(
            f"balancing needs classes 0 and 1 and weights (n,), got {y.shape} and {weights.shape}"
        )
    if not (np.all(weights >= 0) and np.isfinite(weights).all()):
        raise InputError("weights must be finite and not negative")
    for value in (0, 1):
        total = weights[y == value].sum()
        if not total > 0:
            raise InputError(f"no event of the class {value} has a weight: there is nothing to balance")
        weights[y == value] *= 0.5 * len(y) / total
    return weights


def one_column(values: ArrayLike) -> Any:
    """One entry per event (n,) from (n,) or from a column (n, 1); anything else as it is.

    Two arrays (n,) and (n, 1) would combine to (n, n) without a word.

    Examples
    --------
    >>> one_column(np.ones((3, 1))).shape
    (3,)
    """
    shape = getattr(values, "shape", None)
    if shape is None and isinstance(values, list | tuple):
        values = np.asarray(values)
        shape = values.shape
    if shape is not None and len(shape) == 2 and shape[1] == 1:
        return np.asarray(values)[:, 0]
    return values


def _weights(values: ArrayLike) -> Array:
    try:
        return np.asarray(one_column(values), float)
    except (TypeError, ValueError):
        raise InputError("weights must be numbers") from None


def member_seeds(seed: int, members: int) -> list[int]:
    """Independent seeds below 2^31, one per member."""
    if members < 1:
        raise InputError(f"an ensemble needs members >= 1, got {members}")
    return [int(s) for s in np.random.SeedSequence((seed, 0xE5)).generate_state(members) >> 1]


def _validated(estimator: Ensemble, X: Any, **arguments: Any) -> Any:
    """Let scikit-learn check shapes and types, and say in one line what it found."""
    shape = getattr(X, "shape", ())
    if len(shape) == 1:  # scikit-learn's own message would print all of X
        raise InputError(f"X needs the shape (n, features), got {shape}. Reshape your data")
    try:
        out = validate_data(estimator, X, dtype=np.float64, ensure_all_finite=False, **arguments)
        X_ = out[0] if isinstance(out, tuple) else out
        if isinstance(out, tuple):
            check_classification_targets(out[1])
    except ValueError as error:
        raise InputError(" ".join(str(error).split())) from None
    bad = int((~np.isfinite(X_).all(1)).sum())
    if bad:
        raise InputError(f"X holds NaN or infinity in {bad} of {len(X_)} rows: remove them first")
    return out
