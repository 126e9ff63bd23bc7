"""The interface of all detectors, and the checks of their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from ...classifiers import TreeEnsemble
from ...classifiers.ensemble import Ensemble, NotTrainedError, balanced, one_column
from ...errors import InputError
from ..arrays import checked
from ..regions import SignalRegion

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
D = TypeVar("D", bound="Detector")

MIN_REGION, MIN_SIDEBAND = 100, 500
"""Fewest events in the signal region, and in the sidebands, with which a detector is trained."""


@dataclass(frozen=True)
class Training:
    """Checked input of `Detector.fit`; ``inside`` (n,) marks the signal region."""

    X: Array
    m: Array
    inside: Mask
    labels: NDArray[np.int64] | None
    background: tuple[Array, Array] | None


class Detector(BaseEstimator):
    """An anomaly detector: trained on events with features and a mass, it gives each event a score.

    All detectors are scikit-learn estimators: ``get_params``, ``set_params`` and ``clone`` work, nothing
    is built in ``__init__``, and in a pipeline the mass stands in the place of y.

    Parameters
    ----------
    signal_region : sequence of float or SignalRegion
        (low, high) in TeV.
    seed : int
        Of everything random; ``random_state``, where given, goes before it.
    """

    signal_region: Sequence[float] | SignalRegion
    seed: int
    random_state: int | None

    def fit(
        self: D,
        X: ArrayLike,
        m: ArrayLike,
        labels: ArrayLike | None = None,
        background: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> D:
        """Train.

        Parameters
        ----------
        X, m : array_like
            Features (n, features) and resonant mass (n,) in TeV, of the signal region and of its sidebands.
        labels : array_like, optional
            (n,) 1 for signal; only `Supervised` looks at them.
        background : (array_like or array_like), optional
            (X, m) of a sample that is known to be background; only for `IdealizedDetector`.

        Raises
        ------
        InputError
            If shapes do not fit, values are not finite, or the signal region or the sidebands have too few
            events.
        """
        region = SignalRegion.of(self.signal_region)
        X, m = checked(X, m)
        inside = region.contains(m)
        if (n := int(inside.sum())) < MIN_REGION:
            raise InputError(
                f"the signal region {region.low:g} to {region.high:g} TeV holds {n} events,"
                f" training needs {MIN_REGION}: widen it, or check the unit of m"
            )
        y = None if labels is None else np.asarray(one_column(labels))
        if y is not None and (y.shape != m.shape or not np.isin(y, (0, 1)).all()):
            raise InputError(f"labels need shape ({len(m)},) and values 0 or 1")
        reference = None if background is None else checked(*background)
        if reference is not None and reference[0].shape[1] != X.shape[1]:
            raise InputError(
                f"the background has {reference[0].shape[1]} features, the events have {X.shape[1]}"
            )
        self.n_features_in_ = X.shape[1]
        self.region_ = region
        labels_ = None if y is None else y.astype(np.int64)
        self._fit(Training(X, m, inside, labels_, reference))
        return self

    def score(self, X: ArrayLike, m: ArrayLike) -> Array:
        """Scores (n,) of events, higher for more signal-like ones, at any mass."""
        return self._score(*self._checked(X, m))

    def reference(
        self,
        X: ArrayLike,
        m: ArrayLike,
        labels: ArrayLike | None = None,
        background: tuple[ArrayLike, ArrayLike] | None = None,
        seed: int = 0,
    ) -> tuple[Array, Array]:
        """Events (X, m) that stand for the background in the signal region and that `fit` did not see.

        The arguments are events that were held out from the training; a detector that knows the density
        of the background ignores them and draws new ones.
        """
        X, m = self._checked(X, m)
        held = None if background is None else self._checked(*background)
        return self._reference(X, m, None if labels is None else np.asarray(one_column(labels)), held, seed)

    def _fit(self, data: Training) -> None:
        raise NotImplementedError

    def _score(self, X: Array, m: Array) -> Array:
        raise NotImplementedError

    def _reference(
        self,
        X: Array,
        m: Array,
        labels: NDArray[Any] | None,
        background: tuple[Array, Array] | None,
        seed: int,
    ) -> tuple[Array, Array]:
        raise NotImplementedError

    def _checked(self, X: ArrayLike, m: ArrayLike) -> tuple[Array, Array]:
        if not hasattr(self, "n_features_in_"):
            raise NotTrainedError(f"this {type(self).__name__} is not trained yet: call fit first")
        X, m = checked(X, m)
        if X.shape[1] != self.n_features_in_:
            raise InputError(
                f"the detector was trained on {self.n_features_in_} features, got {X.shape[1]} columns"
            )
        return X, m

    def _seed(self, stream: int) -> int:
        """The seed of one consumer of random numbers."""
        seed = self.seed if self.random_state is None else self.random_state
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise InputError(f"the seed must be an integer >= 0, got {seed!r}")
        return int(np.random.SeedSequence((int(seed), stream)).generate_state(1)[0] >> 1)

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(self._seed(stream))


class ClassifierDetector(Detector):
    """A detector whose score is the output of a classifier of events against events.

    Parameters
    ----------
    classifier : object
        An ensemble of `lhcflow.classifiers`, or any scikit-learn classifier whose ``fit`` takes
        ``sample_weight``; `TreeEnsemble` if None. A copy with a seed of the
        detector's is trained.
    use_mass : bool
        Whether the classifier sees m too.
    """

    classifier: Any
    use_mass: bool = False

    def _train_classifier(
        self,
        signal: tuple[Array, Array],
        background: tuple[Array, Array],
        background_weights: Array | None = None,
    ) -> None:
        """Train ``signal`` against ``background``, pairs (X, m), with equal sums of weights."""
        X = np.concatenate([self._inputs(*signal), self._inputs(*background)])
        y = np.repeat([1, 0], [len(signal[0]), len(background[0])])
        weights = np.ones(len(X))
        if background_weights is not None:
            weights[y == 0] = background_weights
        classifier: Any = clone(TreeEnsemble() if self.classifier is None else self.classifier)
        name = "seed" if isinstance(classifier, Ensemble) else "random_state"
        if name in classifier.get_params():
            classifier.set_params(**{name: self._seed(1)})
        self.classifier_ = classifier.fit(X, y, sample_weight=balanced(y, weights))

    def _score(self, X: Array, m: Array) -> Array:
        return self.classifier_.predict_proba(self._inputs(X, m))[:, 1]

    def _inputs(self, X: Array, m: Array) -> Array:
        return np.column_stack([X, m]) if self.use_mass else X
