"""Improvement curves of scores, with bands, and histograms of scores and features for figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from ..metrics import MAX_RELATIVE_ERROR, Band, Roc, roc, sic_band
from .spectrum import Array

FPR = 1e-3
"""Background efficiency at which improvements are quoted."""

_GRID = np.linspace(0.02, 1.0, 99)


@dataclass(frozen=True, eq=False)
class Improvement:
    """How well a score separates labelled signal from background in the signal region.

    Attributes
    ----------
    band : Band
        Significance improvement against the signal efficiency, NaN where the background efficiency is not
        known to 20 %. Over several curves median and 68 % band; of one curve its statistical error.
    auc, max_sic : float
        Area under the ROC curve, and largest improvement; medians.
    auc_error, max_sic_error : float
        Their statistical errors, or half of the band over the curves if that is wider.
    sic, sic_error : float
        Improvement at a background efficiency of 1e-3, and its statistical error, or half of the band over
        the curves if that is wider.
    signal, background : int
        Numbers of events of one curve.
    """

    band: Band
    auc: float
    auc_error: float
    max_sic: float
    max_sic_error: float
    sic: float
    sic_error: float
    signal: int
    background: int


def improvement(scores: Sequence[ArrayLike], label: ArrayLike) -> Improvement:
    """Compare scores (n,), higher for signal, with labels (n,).

    Parameters
    ----------
    scores : sequence of array_like
        Of one or several trainings.
    label : array_like
        1 for signal and 0 for background.
    """
    if not scores:
        raise InputError("there are no scores to compare with the labels")
    curves = [roc(score, label) for score in scores]
    at = [curve.sic_at(FPR) for curve in curves]
    value, error = _median([a[0] for a in at], [a[1] for a in at])
    band = _statistical(curves[0]) if len(curves) == 1 else sic_band(curves, _GRID)
    return Improvement(
        band,
        *_median([curve.auc for curve in curves], [curve.auc_error for curve in curves]),
        *_median([curve.max_sic() for curve in curves], [curve.max_sic_error() for curve in curves]),
        value,
        error,
        curves[0].signal,
        curves[0].background,
    )


def _median(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Median and its error: half of the central 68 %, at least the statistical one."""
    low, value, high = (float(v) for v in np.quantile(values, [0.16, 0.5, 0.84]))
    return value, max((high - low) / 2, float(np.median(errors)))


def _statistical(curve: Roc) -> Band:
    fpr = np.maximum(np.interp(_GRID, curve.tpr, curve.fpr), 1e-300)
    relative = np.sqrt((1 - fpr) / (curve.background * fpr))
    sic = np.where(relative < MAX_RELATIVE_ERROR, _GRID / np.sqrt(fpr), np.nan)
    error = sic * np.sqrt((1 - _GRID) / (curve.signal * _GRID) + 0.25 * relative**2)
    return Band(_GRID, sic, sic - error, sic + error)


def score_histogram(efficiency: ArrayLike, edges: ArrayLike) -> Array:
    """Counts (bins,) of -log10 of background efficiencies (n,); what passes all lies in the last bin."""
    edges = np.asarray(edges, float)
    with np.errstate(divide="ignore"):
        x = -np.log10(np.asarray(efficiency, float))
    return np.histogram(np.clip(x, edges[0], np.nextafter(edges[-1], edges[0])), edges)[0].astype(float)


def feature_edges(x: ArrayLike, bins: int = 30) -> Array:
    """Equal bins (bins + 1,) over the central 99.8 % of values (n,)."""
    low, high = np.quantile(np.asarray(x, float), [0.001, 0.999])
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)
