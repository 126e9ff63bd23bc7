"""Figures of merit of a classifier of 1 against 0, and its calibration by isotonic regression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .ensemble import one_column

Array = NDArray[np.float64]

# Calibrated probabilities stay this far from 0 and 1, as in the official code of the CaloChallenge.
_EDGE = 1e-6


def auc(score: ArrayLike, label: ArrayLike) -> float:
    """Area under the ROC curve: the probability that a 1 scores higher than a 0, ties counting half.

    Parameters
    ----------
    score, label : array_like
        (n,); labels 0 or 1, both present.

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


def auc_error(score: ArrayLike, label: ArrayLike) -> float:
    """Standard error of `auc` from the finite number of events (DeLong et al., Biometrics 44 (1988) 837).

    Parameters
    ----------
    score, label : array
        As of `auc`; 0 if a class has one event only.
    """
    score, positive = _checked(score, label)
    ones, zeros = np.sort(score[positive]), np.sort(score[~positive])
    variance = 0.0
    for own, other in ((ones, zeros), (zeros, ones)):
        below = np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")
        shares = 0.5 * below / len(other)  # of the other class below each event, ties counting half
        variance += float(shares.var(ddof=1)) / len(own) if len(own) > 1 else 0.0
    return math.sqrt(variance)


def cross_entropy(probability: ArrayLike, label: ArrayLike) -> float:
    """Mean binary cross entropy in nats of ``probability`` (n,) for ``label`` (n,), 0 or 1."""
    p, positive = _checked(probability, label, "probabilities", probability=True)
    with np.errstate(divide="ignore"):
        return float(-np.log(np.where(positive, p, 1.0 - p)).mean())


def jensen_shannon(probability: ArrayLike, label: ArrayLike) -> float:
    """The Jensen-Shannon divergence in bits that calibrated probabilities see between the two classes.

    One minus the cross entropy in bits (2106.05285, section V): between 0 and 1 for the best classifier of
    two classes of equal size, negative for one that is worse than a guess.
    """
    return 1.0 - cross_entropy(probability, label) / math.log(2.0)


def jensen_shannon_error(probability: ArrayLike, label: ArrayLike) -> float:
    """Standard error of `jensen_shannon` from the finite number of events: that of a mean of logarithms."""
    p, positive = _checked(probability, label, "probabilities", probability=True)
    with np.errstate(divide="ignore"):
        bits = np.log2(np.where(positive, p, 1.0 - p))
    parts = (bits[positive], bits[~positive])
    return math.sqrt(sum(len(b) * float(b.var(ddof=1)) for b in parts if len(b) > 1)) / len(p)


@dataclass(frozen=True)
class Calibration:
    """Monotone maps from scores to probabilities, by isotonic regression, and to odds, by a logistic one.

    Attributes
    ----------
    intercept, slope : float
        Log odds are ``intercept + slope * logit(score)``.
    low, high : float
        Logits of the lowest and the highest score of the calibration; beyond them odds are constant.
    """

    intercept: float
    slope: float
    low: float
    high: float
    _isotonic: object

    def probability(self, score: ArrayLike) -> Array:
        """Calibrated probabilities (n,) for scores (n,), between 1e-6 and 1 - 1e-6."""
        return np.asarray(self._isotonic.predict(np.asarray(score, float)))  # type: ignore[attr-defined]

    def odds(self, score: ArrayLike) -> Array:
        """Odds (n,) of 1 against 0, finite and smooth, as weights have to be.

        Not those of `probability`: isotonic regression ends in blocks of a few events of one class,
        whose odds are off by any factor, and a few such weights spoil a sample.
        """
        x = np.clip(_logit(np.asarray(score, float)), self.low, self.high)
        return np.exp(self.intercept + self.slope * x)


def calibrate(score: ArrayLike, label: ArrayLike) -> Calibration:
    """Regressions of the labels (n,) on the scores (n,), on events that trained nothing."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    score, positive = _checked(score, label, probability=True)
    isotonic = IsotonicRegression(y_min=_EDGE, y_max=1.0 - _EDGE, out_of_bounds="clip")
    isotonic.fit(score, positive.astype(float))
    x = _logit(score)
    logistic = LogisticRegression().fit(x[:, None], positive)
    return Calibration(
        float(logistic.intercept_[0]), float(logistic.coef_[0, 0]), float(x.min()), float(x.max()), isotonic
    )


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
    p, positive = _checked(probability, label, "probabilities", probability=True)
    place = np.clip((p * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    predicted = np.bincount(place, weights=p, minlength=bins)[used] / count[used]
    observed = np.bincount(place, weights=positive, minlength=bins)[used] / count[used]
    return Reliability(predicted, observed, count[used])


def _logit(score: Array) -> Array:
    """Log odds of scores in [0, 1], finite for 0 and 1."""
    p = np.clip(score, 1e-15, 1.0 - 1e-15)
    return np.log(p) - np.log1p(-p)


def _checked(
    score: ArrayLike, label: ArrayLike, what: str = "scores", probability: bool = False
) -> tuple[Array, NDArray[np.bool_]]:
    """Scores and labels, (n,) or (n, 1), as (n,); with ``probability`` the scores must be between 0 and 1."""
    try:
        score = np.asarray(one_column(score), float)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be numbers") from None
    label = np.asarray(one_column(label))
    if score.ndim != 1 or score.shape != label.shape:
        raise InputError(f"{what} and labels need one shape (n,), got {score.shape} and {label.shape}")
    if not np.isfinite(score).all():
        raise InputError(f"{what} must be finite")
    if probability and len(score) and not (score.min() >= 0 and score.max() <= 1):
        raise InputError(
            f"{what} must be between 0 and 1, got {score.min():.4g} to {score.max():.4g}: apply a sigmoid"
        )
    positive = label == 1
    if not (positive | (label == 0)).all() or positive.all() or not positive.any():
        raise InputError("labels must be 0 and 1, and both must be there")
    return score, positive
