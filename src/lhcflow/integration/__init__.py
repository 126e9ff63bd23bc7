"""Integration: VEGAS and VEGAS+, flows, results and samplers."""

from .divergences import DIVERGENCES, divergence_named
from .evaluate import Integrand
from .flow_training import FlowSettings
from .integrator import Integrator
from .latent import FlowProposal
from .proposal import Proposal, Uniform
from .results import Estimate, Result, combine
from .sampler import Sampler
from .stratification import Strata
from .stratified_proposal import StratifiedProposal
from .unweighting import Efficiency, UnweightedPoints
from .vegas import Batch, Vegas
from .vegas_map import VegasMap

__all__ = [
    "DIVERGENCES",
    "Batch",
    "Efficiency",
    "Estimate",
    "FlowProposal",
    "FlowSettings",
    "Integrand",
    "Integrator",
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
    "divergence_named",
]
