"""Ensembles of histogram gradient-boosted trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .ensemble import Array, Ensemble, member_seeds


class TreeEnsemble(Ensemble):
    """Gradient-boosted trees (scikit-learn's ``HistGradientBoostingClassifier``), averaged.

    Each member stops early on its own random half of the events (2309.13111, section 3.2), which makes
    the members differ. Robust against features that say nothing, and quick.

    Parameters
    ----------
    members : int
        Number of classifiers.
    max_iter : int
        Of each; see scikit-learn.
    learning_rate : float
        Of each; see scikit-learn.
    max_leaf_nodes, min_samples_leaf : int
        Of each; see scikit-learn.
    l2_regularization : float
        Of each; see scikit-learn.
    max_bins : int
        Of each; see scikit-learn.
    validation_fraction : float
        Share of the events that decides when to stop.
    patience : int
        Iterations without a better loss after which a member stops.
    seed : int
        Of the splits.

    Attributes
    ----------
    n_iter_ : int
        Most iterations that a member made.
    thresholds_ : list of ndarray
        For each feature its quantiles, at which trees may split.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> X, y = rng.normal(size=(600, 2)), rng.integers(0, 2, 600)
    >>> X[y == 1] += 2
    >>> TreeEnsemble(members=2).fit(X, y).predict([[-1.0, -1.0], [3.0, 3.0]]).tolist()
    [0, 1]
    """

    def __init__(
        self,
        members: int = 10,
        max_iter: int = 200,
        learning_rate: float = 0.1,
        max_leaf_nodes: int = 31,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
        max_bins: int = 255,
        validation_fraction: float = 0.5,
        patience: int = 10,
        seed: int = 0,
    ) -> None:
        self.members = members
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_bins = max_bins
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.seed = seed

    def _fit(self, X: Array, y: NDArray[np.int64], weights: Array) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        if not 0 < self.validation_fraction < 1:
            raise InputError(f"validation_fraction must be in (0, 1), got {self.validation_fraction}")
        # Once for all members: scikit-learn's quantiles of weighted events cost more than the trees.
        levels = np.linspace(0, 1, self.max_bins + 1)[1:-1]
        self.thresholds_ = [np.unique(np.quantile(column, levels)) for column in X.T]
        binned = self._binned(X)
        self.estimators_ = [
            HistGradientBoostingClassifier(
                max_iter=self.max_iter,
                learning_rate=self.learning_rate,
                max_leaf_nodes=self.max_leaf_nodes,
                min_samples_leaf=self.min_samples_leaf,
                l2_regularization=self.l2_regularization,
                max_bins=self.max_bins,
                early_stopping=True,  # pyright: ignore[reportArgumentType]
                validation_fraction=self.validation_fraction,
                n_iter_no_change=self.patience,
                random_state=seed,
            ).fit(binned, y, sample_weight=weights)
            for seed in member_seeds(self.seed, self.members)
        ]
        self.n_iter_ = max(e.n_iter_ for e in self.estimators_)

    def _probability(self, X: Array) -> Array:
        binned = self._binned(X)
        return np.mean([e.predict_proba(binned)[:, 1] for e in self.estimators_], axis=0)

    def _binned(self, X: Array) -> Array:
        """Numbers (n, features) of the bins in which the features lie."""
        columns = [np.searchsorted(t, x) for t, x in zip(self.thresholds_, X.T, strict=True)]
        return np.stack(columns, axis=1).astype(float)
