"""Showers as figures: from samples to what `lhcflow.plotting` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...calorimeter import Features, Geometry, Showers
from ...calorimeter.metrics import Neighbour
from ...calorimeter.separation import bin_edges, separation_power
from ...plotting import FeaturePanel, LayerImage, feature_histograms, layer_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_MOST_LAYERS = 7
_MOST_PANELS = 9

# Features that share a figure: its title and their groups.
_FIGURES = {
    "calogan": (
        ("Energies", ("E", "E_tot")),
        ("Energy fractions", ("f", "response")),
        ("Lateral widths", ("width_eta", "width_phi")),
        ("Centres of energy", ("centre_eta", "centre_phi")),
        ("Sparsity", ("sparsity",)),
        ("Brightest voxels", ("E_ratio", "brightest")),
        ("Shower depth", ("depth", "l_d", "s_d", "sigma_sd")),
    ),
    "calochallenge": (
        ("Layer energies", ("E",)),
        ("Total energy", ("E_tot", "response")),
        ("Centres in eta", ("centre_eta",)),
        ("Centres in phi", ("centre_phi",)),
        ("Centres in r", ("centre_r",)),
        ("Widths in eta", ("width_eta",)),
        ("Widths in phi", ("width_phi",)),
        ("Widths in r", ("width_r",)),
        ("Sparsity", ("sparsity",)),
    ),
}


def average_showers(samples: Mapping[str, Showers]) -> Figure:
    """The mean shower of each sample, one row each; of many layers some, evenly chosen."""
    place = next(iter(samples.values())).geometry
    chosen = _some(len(place.layers), _MOST_LAYERS)
    rows = [_images(place, s.voxels.mean(axis=0, dtype=np.float64), chosen) for s in samples.values()]
    titles = [f"layer {place.layers[j].id}" for j in chosen]
    return layer_images(rows, [*samples], titles)


def neighbours(
    real: Showers, generated: Showers, found: Sequence[Neighbour], names: tuple[str, str]
) -> Figure:
    """Single showers, one row each: the real one to the left, its nearest generated one to the right."""
    place = real.geometry
    chosen = _some(len(place.layers), 3)
    rows = [
        [
            *_images(place, real.voxels[n.real], chosen),
            *_images(place, generated.voxels[n.generated], chosen),
        ]
        for n in found
    ]
    columns = [f"{name}\nlayer {place.layers[j].id}" for name in names for j in chosen]
    return layer_images(rows, [f"{n.energy:g} GeV" for n in found], columns, place.threshold)


def histograms(
    real: Features,
    generated: Mapping[str, Features],
    place: Geometry,
    real_name: str = "Geant4",
    weights: Mapping[str, NDArray[np.float64]] | None = None,
) -> dict[str, Figure]:
    """Histograms of all features, by the title of the figure.

    ``weights``: further curves, by the name of a generated sample followed by ", reweighted".
    """
    figures = {}
    for title, groups in _FIGURES[place.format]:
        columns = [j for g in groups for j, c in enumerate(real.columns) if c.group == g]
        if not columns:
            continue
        columns = [columns[k] for k in _some(len(columns), _MOST_PANELS)]
        panels = [_panel(j, real, generated, place, weights or {}) for j in columns]
        figures[title] = feature_histograms(panels, real_name, columns=2 if len(panels) in (2, 4) else 3)
    return figures


def _panel(
    j: int,
    real: Features,
    generated: Mapping[str, Features],
    place: Geometry,
    weights: Mapping[str, NDArray[np.float64]],
) -> FeaturePanel:
    feature, x = real.columns[j], real.values[:, j]
    edges = bin_edges(feature, x, place)
    values = {name: f.values[:, j] for name, f in generated.items()}
    powers = {name: separation_power(x, y, edges) for name, y in values.items()}
    curves = values | {name: values[name.removesuffix(", reweighted")] for name in weights}
    return FeaturePanel(feature.symbol, feature.unit, edges, x, curves, powers, weights)


def _images(place: Geometry, voxels: NDArray[np.floating], chosen: Sequence[int]) -> list[LayerImage]:
    layers = [place.layers[j] for j in chosen]
    return [LayerImage(voxels[x.slice].reshape(x.shape), x.edges, x.polar) for x in layers]


def _some(count: int, most: int) -> list[int]:
    """At most ``most`` numbers below ``count``, evenly chosen, with the first and the last."""
    return sorted({round(x) for x in np.linspace(0, count - 1, min(count, most))})
