"""CWoLa hunting: the signal region against strips beside it (1805.02664, 1902.02634)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .base import MIN_REGION, Array, ClassifierDetector, Mask, Training


class CWoLa(ClassifierDetector):
    """Events of the signal region against those of a strip on each side of it.

    The two strips have equal weight. Features that depend on m tell the strips from the region by
    themselves, which spoils the method; m itself is therefore no input.

    Parameters
    ----------
    signal_region : object
        See `Detector`.
    seed : int
        See `Detector`.
    random_state : int, optional
        See `Detector`.
    strip_width : float
        Of each strip, in TeV.
    classifier : object
        See `ClassifierDetector`.
    """

    def __init__(
        self,
        signal_region: Any = (3.3, 3.7),
        strip_width: float = 0.2,
        classifier: Any = None,
        seed: int = 0,
        random_state: int | None = None,
    ) -> None:
        self.signal_region = signal_region
        self.strip_width = strip_width
        self.classifier = classifier
        self.seed = seed
        self.random_state = random_state

    def _fit(self, data: Training) -> None:
        strips = self._strips(data.m)
        for side, strip in zip(("below", "above"), strips, strict=True):
            if strip.sum() < MIN_REGION:
                raise InputError(
                    f"the strip of {self.strip_width:g} TeV {side} the signal region holds"
                    f" {strip.sum()} events, training needs {MIN_REGION}: set strip_width"
                )
        both = strips[0] | strips[1]
        weights = np.where(strips[0], 1 / strips[0].sum(), 1 / strips[1].sum())[both]
        self._train_classifier(
            (data.X[data.inside], data.m[data.inside]), (data.X[both], data.m[both]), weights
        )

    def _reference(
        self,
        X: Array,
        m: Array,
        labels: NDArray[Any] | None,
        background: tuple[Array, Array] | None,
        seed: int,
    ) -> tuple[Array, Array]:
        """Events of the held-out strips, as many from each."""
        below, above = (np.flatnonzero(strip) for strip in self._strips(m))
        n = min(len(below), len(above))
        rows = np.concatenate([below[:n], above[:n]])
        return X[rows], m[rows]

    def _strips(self, m: Array) -> tuple[Mask, Mask]:
        return self.region_.strips(m, self.strip_width)
