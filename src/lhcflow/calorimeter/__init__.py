"""Calorimeter showers: data sets, features, metrics and generative models."""

from .datasets import ShowerFile, ShowerWriter, read_showers, write_showers
from .features import Feature, Features, calochallenge_features, calogan_features
from .geometries import GEOMETRIES, geometry
from .geometry import Geometry, Layer, read_xml
from .showers import Showers, concatenate

__all__ = [
    "GEOMETRIES",
    "Feature",
    "Features",
    "Geometry",
    "Layer",
    "ShowerFile",
    "ShowerWriter",
    "Showers",
    "calochallenge_features",
    "calogan_features",
    "concatenate",
    "geometry",
    "read_showers",
    "read_xml",
    "write_showers",
]
