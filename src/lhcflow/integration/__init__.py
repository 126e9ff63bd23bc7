"""Integration: VEGAS and VEGAS+, flows, results and samplers."""

from .proposal import Proposal, Uniform
from .results import Estimate, Result, combine
from .stratification import Strata
from .vegas import Batch, Vegas
from .vegas_map import VegasMap

__all__ = ["Batch", "Estimate", "Proposal", "Result", "Strata", "Uniform", "Vegas", "VegasMap", "combine"]
