"""Scattering processes: amplitudes, phase space, cuts, event generation, Les Houches event files."""

from .beam import EnergyScan, FixedEnergy, GaussianSpread
from .channels import GluonPoles, Multichannel
from .comparison import Row, compare, summarise
from .couplings import Parameters
from .cuts import Cuts
from .distributions import VariableDistributions, integration_variables, three_jet_observables
from .events import Events
from .generator import EventGenerator
from .integrand import CrossSection, gluon_channels, optimised_weights
from .lhe import write_lhe
from .pdf import Pdf
from .phase_space import Rambo
from .process import Process, Subprocess

__all__ = [
    "CrossSection",
    "Cuts",
    "EnergyScan",
    "EventGenerator",
    "Events",
    "FixedEnergy",
    "GaussianSpread",
    "GluonPoles",
    "Multichannel",
    "Parameters",
    "Pdf",
    "Process",
    "Rambo",
    "Row",
    "Subprocess",
    "VariableDistributions",
    "compare",
    "gluon_channels",
    "integration_variables",
    "optimised_weights",
    "summarise",
    "three_jet_observables",
    "write_lhe",
]
