"""The classifier of true signal against true background: what labels would make possible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .base import Array, ClassifierDetector, Training

MIN_LABELLED = 10
"""Fewest labelled events of signal, and of background, with which a classifier is trained."""


class Supervised(ClassifierDetector):
    """Labelled signal against labelled background in the signal region.

    Parameters
    ----------
    signal_region : object
        See `Detector`.
    seed : int
        See `Detector`.
    random_state : int, optional
        See `Detector`.
    classifier : object
        See `ClassifierDetector`.
    use_mass : bool
        See `ClassifierDetector`.
    """

    def __init__(
        self,
        signal_region: Any = (3.3, 3.7),
        classifier: Any = None,
        use_mass: bool = False,
        seed: int = 0,
        random_state: int | None = None,
    ) -> None:
        self.signal_region = signal_region
        self.classifier = classifier
        self.use_mass = use_mass
        self.seed = seed
        self.random_state = random_state

    def _fit(self, data: Training) -> None:
        if data.labels is None:
            raise InputError("the supervised classifier needs labels: fit(X, m, labels)")
        signal, background = (data.inside & (data.labels == value) for value in (1, 0))
        for name, mask in (("signal", signal), ("background", background)):
            if mask.sum() < MIN_LABELLED:
                raise InputError(
                    f"the signal region holds {mask.sum()} labelled {name} events, {MIN_LABELLED} are needed"
                )
        self._train_classifier((data.X[signal], data.m[signal]), (data.X[background], data.m[background]))

    def _reference(
        self,
        X: Array,
        m: Array,
        labels: NDArray[Any] | None,
        background: tuple[Array, Array] | None,
        seed: int,
    ) -> tuple[Array, Array]:
        if labels is None:
            raise InputError("the background of the supervised classifier needs labels")
        known = self.region_.contains(m) & (np.asarray(labels) == 0)
        return X[known], m[known]
