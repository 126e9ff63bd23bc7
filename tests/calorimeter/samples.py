"""Showers for tests: numbers that are the same on every machine, and real ones."""

from pathlib import Path

import numpy as np

from lhcflow.calorimeter import Geometry, Showers, read_showers

DATA = Path(__file__).parent / "data"


def hashed_showers(geometry: Geometry, n: int, seed: int = 0) -> Showers:
    """Showers from an integer hash: exact, and independent of numpy's generators.

    Shower 0 is empty, shower 1 has nothing in its first layer, 60 % of all voxels are empty.
    """
    k = np.arange(n * geometry.voxels, dtype=np.uint64) + np.uint64(10**9 * seed + 1)
    with np.errstate(over="ignore"):
        for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
            k = (k ^ (k >> np.uint64(30))) * np.uint64(factor)
    u = (k >> np.uint64(40)).astype(np.float64).reshape(n, geometry.voxels) / 2**24
    voxels = np.where(u > 0.6, 1e4 * (u - 0.6) ** 3, 0.0)
    if n > 1:
        voxels[0] = 0.0
        voxels[1, geometry.layers[0].slice] = 0.0
    unit = geometry.energy_unit
    energy = (1.0 + voxels.sum(axis=1) * 1.2 + 50.0 * np.arange(n)) / unit
    return Showers(geometry, energy, voxels)


def electrons() -> Showers:
    """150 e+ showers in the CaloGAN geometry (Geant4, data-free physics)."""
    return read_showers(DATA / "e+.h5")


def photons() -> Showers:
    """150 photon showers in the CaloGAN geometry (Geant4, data-free physics)."""
    return read_showers(DATA / "gamma.h5")
