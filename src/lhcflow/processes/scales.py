"""Choices of the renormalisation and factorisation scale."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .kinematics import mass_squared, transverse_momentum

NAMES = ("m_ll", "m_t", "ht", "ht/2")


class Scale:
    """A scale as a function of the event, or a fixed one.

    Parameters
    ----------
    choice : str or float
        ``"m_ll"``: mass of the lepton pair; ``"m_t"``: its transverse mass sqrt(m_ll^2 + pT^2); ``"ht"``:
        the transverse mass plus the transverse momenta of all jets; ``"ht/2"``: half of it; or a number
        of GeV.

    Raises
    ------
    InputError
        It is none of these.

    Examples
    --------
    >>> Scale("91.2"), Scale("ht/2")
    (Scale(91.2), Scale('ht/2'))
    """

    def __init__(self, choice: str | float) -> None:
        try:
            self.choice: str | float = float(choice)
        except (TypeError, ValueError):
            self.choice = str(choice).lower()
        known = self.choice in NAMES if isinstance(self.choice, str) else 0 < self.choice < np.inf
        if not known or isinstance(choice, bool):
            raise InputError(f"the scale must be a number of GeV, {', '.join(NAMES)}; got {choice!r}")

    def __call__(self, momenta: np.ndarray, leptons: list[int], jets: list[int]) -> np.ndarray:
        """The scale (n,) in GeV for `momenta` (n, particles, 4) with leptons and jets at these positions."""
        if not isinstance(self.choice, str):
            return np.full(len(momenta), self.choice)
        boson = momenta[:, leptons].sum(axis=1)
        mass2 = np.maximum(mass_squared(boson), 1e-12)
        if self.choice == "m_ll":
            return np.sqrt(mass2)
        scale = np.sqrt(mass2 + transverse_momentum(boson) ** 2)
        if self.choice == "m_t":
            return scale
        scale = scale + transverse_momentum(momenta[:, jets]).sum(axis=1)
        return scale / 2 if self.choice == "ht/2" else scale

    def __str__(self) -> str:
        return self.choice if isinstance(self.choice, str) else f"{self.choice:g}"

    def __repr__(self) -> str:
        return f"Scale({self.choice!r})"
