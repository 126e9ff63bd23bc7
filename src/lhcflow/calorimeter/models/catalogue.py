"""The shower models by name, for the command line."""

from __future__ import annotations

from typing import Any

from ...errors import InputError
from ..geometries import GEOMETRIES, geometry
from ..geometry import Geometry
from .caloflow import CaloFlow
from .model import ShowerModel
from .preprocessing import THRESHOLD

MODELS = ("caloflow",)
"""Names for :func:`build_model`."""


def build_model(name: str, geometry: Geometry, seed: int = 0, **options: Any) -> ShowerModel:
    """A new model for a geometry.

    Parameters
    ----------
    name : one of ``MODELS``.
    geometry : of the showers.
    seed : of the weights.
    options : of the model's ``build``; those that are None are left out.

    Raises
    ------
    InputError
        If there is no such model.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if name == "caloflow":
        threshold = max(geometry.threshold, THRESHOLD)
        return CaloFlow.build(layer_sizes(geometry), threshold=threshold, seed=seed, **options)
    raise InputError(f"there is no model {name!r}: choose {', '.join(MODELS)}")


def layer_sizes(geometry: Geometry) -> tuple[int, ...]:
    """Number of voxels of each layer."""
    return tuple(layer.size for layer in geometry.layers)


def geometry_of(model: ShowerModel) -> Geometry:
    """The known geometry with the layers of a model.

    Raises
    ------
    InputError
        If there is none; then the user has to name it.
    """
    for name in GEOMETRIES:
        if layer_sizes(geometry(name)) == model.layers.sizes:
            return geometry(name)
    raise InputError("the model is of no known geometry: give --geometry FILE.xml")
