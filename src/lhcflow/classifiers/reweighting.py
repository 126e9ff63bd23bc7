"""Weights that make generated events follow the real ones (DCTR, 1907.08209)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .classifier_test import CALOFLOW, Recipe, Sample, as_rows, scores, train_classifier
from .ensemble import one_column

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reweighting:
    """Weights of generated events.

    Attributes
    ----------
    weights : Array
        (n,), with mean 1.
    effective_sample_size : float
        ``(sum w)^2 / sum w^2``: so many unweighted events are worth as much.
    """

    weights: Array
    effective_sample_size: float

    @property
    def efficiency(self) -> float:
        """Effective sample size over the number of events."""
        return self.effective_sample_size / len(self.weights)

    def to_dict(self) -> dict[str, Any]:
        """Numbers for a result file."""
        return {
            "events": len(self.weights),
            "effective_sample_size": self.effective_sample_size,
            "efficiency": self.efficiency,
            "largest_weight": float(self.weights.max()),
        }


def effective_sample_size(weights: ArrayLike) -> float:
    """Kish's effective sample size of ``weights``, (n,) or (n, 1).

    Examples
    --------
    >>> effective_sample_size([1.0, 1.0, 0.0, 0.0])
    2.0
    """
    w = np.asarray(one_column(weights), float)
    if w.ndim != 1 or not np.isfinite(w).all() or not (square := float((w**2).sum())) > 0:
        raise InputError("weights need shape (n,), finite values, and not all of them 0")
    return float(w.sum() ** 2 / square)


def reweight(
    real: Sample,
    generated: Sample,
    recipe: Recipe = CALOFLOW,
    *,
    folds: int = 2,
    seed: int = 0,
    device: str | None = None,
    progress: bool = False,
) -> Reweighting:
    """Weight generated events by the odds of calibrated classifiers.

    Each event gets its weight from a classifier that has not seen it: the samples are cut into ``folds``
    parts, and the events of a part are weighted by the classifier that the other parts trained. Of these,
    the recipe's second share (in proportion to the first two) calibrates.

    Parameters
    ----------
    real, generated : Sample
        Arrays (n, dim), or `Rows`; they may differ in size.
    recipe : Recipe
        As for `classifier_test`.
    seed : int
        As for `classifier_test`.
    device : str, optional
        As for `classifier_test`.
    folds : int
        At least 2.

    Notes
    -----
    Odds are smooth in the score (`odds`) and never infinite. Where
    real events lie and generated ones never do, no weight can help.
    """
    a, b = as_rows(real), as_rows(generated)
    if folds < 2:
        raise InputError(f"reweighting needs folds >= 2, got {folds}")
    if min(len(a), len(b)) < 20 * folds:
        raise InputError(f"{folds} folds need {20 * folds} events per sample, got {len(a)} and {len(b)}")
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0xDC7)))
    parts = [torch.from_numpy(rng.permutation(len(x))).tensor_split(folds) for x in (a, b)]
    share = recipe.split[0] / (recipe.split[0] + recipe.split[1])
    weights = np.empty(len(b))
    for fold in range(folds):
        train, choose = [], []
        for part in parts:
            others = torch.cat([p for k, p in enumerate(part) if k != fold])
            others = others[torch.from_numpy(rng.permutation(len(others)))]
            cut = int(share * len(others))
            train.append(others[:cut])
            choose.append(others[cut:])
        start = int(rng.integers(2**31))
        classifier = train_classifier(
            a, b, (train[0], train[1]), (choose[0], choose[1]), recipe, start, device, progress
        )
        held = parts[1][fold]
        odds = classifier.calibration.odds(scores(classifier.model, b, held))
        # Each fold has its own calibration and its own class sizes.
        weights[held.numpy()] = odds / odds.mean()
    return Reweighting(weights, effective_sample_size(weights))
