"""Voxel geometries: layers of rectangular cells or of rings and sectors, one behind the other."""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]
# Sectors of a layer: data set 3 of the CaloChallenge has 50. More are a mistake that would fill the memory.
_MOST_SECTORS = 10_000


@dataclass(frozen=True)
class Layer:
    """One layer of a calorimeter.

    Attributes
    ----------
    id : int
        Number of the layer in the detector.
    edges : bin edges of the two axes of the layer's array, slow axis first. Polar: ``alpha`` in rad
        (from -pi to pi) and ``r`` in mm. Cartesian: ``phi`` and ``eta`` in mm.
    polar : bool
        Whether the cells are sectors of rings.
    start : int
        Index of the layer's first voxel in the flat array of all voxels.
    """

    id: int
    edges: tuple[tuple[float, ...], tuple[float, ...]]
    polar: bool
    start: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along the two axes: (alpha, r) or (phi, eta)."""
        return len(self.edges[0]) - 1, len(self.edges[1]) - 1

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1]

    @property
    def slice(self) -> slice:
        """Where the layer's voxels stand in the flat array."""
        return slice(self.start, self.start + self.size)

    @cached_property
    def eta(self) -> Array:
        """Positions (size,) of the voxel centres along eta in mm; polar: r cos(alpha)."""
        slow, fast = self._centres
        return fast * np.cos(slow) if self.polar else fast

    @cached_property
    def phi(self) -> Array:
        """Positions (size,) of the voxel centres along phi in mm; polar: r sin(alpha)."""
        slow, fast = self._centres
        return fast * np.sin(slow) if self.polar else slow

    @cached_property
    def r(self) -> Array:
        """Distances (size,) of the voxel centres from the axis in mm; polar: the middle of the ring."""
        return self._centres[1] if self.polar else np.hypot(self.eta, self.phi)

    @property
    def has_directions(self) -> bool:
        """Whether eta and phi say something: not for a polar layer of full rings."""
        return not self.polar or self.shape[0] > 1

    @cached_property
    def _centres(self) -> tuple[Array, Array]:
        slow, fast = (0.5 * (np.array(e[1:]) + np.array(e[:-1])) for e in self.edges)
        return np.repeat(slow, len(fast)), np.tile(fast, len(slow))


@dataclass(frozen=True)
class Geometry:
    """The voxels of a calorimeter.

    Attributes
    ----------
    name : str
        Such as "calogan" or "ds1-photons".
    layers : tuple of Layer
        In the order of depth; their voxels stand one after the other in flat arrays.
    format : {"calogan", "calochallenge"}
        Of the files: "calogan" (`layer_0`, ..., incident energy in GeV) or "calochallenge" (`showers`,
        incident energy in MeV).
    threshold : float
        Energy in MeV below which a voxel counts as empty in the metrics.
    """

    name: str
    layers: tuple[Layer, ...]
    format: Literal["calogan", "calochallenge"]
    threshold: float = 0.0

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return sum(layer.size for layer in self.layers)

    @property
    def slices(self) -> list[slice]:
        """Where each layer's voxels stand in the flat array."""
        return [layer.slice for layer in self.layers]

    @property
    def energy_unit(self) -> float:
        """MeV per unit of the incident energy: 1000 for the CaloGAN format (GeV), 1 for CaloChallenge."""
        return 1000.0 if self.format == "calogan" else 1.0

    @property
    def unit_name(self) -> str:
        """Unit of the incident energy."""
        return "GeV" if self.format == "calogan" else "MeV"

    def __str__(self) -> str:
        return f"{self.name} ({len(self.layers)} layers, {self.voxels} voxels)"


def polar_layers(
    r_edges: Sequence[Sequence[float]], alpha_bins: Sequence[int], ids: Sequence[int]
) -> tuple[Layer, ...]:
    """Layers of rings and sectors: r in mm, sectors of equal size from -pi to pi."""
    edges = [
        (tuple(np.linspace(-math.pi, math.pi, a + 1).tolist()), tuple(float(x) for x in r))
        for r, a in zip(r_edges, alpha_bins, strict=True)
    ]
    return _placed(ids, edges, polar=True)


def cartesian_layers(shapes: Sequence[tuple[int, int]], half_width: float) -> tuple[Layer, ...]:
    """Layers of equal cells over +-half_width mm, ``(phi, eta)`` of them."""
    edges = [
        tuple(tuple(np.linspace(-half_width, half_width, n + 1).tolist()) for n in shape) for shape in shapes
    ]
    return _placed(range(len(edges)), edges, polar=False)  # type: ignore[arg-type]


def read_xml(
    path: str | os.PathLike[str], particle: str | None = None, threshold: float = 0.0, name: str | None = None
) -> Geometry:
    """Read a geometry in the XML format of the CaloChallenge (2410.21611).

    ``<Bins><Bin name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>...``; layers without rings
    (one edge) have no voxels and are left out.

    Parameters
    ----------
    path : path
        The file.
    particle : str, optional
        Name of the ``Bin`` to take; may be left out if there is one only.
    threshold : float
        See `Geometry`.
    name : str, optional
        Of the geometry; the file's if None.

    Raises
    ------
    InputError
        If the file is missing, is no such XML, or has no such particle.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"{path} is not XML: {error}") from None
    bins = {b.get("name", ""): b for b in root.iter("Bin")}
    if not bins:
        raise InputError(f"{path} holds no <Bin>: it is no CaloChallenge geometry")
    if particle is None and len(bins) > 1:
        raise InputError(f"{path} holds {', '.join(bins)}: say which particle")
    chosen = bins.get(next(iter(bins)) if particle is None else particle)
    if chosen is None:
        raise InputError(f"{path} has no particle {particle!r}, but {', '.join(bins)}")
    ids, r_edges, alpha_bins = [], [], []
    for number, layer in enumerate(chosen.iter("Layer")):
        try:
            edges = [float(x) for x in layer.attrib["r_edges"].split(",")]
            sectors = int(layer.attrib["n_bin_alpha"])
            identity = int(layer.attrib["id"])
        except (KeyError, ValueError):
            raise InputError(f"{path}: layer {number} needs id, r_edges and n_bin_alpha as numbers") from None
        if len(edges) > 1:
            # NaN fails both comparisons.
            if not (edges[0] >= 0 and all(a < b < math.inf for a, b in pairwise(edges))):
                raise InputError(f"{path}: layer {identity} needs growing r_edges >= 0 in mm")
            if not 1 <= sectors <= _MOST_SECTORS:
                raise InputError(f"{path}: layer {identity} needs n_bin_alpha from 1 to {_MOST_SECTORS:,}")
            ids.append(identity)
            r_edges.append(edges)
            alpha_bins.append(sectors)
    if not ids:
        raise InputError(f"{path} has no layer with voxels")
    layers = polar_layers(r_edges, alpha_bins, ids)
    stem = os.path.splitext(os.path.basename(os.fspath(path)))[0]
    return Geometry(name or stem, layers, "calochallenge", threshold)


def _placed(
    ids: Sequence[int], edges: Sequence[tuple[tuple[float, ...], tuple[float, ...]]], polar: bool
) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for identity, pair in zip(ids, edges, strict=True):
        layers.append(Layer(identity, pair, polar, layers[-1].slice.stop if layers else 0))
    return tuple(layers)
