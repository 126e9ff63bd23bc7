"""The energy of the colliding leptons: fixed, with a spread, or scanned over the Z peak."""

from dataclasses import dataclass
from math import atan, inf
from numbers import Real
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from ..errors import InputError


class Beams(Protocol):
    """Turns `dim` unit-cube coordinates into the energies of the two beams.

    `energy` is the nominal and `highest` the largest centre-of-mass energy in GeV.
    """

    @property
    def energy(self) -> float: ...
    @property
    def highest(self) -> float: ...
    @property
    def dim(self) -> int: ...
    def sample(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energies of the first and second beam (n,) in GeV and the weight (n,), for `u` (n, dim).

        The mean of the weight times a cross section is the cross section averaged over the beams.
        """
        ...


def check_energy(name: str, value: object) -> None:
    """Refuse what is no positive number of GeV (InputError); `name` stands in the message."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < inf:
        raise InputError(f"{name} must be a positive number of GeV, got {value!r}")


@dataclass(frozen=True)
class FixedEnergy:
    """Both beams carry half of the centre-of-mass energy `energy` (GeV)."""

    energy: float

    def __post_init__(self) -> None:
        check_energy("the energy", self.energy)

    @property
    def dim(self) -> int:
        return 0

    @property
    def highest(self) -> float:
        return self.energy

    def sample(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        half = np.full(len(u), self.energy / 2)
        return half, half, np.ones(len(u))


@dataclass(frozen=True)
class GaussianSpread:
    """Each beam's energy varies by itself, as a Gaussian cut at five standard deviations.

    Attributes
    ----------
    energy : float
        Nominal centre-of-mass energy, GeV.
    spread : float
        Standard deviation of a beam's energy relative to it, at most 0.1.
    """

    energy: float
    spread: float

    def __post_init__(self) -> None:
        check_energy("the energy", self.energy)
        if isinstance(self.spread, bool) or not isinstance(self.spread, Real) or not 0 < self.spread <= 0.1:
            raise InputError(f"the relative energy spread must be in (0, 0.1], got {self.spread!r}")

    @property
    def dim(self) -> int:
        return 2

    @property
    def highest(self) -> float:
        return self.energy * (1 + 5 * self.spread)

    def sample(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        outside = ndtr(-5.0)
        deviation = ndtri(outside + u * (1 - 2 * outside))
        beams = self.energy / 2 * (1 + self.spread * deviation)
        return beams[:, 0], beams[:, 1], np.ones(len(u))


@dataclass(frozen=True)
class EnergyScan:
    """Centre-of-mass energies spread evenly over [`lowest`, `highest`] (GeV).

    The coordinate is mapped to a Breit-Wigner with mass `mass` and width `width` in s, which takes the
    Z lineshape out of the integrand; the cross section is the average over the range.
    """

    lowest: float
    highest: float
    mass: float = 91.188
    width: float = 2.441404

    def __post_init__(self) -> None:
        for name in ("lowest", "highest", "mass", "width"):
            check_energy(f"{name} of the energy scan", getattr(self, name))
        if self.lowest >= self.highest:
            raise InputError(f"the energy scan is empty: {self.lowest:g} to {self.highest:g} GeV")

    @property
    def energy(self) -> float:
        """The middle of the range."""
        return (self.lowest + self.highest) / 2

    @property
    def dim(self) -> int:
        return 1

    def sample(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        m2, mw = self.mass**2, self.mass * self.width
        low, high = (atan((e**2 - m2) / mw) for e in (self.lowest, self.highest))
        s = m2 + mw * np.tan(low + (high - low) * u[:, 0])
        energy = np.sqrt(np.clip(s, self.lowest**2, self.highest**2))
        ds_du = (high - low) * ((s - m2) ** 2 + mw**2) / mw
        return energy / 2, energy / 2, ds_du / (2 * energy * (self.highest - self.lowest))
