"""LaCATHODE: CATHODE's classifier in the latent space of the flow (2210.14924)."""

from __future__ import annotations

from typing import Any

from .base import Array, ClassifierDetector, Training
from .cathode import drawn_events
from .generative import GenerativeDetector


class LaCathode(ClassifierDetector, GenerativeDetector):
    """Latent variables of the events in the signal region against the flow's normal distribution.

    The flow takes the dependence on m out of the features: what is known about background at one mass
    holds at all of them, and a cut does not sculpt the spectrum.

    Parameters
    ----------
    signal_region : object
        See `Detector`.
    seed : int
        See `Detector`.
    random_state : int, optional
        See `Detector`.
    density : object
        See `GenerativeDetector`.
    classifier : object
        See `ClassifierDetector`.
    use_mass : bool
        See `ClassifierDetector`.
    oversampling : float
        Number of drawn latent points per event in the signal region.
    """

    def __init__(
        self,
        signal_region: Any = (3.3, 3.7),
        density: Any = None,
        classifier: Any = None,
        oversampling: float = 4.0,
        use_mass: bool = False,
        seed: int = 0,
        random_state: int | None = None,
    ) -> None:
        self.signal_region = signal_region
        self.density = density
        self.classifier = classifier
        self.oversampling = oversampling
        self.use_mass = use_mass
        self.seed = seed
        self.random_state = random_state

    def _fit(self, data: Training) -> None:
        n = drawn_events(self.oversampling, int(data.inside.sum()))
        self._train_background(data)
        X, m = data.X[data.inside], data.m[data.inside]
        normal = self._rng(4).standard_normal((n, X.shape[1]))
        self._train_classifier(
            (self.density_.transform(X, m), m), (normal, self.mass_.sample(n, self._rng(3)))
        )

    def _score(self, X: Array, m: Array) -> Array:
        return super()._score(self.density_.transform(X, m), m)
