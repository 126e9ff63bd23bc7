"""Integration: VEGAS and VEGAS+, flows, results and samplers."""

from .evaluate import Integrand
from .proposal import Proposal, Uniform
from .results import Estimate, Result, combine
from .sampler import Sampler
from .stratification import Strata
from .stratified_proposal import StratifiedProposal
from .unweighting import Efficiency, UnweightedPoints
from .vegas import Batch, Vegas
from .vegas_map import VegasMap

__all__ = [
    "Batch",
    "Efficiency",
    "Estimate",
    "Integrand",
    "Proposal",
    "Result",
    "Sampler",
    "Strata",
    "StratifiedProposal",
    "Uniform",
    "UnweightedPoints",
    "Vegas",
    "VegasMap",
    "combine",
]
