"""High-level features of showers: the sets of CaloGAN/CaloFlow and of the CaloChallenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .showers import Showers

Array = NDArray[np.float64]

# As in the official code of the CaloChallenge: no division by zero, nothing else.
_TINY = 1e-16
# Numbers (voxels of all rows) that are turned to float64 at once.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Feature:
    """What a column of `Features` is.

    Attributes
    ----------
    name : str
        Such as "E_0" or "width_eta_12"; the number is the layer's id.
    group : str
        Name without the layer; features of a group are of one kind.
    symbol : str
        In TeX.
    unit : str
        "" if it has none.
    layer : int or None
        Id of the layer, None for the whole shower.
    """

    name: str
    group: str
    symbol: str
    unit: str = ""
    layer: int | None = None


@dataclass(frozen=True)
class Features:
    """Features of a sample: ``values`` (n, columns) and what each column is."""

    columns: tuple[Feature, ...]
    values: Array

    def __getitem__(self, name: str) -> Array:
        """Values (n,) of one feature by its name."""
        for j, column in enumerate(self.columns):
            if column.name == name:
                return self.values[:, j]
        raise InputError(f"there is no feature {name!r}: {', '.join(c.name for c in self.columns)}")

    def __len__(self) -> int:
        return len(self.values)

    def group(self, name: str) -> Array:
        """Values (n, k) of the features of a group, layer by layer."""
        columns = [j for j, c in enumerate(self.columns) if c.group == name]
        return self.values[:, columns]


@dataclass(frozen=True)
class LayerMoments:
    """Sums over the voxels of each layer, all (n, layers).

    ``energy`` in MeV; ``centre_*`` (energy-weighted means) and ``width_*`` (standard deviations) in mm;
    ``occupied`` is the fraction of voxels with energy.
    """

    energy: Array
    centre_eta: Array
    centre_phi: Array
    centre_r: Array
    width_eta: Array
    width_phi: Array
    width_r: Array
    occupied: Array


def layer_moments(showers: Showers) -> LayerMoments:
    """Energies, centres, widths and occupancy of every layer; see `LayerMoments`.

    A layer without energy has centre and width 0.
    """
    n, layers = len(showers), showers.geometry.layers
    moments = np.empty((7, n, len(layers)))
    occupied = np.empty((n, len(layers)))
    for number, layer in enumerate(layers):
        x = np.stack([layer.eta, layer.phi, layer.r])
        weights = np.concatenate([np.ones((1, layer.size)), x, x**2]).T
        step = max(_CHUNK // layer.size, 1)
        for start in range(0, n, step):
            rows = slice(start, start + step)
            voxels = showers.voxels[rows, layer.slice]
            moments[:, rows, number] = (voxels.astype(np.float64) @ weights).T
            occupied[rows, number] = np.count_nonzero(voxels > 0, axis=1) / layer.size
    energy = moments[0]
    centres = moments[1:4] / (energy + _TINY)
    # Rounding can make the variance of a single voxel negative.
    widths = np.sqrt(np.clip(moments[4:7] / (energy + _TINY) - centres**2, 0.0, None))
    return LayerMoments(
        energy=energy,
        centre_eta=centres[0],
        centre_phi=centres[1],
        centre_r=centres[2],
        width_eta=widths[0],
        width_phi=widths[1],
        width_r=widths[2],
        occupied=occupied,
    )


def features(showers: Showers) -> Features:
    """The set that belongs to the showers' format: `calogan_features` or those of the CaloChallenge."""
    calogan = showers.geometry.format == "calogan"
    return calogan_features(showers) if calogan else calochallenge_features(showers)


def calochallenge_features(showers: Showers) -> Features:
    """The features of the CaloChallenge (2410.21611, section 4.2).

    Per layer the energy, the fraction of voxels without energy (``sparsity``), centre and width in r, and
    for layers with sectors also in eta and phi; the total energy, and its ratio to the incident one.

    Notes
    -----
    Voxels below the geometry's threshold count in the official evaluation as empty: cut them before.
    """
    m, geometry = layer_moments(showers), showers.geometry
    table = _Table(showers)
    for j, layer in enumerate(geometry.layers):
        table.add("E", rf"E_{{{layer.id}}}", m.energy[:, j], "MeV", layer.id)
    _add_total(table, m.energy)
    directions = [j for j, layer in enumerate(geometry.layers) if layer.has_directions]
    for name, symbol, values in (
        ("centre_eta", r"\langle\eta\rangle_{%d}", m.centre_eta),
        ("centre_phi", r"\langle\phi\rangle_{%d}", m.centre_phi),
        ("width_eta", r"\sigma_{\eta,%d}", m.width_eta),
        ("width_phi", r"\sigma_{\phi,%d}", m.width_phi),
    ):
        for j in directions:
            layer = geometry.layers[j]
            table.add(name, symbol % layer.id, values[:, j], "mm", layer.id)
    for name, symbol, unit, values in (
        ("sparsity", r"\mathrm{sparsity}_{%d}", "", 1.0 - m.occupied),
        ("centre_r", r"\langle r\rangle_{%d}", "mm", m.centre_r),
        ("width_r", r"\sigma_{r,%d}", "mm", m.width_r),
    ):
        for j, layer in enumerate(geometry.layers):
            table.add(name, symbol % layer.id, values[:, j], unit, layer.id)
    return table.features()


def calogan_features(showers: Showers) -> Features:
    """The features of CaloGAN and CaloFlow (1712.10321, table 1; 2106.05285, figures 6 to 10).

    Per layer the energy ``E``, its fraction ``f`` of the total, the ``sparsity`` (fraction of voxels *with*
    energy, as defined there), centres and lateral widths in eta and phi, ``E_ratio`` (difference of the two
    brightest voxels over their sum) and ``brightest`` (the brightest over the layer's energy); of the shower
    the total energy, its ratio to the incident one (``response``), the ``depth`` (number of the last layer
    with energy), the depth-weighted energy ``l_d`` [GeV], ``s_d = l_d / E_tot`` and its width ``sigma_sd``.
    """
    m, geometry = layer_moments(showers), showers.geometry
    number = np.arange(len(geometry.layers))
    table = _Table(showers)
    total = m.energy.sum(1)
    first, second = _brightest(showers)
    for name, symbol, unit, values in (
        ("E", "E", "GeV", 1e-3 * m.energy),
        ("f", r"E_{%d}/E_\mathrm{tot}", "", _ratio(m.energy, total[:, None])),
        ("sparsity", r"\mathrm{sparsity}", "", m.occupied),
        ("centre_eta", r"\langle\eta\rangle", "mm", m.centre_eta),
        ("centre_phi", r"\langle\phi\rangle", "mm", m.centre_phi),
        ("width_eta", r"\sigma^\eta", "mm", m.width_eta),
        ("width_phi", r"\sigma^\phi", "mm", m.width_phi),
        ("E_ratio", r"E_\mathrm{ratio,%d}", "", _ratio(first - second, first + second)),
        ("brightest", r"E_{\mathrm{max},%d}/E_{%d}", "", _ratio(first, m.energy)),
    ):
        for j, layer in enumerate(geometry.layers):
            text = symbol.replace("%d", str(layer.id)) if "%d" in symbol else f"{symbol}_{{{layer.id}}}"
            table.add(name, text, values[:, j], unit, layer.id)
    _add_total(table, m.energy, scale=1e-3, unit="GeV")
    l_d = m.energy @ number
    s_d = _ratio(l_d, total)
    spread = np.clip(_ratio(m.energy @ number**2, total) - s_d**2, 0.0, None)
    depth = np.where(m.energy > 0, number, 0).max(1)
    table.add("depth", "d", depth.astype(np.float64))
    table.add("l_d", "l_d", 1e-3 * l_d, "GeV")
    table.add("s_d", "s_d", s_d)
    table.add("sigma_sd", r"\sigma_{s_d}", np.sqrt(spread))
    return table.features()


class _Table:
    """Collects columns."""

    def __init__(self, showers: Showers) -> None:
        self.incident = showers.energy_mev
        self._columns: list[Feature] = []
        self._values: list[Array] = []

    def add(self, group: str, symbol: str, values: Array, unit: str = "", layer: int | None = None) -> None:
        name = group if layer is None else f"{group}_{layer}"
        self._columns.append(Feature(name, group, symbol, unit, layer))
        self._values.append(values)

    def features(self) -> Features:
        return Features(tuple(self._columns), np.stack(self._values, axis=1))


def _add_total(table: _Table, energy: Array, scale: float = 1.0, unit: str = "MeV") -> None:
    total = energy.sum(1)
    table.add("E_tot", r"E_\mathrm{tot}", scale * total, unit)
    table.add("response", r"E_\mathrm{tot}/E_\mathrm{inc}", total / table.incident)


def _ratio(a: Array, b: Array) -> Array:
    """``a / b``, and 0 where there is nothing."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)


def _brightest(showers: Showers) -> tuple[Array, Array]:
    """Energies (n, layers) of the brightest and second brightest voxel of every layer."""

    def two(voxels: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.partition(voxels, -2, axis=1)[:, :-3:-1] if voxels.shape[1] > 1 else voxels[:, [0, 0]]

    pairs = [_in_chunks(two, showers.voxels[:, s]) for s in showers.geometry.slices]
    top = np.stack(pairs, axis=1)
    return top[..., 0], top[..., 1]


def _in_chunks(
    function: Callable[[NDArray[np.floating]], NDArray[np.floating]], voxels: NDArray[np.floating]
) -> Array:
    step = max(_CHUNK // voxels.shape[1], 1)
    parts = [function(voxels[start : start + step]) for start in range(0, len(voxels), step)]
    return np.concatenate(parts).astype(np.float64)
