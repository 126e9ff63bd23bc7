"""Scattering processes: amplitudes, phase space, cuts, event generation, Les Houches event files."""

from .beam import EnergyScan, FixedEnergy, GaussianSpread
from .boson_jets import BosonJets, Resonance
from .channels import GluonPoles, Multichannel
from .comparison import Row, compare, summarise
from .couplings import Parameters
from .cuts import Cuts
from .differential import DifferentialCrossSection
from .distributions import VariableDistributions, integration_variables, three_jet_observables
from .events import Events
from .generator import EventGenerator
from .hadronic import HadronicCrossSection
from .histories import History
from .integrand import CrossSection, gluon_channels, optimised_weights
from .jet_cuts import JetCuts
from .lhe import write_lhe
from .pdf import Pdf
from .phase_space import PhaseSpace, Rambo
from .process import Process, Subprocess
from .providers import AmplitudeProvider, CallableAmplitude
from .scales import Scale
from .umami import UmamiAmplitude, export_umami

__all__ = [
    "AmplitudeProvider",
    "BosonJets",
    "CallableAmplitude",
    "CrossSection",
    "Cuts",
    "DifferentialCrossSection",
    "EnergyScan",
    "EventGenerator",
    "Events",
    "FixedEnergy",
    "GaussianSpread",
    "GluonPoles",
    "HadronicCrossSection",
    "History",
    "JetCuts",
    "Multichannel",
    "Parameters",
    "Pdf",
    "PhaseSpace",
    "Process",
    "Rambo",
    "Resonance",
    "Row",
    "Scale",
    "Subprocess",
    "UmamiAmplitude",
    "VariableDistributions",
    "compare",
    "export_umami",
    "gluon_channels",
    "integration_variables",
    "optimised_weights",
    "summarise",
    "three_jet_observables",
    "write_lhe",
]
