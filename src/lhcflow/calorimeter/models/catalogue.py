"""The shower models by name, for the command line."""

from __future__ import annotations

from typing import Any

from ...arguments import whole
from ...errors import InputError
from ..geometries import GEOMETRIES, geometry
from ..geometry import Geometry
from .caloflow import CaloFlow
from .hitflow import HitFlow
from .inductive import InductiveCaloFlow
from .model import ShowerModel
from .preprocessing import THRESHOLD
from .reflections import Reflections

MODELS = ("caloflow", "icaloflow", "hitflow")
"""Names for `build_model`."""

# Read-out thresholds in MeV (2410.21611, section 3); elsewhere that of 2106.05285 and 2210.14245. What the
# metrics of data set 1 cut away, up to 1 MeV, is in its showers and has to be generated.
_READOUT = {"ds2": 0.5e-3 / 0.033, "ds3": 0.5e-3 / 0.033}


def build_model(name: str, geometry: Geometry, seed: int = 0, **options: Any) -> ShowerModel:
    """A new model for a geometry.

    Parameters
    ----------
    name : str
        One of ``MODELS``.
    geometry : Geometry
        Of the showers.
    seed : int
        Of the weights.
    options : object
        Of the model's ``build``; those that are None are left out.

    Raises
    ------
    InputError
        If there is no such model.
    """
    seed = whole(seed, "seed", 0)
    options = {key: value for key, value in options.items() if value is not None}
    common = {"threshold": _READOUT.get(geometry.name, THRESHOLD), "seed": seed}
    if name == "caloflow":
        return CaloFlow.build(layer_sizes(geometry), **common, **options)
    if name == "icaloflow":
        return InductiveCaloFlow.build(layer_sizes(geometry), **common, **options)
    if name == "hitflow":
        return _hitflow(geometry, options, **common)
    raise InputError(f"there is no model {name!r}: choose {', '.join(MODELS)}")


def _hitflow(geometry: Geometry, options: dict[str, Any], threshold: float, seed: int) -> HitFlow:
    if options:
        raise InputError(f"a hitflow has no {' and no '.join(options)}: its cells are fitted by regressions")
    sides = {(axis[0], axis[-1]) for layer in geometry.layers for axis in layer.edges}
    shapes = Reflections.of(geometry).shapes
    if len(sides) > 1:
        raise InputError(f"a hitflow needs layers that cover the same square; those of {geometry} do not")
    return HitFlow.build(shapes, threshold=threshold, seed=seed)


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
