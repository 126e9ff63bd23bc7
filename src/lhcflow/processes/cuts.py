"""Cuts on the outgoing partons."""

from dataclasses import asdict, dataclass
from itertools import combinations
from math import sqrt
from typing import ClassVar

import numpy as np

from ..arguments import positive
from ..errors import InputError
from .kinematics import invariant
from .named_cuts import NamedCuts


@dataclass(frozen=True)
class Cuts(NamedCuts):
    """Cuts on every pair of outgoing quarks and gluons; those given must all be passed.

    Attributes
    ----------
    durham : float, optional
        Durham y_cut: 2 min(E_i, E_j)^2 (1 - cos theta_ij) > y_cut s (Phys. Lett. B269 (1991) 432).
    jade : float, optional
        JADE y_cut: 2 E_i E_j (1 - cos theta_ij) > y_cut s (Z. Phys. C33 (1986) 23).
    min_mass : float, optional
        Invariant mass of the pair in GeV: m_ij > min_mass.

    Notes
    -----
    Energies and angles are those in the centre-of-mass frame, s is the squared energy there.

    Raises
    ------
    InputError
        A value is not a positive number.
    """

    example: ClassVar[str] = "durham=0.01"

    durham: float | None = None
    jade: float | None = None
    min_mass: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            positive(value, f"the cut {name}")

    def card(self) -> dict[str, float]:
        """The cuts in use by name, as they stand in a run card."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __call__(self, partons: np.ndarray) -> np.ndarray:
        """Which events pass.

        Parameters
        ----------
        partons : array (n, particles, 4)
            All outgoing particles in their centre-of-mass frame, massless, GeV.

        Returns
        -------
        ndarray
            Array (n,) of bool
        """
        passed = np.ones(len(partons), dtype=bool)
        energy = partons[..., 0].sum(axis=1)
        for i, j in combinations(range(partons.shape[1]), 2):
            mass2 = invariant(partons[:, i], partons[:, j])
            if self.jade is not None:
                passed &= mass2 > self.jade * energy**2
            if self.min_mass is not None:
                passed &= mass2 > self.min_mass**2
            if self.durham is not None:
                e_i, e_j = partons[:, i, 0], partons[:, j, 0]
                larger, smaller = np.maximum(e_i, e_j), np.minimum(e_i, e_j)
                passed &= mass2 * smaller > self.durham * energy**2 * larger
        return passed

    def min_invariant(self, sqrt_s: float) -> float:
        """A lower bound of s_ij / s that the cuts imply for massless particles at energy `sqrt_s`."""
        durham, jade, mass = (0.0 if v is None else v for v in (self.durham, self.jade, self.min_mass))
        return max(durham, jade, (mass / sqrt_s) ** 2)

    def dalitz_range(self, y: np.ndarray, sqrt_s: float) -> tuple[np.ndarray, np.ndarray]:
        """The range of s_13 / s left to three massless particles with s_23 / s = `y`.

        Parameters
        ----------
        y : array (n,)
            In (0, 1).
        sqrt_s : float
            Centre-of-mass energy, GeV.

        Returns
        -------
        low, high : arrays (n,)
            What passes is the interval between them; low > 0, and none passes where high <= low.
        """
        jade, mass = (0.0 if v is None else v for v in (self.jade, self.min_mass))
        bound = max(jade, mass**2 / sqrt_s**2, 1e-12)
        low = np.where(y > bound * (1 - 1e-9), bound, np.inf)
        high = 1 - y - bound
        if self.durham is not None:
            # Energies are x1 = 1 - y, x2 = 1 - z, x3 = y + z for z = s_13 / s; each pair gives two
            # inequalities, linear or quadratic in z, such as y x2 > c x3 and y x3 > c x2.
            c, x = self.durham, 1 - y
            lows = [low, (c - y * y) / (y + c), (np.sqrt(y * y + 4 * c * x) - y) / 2]
            rest = np.where(x > c, x - c, np.nan)
            lows.append(np.nan_to_num(c * y / rest, nan=np.inf))
            highs = [high, y * (1 - c) / (y + c), np.nan_to_num((x * x - c) / rest, nan=0.0)]
            highs.append((1 + x - np.sqrt((1 + x) ** 2 - 4 * x * (1 - c))) / 2)
            low, high = np.max(lows, axis=0), np.min(highs, axis=0)
        none = ~np.isfinite(low)
        return np.where(none, 1.0, low), np.where(none, 0.0, high)

    def check(self, particles: int, sqrt_s: float) -> None:
        """Refuse cuts that no event of `particles` massless particles passes at energy `sqrt_s`.

        Raises
        ------
        InputError
            The pairs' invariants add up to s, so the smallest cannot exceed s over the number of pairs.
        """
        pairs = particles * (particles - 1) // 2
        if self.min_invariant(sqrt_s) * pairs >= 1:
            raise InputError(
                f"the cuts {self.card()} leave no phase space: with {particles} particles at {sqrt_s:g} GeV "
                f"y_cut must be below {1 / pairs:.4g} and min_mass below {sqrt_s / sqrt(pairs):.4g} GeV"
            )
