"""Normalizing flows: bijections, base distributions and the Flow itself."""

from .affine import Affine
from .bases import Base, StandardNormal, Uniform, VegasGridBase
from .bijection import Bijection, Component, build, describe
from .categorical import AutoregressiveCategorical, MixedFlow
from .domain import Logit, Sigmoid
from .flow import Flow
from .permutations import Permutation, SoftPermutation
from .saving import load, load_component, save
from .vegas_grid import VegasGrid

__all__ = [
    "Affine",
    "AutoregressiveCategorical",
    "Base",
    "Bijection",
    "Component",
    "Flow",
    "Logit",
    "MixedFlow",
    "Permutation",
    "Sigmoid",
    "SoftPermutation",
    "StandardNormal",
    "Uniform",
    "VegasGrid",
    "VegasGridBase",
    "build",
    "describe",
    "load",
    "load_component",
    "save",
]
