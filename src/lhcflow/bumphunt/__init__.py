"""Bump hunt: resonant anomaly detection, from events to p-values and limits."""

from .common_start import common_start
from .crossfit import CrossFit, background_efficiency, cross_fit
from .datasets import Events, read_events, read_jets
from .density import ConditionalDensity
from .detectors import Anode, Cathode, CWoLa, Detector, IdealizedDetector, LaCathode, RAnode, Supervised
from .features import FEATURES, jet_features
from .mass import MassDensity
from .metrics import Band, Roc, quantiles, rejection_band, roc, sic_band
from .regions import SignalRegion
from .toy import Toy

__all__ = [
    "FEATURES",
    "Anode",
    "Band",
    "CWoLa",
    "Cathode",
    "ConditionalDensity",
    "CrossFit",
    "Detector",
    "Events",
    "IdealizedDetector",
    "LaCathode",
    "MassDensity",
    "RAnode",
    "Roc",
    "SignalRegion",
    "Supervised",
    "Toy",
    "background_efficiency",
    "common_start",
    "cross_fit",
    "jet_features",
    "quantiles",
    "read_events",
    "read_jets",
    "rejection_band",
    "roc",
    "sic_band",
]
