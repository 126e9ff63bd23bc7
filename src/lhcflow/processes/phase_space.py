"""Flat phase space: RAMBO on diet, and what every phase-space map offers."""

from math import factorial, pi
from typing import Protocol

import numpy as np

from ..errors import InputError
from .kinematics import boost, direction, mass_squared, to_rest_frame


class PhaseSpace(Protocol):
    """A map from the unit cube to the momenta of `n_final` massless particles at rest as a whole."""

    @property
    def n_final(self) -> int: ...

    @property
    def dim(self) -> int:
        """Number of unit-cube coordinates."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """What each coordinate stands for, as a label without dollar signs."""
        ...

    def generate(self, u: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Momenta (n, n_final, 4) in GeV for `u` (n, dim) and energies `sqrt_s` (n,)."""
        ...

    def density(self, momenta: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Density (n,) of the generated momenta with respect to phase space, GeV^(4 - 2 n_final).

        Phase space is prod d^3p / ((2 pi)^3 2E) (2 pi)^4 delta^4(P - sum p); a weight is 1 / density.
        """
        ...


def volume(n_final: int, sqrt_s: np.ndarray | float) -> np.ndarray:
    """Volume of the phase space of massless particles at energy `sqrt_s`, GeV^(2 n_final - 4).

    Source: Comput. Phys. Commun. 40 (1986) 359, eq. 2.13, with the factors (2 pi)^(4 - 3n).
    """
    s = np.asarray(sqrt_s, dtype=np.float64) ** 2
    gammas = factorial(n_final - 1) * factorial(n_final - 2)
    return (2 * pi) ** (4 - 3 * n_final) * (pi / 2) ** (n_final - 1) * s ** (n_final - 2) / gammas


class Rambo:
    """RAMBO on diet (1308.2922, section 3): flat phase space from exactly 3n - 4 coordinates, invertible.

    The first n - 2 coordinates are the invariant masses of the last 2, 3, ... particles, the others
    cos(theta) and phi of each two-body decay in its rest frame.

    Parameters
    ----------
    n_final : int
        Number of massless particles, at least 2.
    """

    def __init__(self, n_final: int) -> None:
        if n_final < 2:
            raise InputError(f"phase space needs at least two outgoing particles, got {n_final}")
        self.n_final = n_final

    @property
    def dim(self) -> int:
        return 3 * self.n_final - 4

    @property
    def variables(self) -> tuple[str, ...]:
        n = self.n_final
        masses = [f"m_{{{''.join(str(k) for k in range(i + 1, n + 1))}}}" for i in range(1, n - 1)]
        angles = [f"{angle}_{i}" for i in range(1, n) for angle in (r"\cos\theta", r"\phi")]
        return (*masses, *angles)

    def __repr__(self) -> str:
        return f"Rambo({self.n_final})"

    def generate(self, u: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Momenta (n, n_final, 4); arguments as in `PhaseSpace`."""
        n = self.n_final
        rest = np.zeros((len(u), 4))
        rest[:, 0] = sqrt_s
        mass = np.asarray(sqrt_s, dtype=np.float64)
        momenta = np.empty((len(u), n, 4))
        for i in range(n - 1):
            remaining = n - 1 - i  # particles in the recoiling system
            ratio = _solve_ratio(u[:, i], remaining) if remaining > 1 else np.zeros(len(u))
            angles = u[:, n - 2 + 2 * i : n + 2 * i]
            unit = direction(2 * angles[:, 0] - 1, 2 * pi * angles[:, 1])
            q = mass / 2 * (1 - ratio**2)  # momentum in the decay M -> massless + M ratio
            p = np.concatenate([q[:, None], q[:, None] * unit], axis=1)
            momenta[:, i] = boost(p, rest)
            recoil = np.concatenate([(mass / 2 * (1 + ratio**2))[:, None], -q[:, None] * unit], axis=1)
            rest = boost(recoil, rest)
            mass = mass * ratio
        momenta[:, n - 1] = rest
        return momenta

    def density(self, momenta: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """One over the volume of phase space, (n,)."""
        return np.broadcast_to(1 / volume(self.n_final, sqrt_s), (len(momenta),))

    def inverse(self, momenta: np.ndarray) -> np.ndarray:
        """The coordinates (n, dim) from which `generate` makes `momenta` (n, n_final, 4)."""
        n = self.n_final
        u = np.empty((len(momenta), self.dim))
        total = momenta.sum(axis=1)
        for i in range(n - 1):
            recoil = momenta[:, i + 1 :].sum(axis=1)
            remaining = n - 1 - i
            if remaining > 1:
                t = np.clip(mass_squared(recoil) / mass_squared(total), 0, 1)
                u[:, i] = t ** (remaining - 1) * (remaining - (remaining - 1) * t)
            p = to_rest_frame(momenta[:, i], total)
            u[:, n - 2 + 2 * i] = (1 + p[:, 3] / np.linalg.norm(p[:, 1:], axis=1)) / 2
            u[:, n - 1 + 2 * i] = np.arctan2(p[:, 2], p[:, 1]) / (2 * pi) % 1
            total = recoil
        return u


def _solve_ratio(u: np.ndarray, k: int) -> np.ndarray:
    """Mass ratio r with k t^(k-1) - (k-1) t^k = u for t = r^2: eq. 14 of 1308.2922."""
    if k == 2:
        return np.sqrt(u / (1 + np.sqrt(1 - u)))
    low, high = np.zeros_like(u), np.ones_like(u)
    t = u ** (1 / (k - 1))
    for _ in range(60):  # Newton, kept inside a shrinking bracket
        value = t ** (k - 1) * (k - (k - 1) * t) - u
        low, high = np.where(value < 0, t, low), np.where(value < 0, high, t)
        slope = k * (k - 1) * t ** (k - 2) * (1 - t)
        step = t - value / np.maximum(slope, 1e-300)
        new = np.where((step > low) & (step < high), step, (low + high) / 2)
        if np.max(np.abs(new - t), initial=0.0) < 1e-15:
            return np.sqrt(new)
        t = new
    return np.sqrt(t)
