"""Calorimeter showers: data sets, features, metrics and generative models."""

from .datasets import ShowerFile, ShowerWriter, read_showers, write_showers
from .geometries import GEOMETRIES, geometry
from .geometry import Geometry, Layer, read_xml
from .showers import Showers, concatenate

__all__ = [
    "GEOMETRIES",
    "Geometry",
    "Layer",
    "ShowerFile",
    "ShowerWriter",
    "Showers",
    "concatenate",
    "geometry",
    "read_showers",
    "read_xml",
    "write_showers",
]
