"""Figures of merit of a classifier of 1 against 0, and its calibration by isotonic regression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

# Calibrated probabilities stay this far from 0 and 1, as in the official code of the CaloChallenge.
_EDGE = 1e-6


def auc(score: ArrayLike, label: ArrayLike) -> float:
    """Area under the ROC curve: the probability that a 1 scores higher than a 0, ties counting half.

    Parameters
    ----------
    score, label : (n,); labels 0 or 1, both present.

    Examples
    --------
    >>> auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])
    0.875
    """
    from scipy.stats import rankdata

    score, positive = _checked(score, label)
    ones = int(positive.sum())
    zeros = len(positive) - ones
    ranks = float(rankdata(score)[positive].sum())
    return (ranks - 0.5 * ones * (ones + 1)) / (ones * zeros)


def cross_entropy(probability: ArrayLike, label: ArrayLike) -> float:
    """Mean binary cross entropy in nats of ``probability`` (n,) for ``label`` (n,), 0 or 1."""
    p, positive = _checked(probability, label)
    with np.errstate(divide="ignore"):
        return float(-np.log(np.where(positive, p, 1.0 - p)).mean())


def jensen_shannon(probability: ArrayLike, label: ArrayLike) -> float:
    """The Jensen-Shannon divergence in bits that calibrated probabilities see between the two classes.

    One minus the cross entropy in bits (2106.05285, section V): between 0 and 1 for the best classifier of
    two classes of equal size, negative for one that is worse than a guess.
    """
    return 1.0 - cross_entropy(probability, label) / math.log(2.0)


@dataclass(frozen=True)
class Calibration:
    """A monotone map from scores to probabilities, constant on blocks of scores.

    Attributes
    ----------
    thresholds : lowest score (blocks,) of each block.
    zeros, ones : calibration events (blocks,) of each class in it.
    """

    thresholds: Array
    zeros: Array
    ones: Array
    _regression: object

    def probability(self, score: ArrayLike) -> Array:
        """Calibrated probabilities (n,) for scores (n,), between 1e-6 and 1 - 1e-6."""
        return np.asarray(self._regression.predict(np.asarray(score, float)))  # type: ignore[attr-defined]

    def odds(self, score: ArrayLike) -> Array:
        """Odds (n,) of 1 against 0, finite and unbiased enough to be weights.

        Per block ``(ones + 1/2) / (zeros + 1/2)``: a block that happens to hold one class only does not
        give an infinite weight.
        """
        ratio = (self.ones + 0.5) / (self.zeros + 0.5)
        block = np.searchsorted(self.thresholds, np.asarray(score, float), side="right") - 1
        return ratio[np.clip(block, 0, len(ratio) - 1)]


def calibrate(score: ArrayLike, label: ArrayLike) -> Calibration:
    """Isotonic regression of the labels (n,) on the scores (n,), on events that trained nothing."""
    from sklearn.isotonic import IsotonicRegression

    score, positive = _checked(score, label)
    regression = IsotonicRegression(y_min=_EDGE, y_max=1.0 - _EDGE, out_of_bounds="clip")
    fitted = regression.fit_transform(score, positive.astype(float))
    values, block = np.unique(fitted, return_inverse=True)
    lowest = np.full(len(values), np.inf)
    np.minimum.at(lowest, block, score)
    ones = np.bincount(block, positive, len(values)).astype(float)
    zeros = np.bincount(block, ~positive, len(values)).astype(float)
    return Calibration(lowest, zeros, ones, regression)


@dataclass(frozen=True)
class Reliability:
    """Calibration curve: mean ``predicted`` probability, ``observed`` fraction of 1 and counts, per bin."""

    predicted: Array
    observed: Array
    count: NDArray[np.int64]

    @property
    def error(self) -> Array:
        """Binomial errors of ``observed``."""
        return np.sqrt(self.predicted * (1 - self.predicted) / self.count)


def reliability(probability: ArrayLike, label: ArrayLike, bins: int = 10) -> Reliability:
    """The calibration curve in ``bins`` equal bins of the predicted probability; empty ones are left out."""
    p, positive = _checked(probability, label)
    place = np.clip((p * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    predicted = np.bincount(place, weights=p, minlength=bins)[used] / count[used]
    observed = np.bincount(place, weights=positive, minlength=bins)[used] / count[used]
    return Reliability(predicted, observed, count[used])


def _checked(score: ArrayLike, label: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    score, label = np.asarray(score, float), np.asarray(label)
    if score.ndim != 1 or score.shape != label.shape:
        raise InputError(f"scores and labels need one shape (n,), got {score.shape} and {label.shape}")
    if not np.isfinite(score).all():
        raise InputError("scores must be finite")
    positive = label == 1
    if not (positive | (label == 0)).all() or positive.all() or not positive.any():
        raise InputError("labels must be 0 and 1, and both must be there")
    return score, positive
