"""Generative models of showers."""

from .caloflow import CaloFlow
from .catalogue import MODELS, build_model, geometry_of
from .energies import EnergyFlow
from .hitflow import HitFlow
from .inductive import InductiveCaloFlow
from .model import ShowerModel
from .preprocessing import EnergyFractions, LayerSizes, VoxelFractions
from .reflections import Reflections
from .student import distill, new_student
from .training import TimeIsUp, TrainingSettings
from .voxels import VoxelFlow

__all__ = [
    "MODELS",
    "CaloFlow",
    "EnergyFlow",
    "EnergyFractions",
    "HitFlow",
    "InductiveCaloFlow",
    "LayerSizes",
    "Reflections",
    "ShowerModel",
    "TimeIsUp",
    "TrainingSettings",
    "VoxelFlow",
    "VoxelFractions",
    "build_model",
    "distill",
    "geometry_of",
    "new_student",
]
