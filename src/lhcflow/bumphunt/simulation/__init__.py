"""Samples like those of the LHC Olympics, by Pythia and FastJet (extra ``pythia``)."""

from .blocks import Yield, join_blocks, run_blocks
from .settings import Simulation

__all__ = ["Simulation", "Yield", "join_blocks", "run_blocks"]
