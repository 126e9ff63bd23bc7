"""What the detectors share that learn the density of the background in the sidebands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from ...classifiers.ensemble import NotTrainedError
from ...errors import InputError
from ..density import ConditionalDensity
from ..limits import Limits
from ..mass import MassDensity
from .base import MIN_SIDEBAND, Array, Detector, Training

_REFERENCE, _LEAST_REFERENCE, _MOST_REFERENCE = 20, 20_000, 200_000
"""Reference events per held-out event of the signal region, and their limits: the cut's own error is then a
fifth of that of the events behind it."""


class GenerativeDetector(Detector):
    """A detector with p(x | m) of the background, learned in the sidebands, and p(m) in the signal region.

    Parameters
    ----------
    density : object
        A `ConditionalDensity`, of which a copy is trained; the default one if None.
        A trained one inside scikit-learn's ``FrozenEstimator`` is taken as it is, so that several detectors
        can share it.

    Attributes
    ----------
    density_ : ConditionalDensity
        The trained density p(x | m) of the background.
    mass_ : MassDensity
        The `MassDensity` of the signal region.
    """

    density: Any

    def sample_mass(self, n: int, seed: int | None = None) -> Array:
        """Draw ``n`` masses (n,) in TeV from the spectrum in the signal region."""
        self._check_trained()
        return self.mass_.sample(n, self._sampling(seed, 10))

    def sample(self, n: int, m: ArrayLike | None = None, seed: int | None = None) -> Array:
        """Draw features (n, features) of the background.

        Parameters
        ----------
        m : array_like, optional
            Masses (n,) in TeV, or one for all; those of ``sample_mass(n, seed)`` if None.
        seed : int, optional
            That of the detector if None: the same call then gives the same events.
        """
        self._check_trained()
        mass = self.sample_mass(n, seed) if m is None else np.asarray(m, float)
        if mass.shape not in ((), (n,)) or not np.isfinite(mass).all():
            raise InputError(f"m must be finite, one number or of shape ({n},), got shape {mass.shape}")
        return self.density_.sample(np.broadcast_to(mass, (n,)), self._sampling(seed, 11))

    def _train_background(self, data: Training) -> None:
        outside = ~data.inside
        if outside.sum() < MIN_SIDEBAND:
            raise InputError(f"the sidebands hold {outside.sum()} events, training needs {MIN_SIDEBAND}")
        # The outermost values of all events: none of them may fall off the edge of the density.
        limits = Limits(data.X, data.m)
        self.density_ = self._density(2).fit(data.X[outside], data.m[outside], limits)
        self.mass_ = MassDensity(data.m[data.inside], self.region_)

    def _density(self, stream: int, thaw: bool = False) -> Any:
        """A fresh density estimator, or the frozen one; with ``thaw`` one that begins from scratch."""
        given: Any = ConditionalDensity() if self.density is None else clone(self.density)
        if "seed" not in given.get_params(deep=False):
            if not thaw:
                return given
            given = clone(given.estimator)
        if thaw and "start" in given.get_params(deep=False):
            given.set_params(start=None)  # it is a density of the sidebands
        return given.set_params(seed=self._seed(stream))

    def _reference(
        self,
        X: Array,
        m: Array,
        labels: NDArray[Any] | None,
        background: tuple[Array, Array] | None,
        seed: int,
    ) -> tuple[Array, Array]:
        drawn = np.random.SeedSequence((self._seed(12), seed)).generate_state(1)[0] >> 1
        n = _REFERENCE * int(np.count_nonzero(self.region_.contains(m)))
        n = min(max(n, _LEAST_REFERENCE), _MOST_REFERENCE)
        mass = self.sample_mass(n, int(drawn))
        return self.sample(n, mass, int(drawn)), mass

    def _check_trained(self) -> None:
        if not hasattr(self, "mass_"):
            raise NotTrainedError(f"this {type(self).__name__} is not trained yet: call fit first")

    def _sampling(self, seed: int | None, stream: int) -> np.random.Generator:
        if seed is None:
            return self._rng(stream)
        return np.random.default_rng(np.random.SeedSequence((seed, stream)))
