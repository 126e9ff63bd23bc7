"""Bump hunt: resonant anomaly detection, from events to p-values and limits."""

from .datasets import Events, read_events, read_jets
from .features import FEATURES, jet_features
from .regions import SignalRegion

__all__ = [
    "FEATURES",
    "Events",
    "SignalRegion",
    "jet_features",
    "read_events",
    "read_jets",
]
