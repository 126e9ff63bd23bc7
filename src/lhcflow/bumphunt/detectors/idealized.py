"""The idealized anomaly detector: data against perfectly known background (2109.00546)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ...errors import InputError
from .base import MIN_REGION, Array, ClassifierDetector, Training


class IdealizedDetector(ClassifierDetector):
    """Events of the signal region against a sample of pure background from there.

    No method that has to learn its background can be expected to do better with the same classifier.

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
        background = self._inside(data.background)
        if len(background[0]) < MIN_REGION:
            raise InputError(
                f"the background sample has {len(background[0])} events in the signal region,"
                f" training needs {MIN_REGION}"
            )
        self._train_classifier((data.X[data.inside], data.m[data.inside]), background)

    def _reference(
        self,
        X: Array,
        m: Array,
        labels: NDArray[Any] | None,
        background: tuple[Array, Array] | None,
        seed: int,
    ) -> tuple[Array, Array]:
        return self._inside(background)

    def _inside(self, background: tuple[Array, Array] | None) -> tuple[Array, Array]:
        if background is None:
            raise InputError(
                "the idealized detector needs a background sample: fit(X, m, background=(X_b, m_b))"
            )
        X, m = background
        inside = self.region_.contains(m)
        return X[inside], m[inside]
