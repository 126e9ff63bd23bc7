"""Anomaly detectors: one file per method, one interface."""

from .anode import Anode
from .base import Detector
from .cathode import Cathode
from .cwola import CWoLa
from .idealized import IdealizedDetector
from .lacathode import LaCathode
from .ranode import RAnode
from .supervised import Supervised

__all__ = ["Anode", "CWoLa", "Cathode", "Detector", "IdealizedDetector", "LaCathode", "RAnode", "Supervised"]
