"""Normalizing flows: bijections, base distributions and the Flow itself."""

from .affine import Affine
from .autoregressive import AutoregressiveAffine, AutoregressiveSpline
from .bases import Base, NormalWithAngles, StandardNormal, Uniform, VegasGridBase
from .bijection import Bijection, Component, build, describe
from .builders import autoregressive_spline, coupling_spline
from .categorical import AutoregressiveCategorical, MixedFlow
from .coupling import CouplingAffine, CouplingSpline
from .domain import Logit, Sigmoid
from .flow import Flow
from .inverse import Inverse
from .nflows_import import from_nflows
from .permutations import Permutation, SoftPermutation
from .residual_coupling import ResidualCoupling
from .saving import load, load_component, save
from .vegas_grid import VegasGrid

__all__ = [
    "Affine",
    "AutoregressiveAffine",
    "AutoregressiveCategorical",
    "AutoregressiveSpline",
    "Base",
    "Bijection",
    "Component",
    "CouplingAffine",
    "CouplingSpline",
    "Flow",
    "Inverse",
    "Logit",
    "MixedFlow",
    "NormalWithAngles",
    "Permutation",
    "ResidualCoupling",
    "Sigmoid",
    "SoftPermutation",
    "StandardNormal",
    "Uniform",
    "VegasGrid",
    "VegasGridBase",
    "autoregressive_spline",
    "build",
    "coupling_spline",
    "describe",
    "from_nflows",
    "load",
    "load_component",
    "save",
]
