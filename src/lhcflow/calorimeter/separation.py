"""Separation powers of feature histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .features import Feature, Features
from .geometry import Geometry
from .showers import Showers

Array = NDArray[np.float64]

# Ranges in mm of the official histograms of the CaloChallenge: data sets 2 and 3, the wide layers of the
# hadronic calorimeter in data set 1, its other layers.
_RANGES = {
    "centre_eta": ((-30.0, 30.0), (-500.0, 500.0), (-100.0, 100.0)),
    "centre_phi": ((-30.0, 30.0), (-500.0, 500.0), (-100.0, 100.0)),
    "width_eta": ((0.0, 30.0), (0.0, 400.0), (0.0, 100.0)),
    "width_phi": ((0.0, 30.0), (0.0, 400.0), (0.0, 100.0)),
    "centre_r": ((0.0, 42.0), (0.0, 1500.0), (0.0, 500.0)),
    "width_r": ((0.0, 20.0), (0.0, 1500.0), (0.0, 500.0)),
}
# Voxels that are histogrammed at once.
_CHUNK = 8_000_000
_WIDE = {12, 13}
_WIDE_R = {12, 13, 14}


def separation_power(real: ArrayLike, generated: ArrayLike, edges: ArrayLike) -> float:
    """Separation power of two samples, 0 for equal histograms and 1 for disjoint ones (2009.03796, eq. 15).

    ``1/2 sum (h1 - h2)^2 / (h1 + h2)`` of histograms with sum 1. Entries outside the edges are left out, as
    in the official code of the CaloChallenge.

    Parameters
    ----------
    real, generated : array_like
        Values (n,) and (m,).
    edges : array_like
        Bin edges (bins + 1,). The result depends on them, and grows with the number of bins over the number
        of entries: state both.

    Examples
    --------
    >>> separation_power([0.5, 0.5, 1.5], [0.5, 1.5, 1.5], [0, 1, 2])
    0.1111111111111111
    """
    a, b = (np.histogram(np.asarray(x, float).ravel(), edges)[0] for x in (real, generated))
    return _power(a, b)


@dataclass(frozen=True)
class Separation:
    """Separation power of one feature, and its histogram.

    Attributes
    ----------
    feature : Feature
        Which one.
    power : float
        See `separation_power`.
    edges : array
        Edges (bins + 1,) of the histogram.
    dropped : tuple of floats
        Shares of the real and of the generated entries that are outside the edges.
    """

    feature: Feature
    power: float
    edges: Array
    dropped: tuple[float, float]


@dataclass(frozen=True)
class SeparationTable:
    """Separation powers of all features, and of the energies of all voxels together."""

    features: tuple[Separation, ...]
    voxels: Separation

    def groups(self) -> dict[str, float]:
        """Mean over the layers, for each group of features, and "voxel"."""
        names = dict.fromkeys(s.feature.group for s in self.features)
        means = {g: float(np.mean([s.power for s in self.features if s.feature.group == g])) for g in names}
        return {**means, "voxel": self.voxels.power}

    def to_dict(self) -> dict[str, Any]:
        """Numbers for a result file: the mean of each group, and each feature with its binning."""
        table = {
            s.feature.name: {
                "power": s.power,
                "bins": len(s.edges) - 1,
                "low": float(s.edges[0]),
                "high": float(s.edges[-1]),
                "scale": "linear" if _is_linear(s.edges) else "log",
                "dropped": s.dropped,
            }
            for s in (*self.features, self.voxels)
        }
        return {"groups": self.groups(), "features": table}


def separation_table(
    real: Showers, generated: Showers, real_features: Features, generated_features: Features
) -> SeparationTable:
    """Separation powers of all features; showers and features of the same events."""
    if real_features.columns != generated_features.columns:
        raise InputError("the two samples have different features")
    entries = []
    for j, feature in enumerate(real_features.columns):
        x, y = real_features.values[:, j], generated_features.values[:, j]
        edges = bin_edges(feature, x, real.geometry)
        dropped = tuple(float(((v < edges[0]) | (v > edges[-1])).mean()) for v in (x, y))
        entries.append(Separation(feature, separation_power(x, y, edges), edges, (dropped[0], dropped[1])))
    edges = voxel_edges(real)
    voxel = Feature("voxel", "voxel", r"E_\mathrm{voxel}", "MeV")
    counts = [_voxel_counts(s, edges) for s in (real, generated)]
    above = [float((s.voxels > edges[-1]).mean()) for s in (real, generated)]
    return SeparationTable(tuple(entries), Separation(voxel, _power(*counts), edges, (above[0], above[1])))


def bin_edges(feature: Feature, real: Array, geometry: Geometry) -> Array:
    """Edges of the histogram of a feature: those of the official code for the CaloChallenge's geometries.

    Elsewhere 50 bins over the range of the real values (logarithmic for energies, from their 0.1 % quantile
    on), and one bin per layer for the depth.
    """
    group, layer = feature.group, feature.layer
    if geometry.format == "calochallenge":
        if group == "E":
            return _logarithmic(geometry.threshold, float(real.max()), 40)
        if group == "response":
            return np.linspace(0.5, 1.5, 101)
        if group == "sparsity":
            return np.linspace(0.0, 1.0, 21)
        if group in _RANGES and geometry.name[:3] in ("ds1", "ds2", "ds3"):
            wide = layer in (_WIDE_R if group.endswith("_r") else _WIDE)
            place = 1 if wide else 2
            return np.linspace(*_RANGES[group][place if geometry.name.startswith("ds1") else 0], 101)
    if group == "depth":
        return np.asarray(np.arange(len(geometry.layers) + 1) - 0.5, np.float64)
    positive = real[real > 0]
    if group in ("E", "E_tot", "l_d") and len(positive):
        return _logarithmic(float(np.quantile(positive, 1e-3)), float(positive.max()), 51)
    low, high = float(real.min()), float(real.max())
    return np.linspace(low, high, 51) if high > low else np.array([low - 0.5, low + 0.5])


def voxel_edges(real: Showers) -> Array:
    """Edges of the histogram of all voxel energies: 49 logarithmic bins from the threshold, as officially."""
    low = real.geometry.threshold or 1e-3
    return _logarithmic(low, float(real.voxels.max()), 50)


def _logarithmic(low: float, high: float, points: int) -> Array:
    """Logarithmic edges; the last one is exactly ``high``, so that the largest value is inside."""
    high = high if high > low > 0 else 10.0 * max(low, 1e-12)
    edges = np.geomspace(max(low, 1e-12), high, points)
    edges[-1] = high
    return edges.astype(np.float64)


def _power(a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]) -> float:
    if not a.sum() or not b.sum():
        # Nothing inside the edges: no difference is seen if that holds for both.
        return float(a.sum() != b.sum())
    p, q = a / a.sum(), b / b.sum()
    return float(0.5 * np.divide((p - q) ** 2, p + q, out=np.zeros(len(p)), where=p + q > 0).sum())


def _voxel_counts(showers: Showers, edges: Array) -> NDArray[np.int64]:
    """Histogram of all voxels."""
    step = max(_CHUNK // showers.geometry.voxels, 1)
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for start in range(0, len(showers), step):
        values = showers.voxels[start : start + step]
        counts += np.histogram(values[values >= edges[0]], edges)[0]
    return counts


def _is_linear(edges: Array) -> bool:
    return bool(np.allclose(np.diff(edges), edges[1] - edges[0]))
