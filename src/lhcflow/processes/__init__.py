"""Scattering processes: amplitudes, phase space, cuts, event generation, Les Houches event files."""

from .beam import EnergyScan, FixedEnergy, GaussianSpread
from .channels import GluonPoles, Multichannel
from .couplings import Parameters
from .cuts import Cuts
from .events import Events
from .integrand import CrossSection, gluon_channels, optimised_weights
from .phase_space import Rambo
from .process import Process, Subprocess

__all__ = [
    "CrossSection",
    "Cuts",
    "EnergyScan",
    "Events",
    "FixedEnergy",
    "GaussianSpread",
    "GluonPoles",
    "Multichannel",
    "Parameters",
    "Process",
    "Rambo",
    "Subprocess",
    "gluon_channels",
    "optimised_weights",
]
