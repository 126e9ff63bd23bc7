"""ANODE: the ratio of two densities (2001.04990)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Training
from .generative import GenerativeDetector


class Anode(GenerativeDetector):
    """Density of the data in the signal region over that of the background, both learned by flows.

    The first flow is trained inside the region, the second in the sidebands. The score is
    ``log p_in(x | m_c) - log p_out(x | m_c)`` with m_c the centre of the region, at all masses: the first
    knows nothing outside, and a score that depends on m only inside would shape the spectrum behind a cut.
    Features are taken relative to their `Limits` at the event's own mass.

    Parameters
    ----------
    signal_region : object
        See `Detector`.
    seed : int
        See `Detector`.
    random_state : int, optional
        See `Detector`.
    density : object
        Of both flows; see `GenerativeDetector`.

    Attributes
    ----------
    inside_ : ConditionalDensity
        The trained density of the signal region.
    """

    def __init__(
        self,
        signal_region: Any = (3.3, 3.7),
        density: Any = None,
        seed: int = 0,
        random_state: int | None = None,
    ) -> None:
        self.signal_region = signal_region
        self.density = density
        self.seed = seed
        self.random_state = random_state

    def _fit(self, data: Training) -> None:
        self._train_background(data)
        limits = self.density_.limits_
        self.inside_ = self._density(5, thaw=True).fit(data.X[data.inside], data.m[data.inside], limits)

    def _score(self, X: Array, m: Array) -> Array:
        centre = np.full(len(m), self.region_.centre)
        # Features between their limits at m, which may move with it, are compared with those at the centre.
        # Both have the same limits: beyond them the densities without their edge still compare.
        outside, log_det_outside = self.density_.preprocessing_.forward(X, m)
        inside, log_det_inside = self.inside_.preprocessing_.forward(X, m)
        ratio = self.inside_.latent_log_prob(inside, centre) - self.density_.latent_log_prob(outside, centre)
        finite = log_det_inside > -float("inf")
        ratio[finite] += log_det_inside[finite] - log_det_outside[finite]
        return ratio
