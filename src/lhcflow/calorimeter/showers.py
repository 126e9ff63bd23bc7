"""Showers in memory: incident energies and the energies in all voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .geometry import Geometry

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Showers:
    """A sample of showers.

    Attributes
    ----------
    geometry : Geometry
        Of the voxels.
    energy : Array
        Incident energies (n,), in the unit of the geometry's file format: GeV for CaloGAN, MeV for
        CaloChallenge.
    voxels : Array
        Deposited energies (n, voxels) in MeV, layer by layer (``geometry.slices``).
    overflow : Array or None
        Energies (n, layers) in MeV that left the sides of each layer, where the file has them.

    Raises
    ------
    InputError
        If the shapes do not fit together, or for anything else than numbers.
    """

    geometry: Geometry
    energy: Array
    voxels: Array
    overflow: Array | None = None

    def __post_init__(self) -> None:
        for name in ("energy", "voxels", "overflow"):
            value = getattr(self, name)
            if value is not None or name != "overflow":
                object.__setattr__(self, name, _numbers(value, name))
        n, expected = len(np.atleast_1d(self.energy)), self.geometry.voxels
        if self.energy.ndim != 1:
            raise InputError(f"showers need energies of shape (n,), got {self.energy.shape}")
        if self.voxels.shape != (n, expected):
            raise InputError(
                f"showers in {self.geometry} need voxels of shape ({n}, {expected}), got {self.voxels.shape}"
            )
        if self.overflow is not None and self.overflow.shape != (n, len(self.geometry.layers)):
            raise InputError(
                f"showers need an overflow of shape ({n}, {len(self.geometry.layers)}), "
                f"got {self.overflow.shape}"
            )

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Showers:
        """Some of the showers; a slice shares their memory, an array of indices or booleans copies."""
        overflow = None if self.overflow is None else self.overflow[rows]
        return Showers(self.geometry, self.energy[rows], self.voxels[rows], overflow)

    @property
    def energy_mev(self) -> NDArray[np.float64]:
        """Incident energies (n,) in MeV."""
        return self.energy.astype(np.float64) * self.geometry.energy_unit

    def layer(self, number: int) -> Array:
        """Voxels (n, slow, fast) of a layer, counted from 0, as its array: a view."""
        layer = self.geometry.layers[number]
        return self.voxels[:, layer.slice].reshape(len(self), *layer.shape)

    def layer_energies(self) -> NDArray[np.float64]:
        """Energies (n, layers) in MeV, summed over the voxels of each layer."""
        starts = [layer.start for layer in self.geometry.layers]
        return np.add.reduceat(self.voxels, starts, axis=1, dtype=np.float64)

    def cut(self, threshold: float | None = None) -> Showers:
        """Showers with the voxels below a threshold in MeV set to zero (a copy).

        The geometry's own threshold if None.
        """
        limit = self.geometry.threshold if threshold is None else threshold
        voxels = self.voxels.copy()
        voxels[voxels < limit] = 0.0
        return Showers(self.geometry, self.energy, voxels, self.overflow)


def _numbers(value: Any, name: str) -> Array:
    """An array of floating-point numbers; lists and integers are converted, others stay what they are."""
    try:
        array = np.asarray(value)
        return array if array.dtype.kind == "f" else array.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError):
        raise InputError(f"the {name} of showers must be numbers, got a {type(value).__name__}") from None


def concatenate(parts: Sequence[Showers]) -> Showers:
    """Samples of one geometry, one after the other; the overflow only if all have it."""
    if not parts:
        raise InputError("there are no showers to concatenate")
    if any(p.geometry != parts[0].geometry for p in parts):
        raise InputError("showers of different geometries can't be one sample")
    overflow = [p.overflow for p in parts if p.overflow is not None]
    return Showers(
        parts[0].geometry,
        np.concatenate([p.energy for p in parts]),
        np.concatenate([p.voxels for p in parts]),
        np.concatenate(overflow) if len(overflow) == len(parts) else None,
    )
