"""How well a score separates: ROC and SIC curves with errors, and their bands over repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

MAX_RELATIVE_ERROR = 0.2
"""Largest relative statistical error of the false-positive rate up to which SIC values count (2109.00546)."""


@dataclass(frozen=True)
class Roc:
    """A ROC curve, one point per distinct score, from the strictest cut to none.

    Attributes
    ----------
    tpr, fpr : Array
        (points,) true- and false-positive rates, not decreasing.
    signal, background : int
        Numbers of events they come from.
    """

    tpr: Array
    fpr: Array
    signal: int
    background: int

    @property
    def auc(self) -> float:
        """Area under the curve TPR(FPR)."""
        return float(np.trapezoid(np.append(0.0, self.tpr), np.append(0.0, self.fpr)))

    @property
    def auc_error(self) -> float:
        """Statistical error of `auc` from the spread of both samples' ranks (DeLong et al. 1988)."""
        tpr, fpr = np.append(0.0, self.tpr), np.append(0.0, self.fpr)
        # Of signal events the share of background below each, of background that of signal above.
        parts = ((np.diff(tpr), 1 - (fpr[1:] + fpr[:-1]) / 2), (np.diff(fpr), (tpr[1:] + tpr[:-1]) / 2))
        variance = 0.0
        for (weight, share), n in zip(parts, (self.signal, self.background), strict=True):
            spread = np.sum(weight * (share - np.sum(weight * share)) ** 2)
            variance += float(spread) / max(n - 1, 1)
        return float(np.sqrt(variance))

    @property
    def fpr_error(self) -> Array:
        """Relative binomial error (points,) of the false-positive rate; infinite where it is zero."""
        with np.errstate(divide="ignore"):
            return np.sqrt((1 - self.fpr) / (self.background * self.fpr))

    @property
    def sic(self) -> Array:
        """Significance improvement TPR / sqrt(FPR) (points,); NaN where the FPR is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.fpr > 0, self.tpr / np.sqrt(self.fpr), np.nan)

    @property
    def sic_error(self) -> Array:
        """Binomial error (points,) of `sic`, from TPR and FPR."""
        with np.errstate(divide="ignore", invalid="ignore"):
            tpr_error = np.sqrt((1 - self.tpr) / (self.signal * self.tpr))
            return self.sic * np.sqrt(tpr_error**2 + 0.25 * self.fpr_error**2)

    def max_sic(self, max_relative_error: float = MAX_RELATIVE_ERROR) -> float:
        """Largest SIC among the points whose FPR is known well enough; NaN if there is none."""
        known = self.fpr_error < max_relative_error
        return float(self.sic[known].max()) if known.any() else float("nan")

    def max_sic_error(self, max_relative_error: float = MAX_RELATIVE_ERROR) -> float:
        """Binomial error of the SIC where `max_sic` finds it; NaN if it finds none."""
        known = self.fpr_error < max_relative_error
        if not known.any():
            return float("nan")
        return float(self.sic_error[known][np.argmax(self.sic[known])])

    def tpr_at(self, fpr: ArrayLike) -> Array:
        """True-positive rate at given false-positive rates, linear between the points."""
        return np.interp(np.asarray(fpr, float), np.append(0.0, self.fpr), np.append(0.0, self.tpr))

    def sic_at(self, fpr: float = 1e-3) -> tuple[float, float]:
        """SIC and its error at one false-positive rate. Without any signal event the error is that of one."""
        if not 0 < fpr <= 1:
            raise InputError(f"a false-positive rate lies in (0, 1], got {fpr}")
        tpr = float(self.tpr_at(fpr))
        value = float(tpr / np.sqrt(fpr))
        from_signal = max(tpr, 1 / self.signal) * (1 - tpr) / self.signal / fpr
        from_background = value**2 * (1 - fpr) / (4 * self.background * fpr)
        return value, float(np.sqrt(from_signal + from_background))


def roc(score: ArrayLike, label: ArrayLike) -> Roc:
    """The ROC curve of ``score`` (n,), higher for signal, and ``label`` (n,), 1 for signal.

    Events with equal scores enter together.

    Examples
    --------
    >>> curve = roc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0])
    >>> curve.tpr.tolist(), curve.fpr.tolist(), curve.auc
    ([0.5, 0.5, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0], 0.75)
    """
    score, label = np.asarray(score, float), np.asarray(label)
    if score.ndim != 1 or score.shape != label.shape:
        raise InputError(f"roc needs score and label of shape (n,), got {score.shape} and {label.shape}")
    if np.isnan(score).any():
        raise InputError(f"{int(np.isnan(score).sum())} of {len(score)} scores are NaN")
    order = np.argsort(-score, kind="stable")
    signal = np.cumsum(label[order] == 1)
    background = np.arange(1, len(order) + 1) - signal
    if len(order) == 0 or signal[-1] == 0 or background[-1] == 0:
        raise InputError("roc needs events of signal and of background")
    last = np.append(np.diff(score[order]) != 0, True)
    s, b = signal[last], background[last]
    return Roc(s / s[-1], b / b[-1], int(s[-1]), int(b[-1]))


@dataclass(frozen=True)
class Band:
    """Median and central 68 % (``low``, ``high``) over repetitions, each (points,), at ``x`` (points,)."""

    x: Array
    median: Array
    low: Array
    high: Array


def sic_band(curves: Sequence[Roc], tpr: ArrayLike | None = None) -> Band:
    """SIC against TPR over repetitions; NaN where a FPR is not known to 20 %."""
    grid = np.linspace(0.02, 1.0, 197) if tpr is None else np.asarray(tpr, float)
    values = []
    for curve in curves:
        fpr = np.interp(grid, curve.tpr, curve.fpr)
        with np.errstate(divide="ignore"):
            known = np.sqrt((1 - fpr) / (curve.background * np.maximum(fpr, 1e-300))) < MAX_RELATIVE_ERROR
            values.append(np.where(known, grid / np.sqrt(np.maximum(fpr, 1e-300)), np.nan))
    return _band(grid, np.array(values))


def rejection_band(curves: Sequence[Roc], tpr: ArrayLike | None = None) -> Band:
    """Background rejection 1/FPR against TPR over repetitions; NaN where a FPR is not known to 20 %."""
    sic = sic_band(curves, tpr)
    with np.errstate(divide="ignore"):
        return Band(sic.x, *((s / sic.x) ** 2 for s in (sic.median, sic.low, sic.high)))


def quantiles(values: ArrayLike) -> tuple[float, float, float]:
    """Median and central 68 % of numbers (n,)."""
    low, median, high = np.quantile(np.asarray(values, float), [0.16, 0.5, 0.84])
    return float(median), float(low), float(high)


def _band(x: Array, values: Array) -> Band:
    """Quantiles along the first axis of (repetitions, points); NaN where any repetition is."""
    low, median, high = np.quantile(values, [0.16, 0.5, 0.84], axis=0)
    return Band(x, median, low, high)
