"""Geant4 showers in the CaloGAN calorimeter (extra ``geant4``)."""

from .data_sets import data_sets
from .simulation import PARTICLES, Simulation, simulate

__all__ = ["PARTICLES", "Simulation", "data_sets", "simulate"]
