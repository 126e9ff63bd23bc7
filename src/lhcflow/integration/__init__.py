"""Integration: VEGAS and VEGAS+, flows, results and samplers."""

from .categories import Categories
from .channel_grids import ChannelGrids
from .divergences import DIVERGENCES, divergence_named
from .evaluate import Integrand
from .flow_settings import FlowSettings
from .integrator import Integrator
from .latent import FlowProposal
from .mixed import MixedProposal
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
    "Categories",
    "ChannelGrids",
    "Efficiency",
    "Estimate",
    "FlowProposal",
    "FlowSettings",
    "Integrand",
    "Integrator",
    "MixedProposal",
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
