"""CATHODE: classify data against background drawn from a flow (2109.00546)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError
from .base import Array, ClassifierDetector, Training
from .generative import GenerativeDetector


class Cathode(ClassifierDetector, GenerativeDetector):
    """Events of the signal region against background interpolated from the sidebands.

    A conditional flow learns p(x | m) in the sidebands; it is sampled at masses drawn from a kernel
    density of the spectrum in the signal region; a classifier separates the data from these events. It sees
    the features as the flow does, between their `Limits`: a cut on Delta R
    itself would select masses, since its edge moves with m.

    Parameters
    ----------
    signal_region : object
        See `Detector`.
    seed : int
        See `Detector`.
    random_state : int, optional
        See `Detector`.
    density : object
        See `GenerativeDetector`; ``ConditionalDensity.maf()`` is the paper's.
    classifier : object
        See `ClassifierDetector`. Both classes have the same spectrum, so that m may be an input.
    use_mass : bool
        See `ClassifierDetector`. Both classes have the same spectrum, so that m may be an input.
    oversampling : float
        Number of drawn events per event in the signal region.

    Examples
    --------
    >>> from lhcflow.bumphunt import ConditionalDensity, Toy
    >>> from lhcflow.classifiers import TreeEnsemble
    >>> events = Toy().sample(background=4000, signal=100, seed=1)
    >>> detector = Cathode((3.3, 3.7), ConditionalDensity(epochs=2), TreeEnsemble(members=2), seed=0)
    >>> detector.fit(events.features, events.m).score(events.features, events.m).shape
    (4100,)
    >>> detector.sample(5, m=3.5).shape
    (5, 4)
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
        mass = self.mass_.sample(n, self._rng(3))
        drawn = self.density_.sample(mass, self._rng(4))
        X, m = data.X[data.inside], data.m[data.inside]
        self._train_classifier((self._relative(X, m), m), (self._relative(drawn, mass), mass))

    def _score(self, X: Array, m: Array) -> Array:
        return super()._score(self._relative(X, m), m)

    def _relative(self, X: Array, m: Array) -> Array:
        """Features (n, features) between their limits at each mass; what lies beyond goes there."""
        X = np.clip(X, *self.density_.limits_(m))
        return self.density_.preprocessing_.forward(X, m)[0]


def drawn_events(oversampling: float, n: int) -> int:
    """How many events are drawn for ``n`` events of data."""
    if not oversampling >= 0.1:
        raise InputError(f"oversampling must be at least 0.1, got {oversampling}")
    return round(oversampling * n)
