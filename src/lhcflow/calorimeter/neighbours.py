"""Nearest neighbours of single showers: whether a generator has learned showers by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .showers import Showers

ENERGIES = (5.0, 10.0, 20.0, 50.0, 95.0)
"""Incident energies in GeV of the published figures (2106.05285)."""


@dataclass(frozen=True)
class Neighbour:
    """A real shower and the generated one nearest to it.

    Attributes
    ----------
    energy : float
        The wanted incident energy in GeV.
    real, generated : int
        Their numbers.
    distance : float
        Euclidean, of the voxels in MeV.
    """

    energy: float
    real: int
    generated: int
    distance: float


def nearest_neighbours(
    real: Showers, generated: Showers, energies: Sequence[float] = ENERGIES
) -> list[Neighbour]:
    """For each energy [GeV] the real shower next to it, and the generated one nearest to that in its voxels.

    Energies outside the range of the real showers are left out.
    """
    if real.geometry != generated.geometry:
        raise InputError(f"can't compare showers in {real.geometry} with showers in {generated.geometry}")
    incident = 1e-3 * real.energy_mev
    found = []
    for energy in energies:
        if not 0.9 * incident.min() <= energy <= 1.1 * incident.max():
            continue
        row = int(np.abs(incident - energy).argmin())
        target = real.voxels[row].astype(np.float32)
        step = max(4_000_000 // len(target), 1)
        squares = np.concatenate(
            [
                np.square(generated.voxels[start : start + step] - target).sum(axis=1)
                for start in range(0, len(generated), step)
            ]
        )
        best = int(squares.argmin())
        found.append(Neighbour(energy, row, best, float(np.sqrt(squares[best]))))
    return found
