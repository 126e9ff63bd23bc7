"""Normalizing flows at the LHC.

The parts are imported by name: `lhcflow.flows`, `lhcflow.training`,
`lhcflow.integration`, `lhcflow.processes`, `lhcflow.plotting`.
"""

from importlib.metadata import version

from .errors import InputError, LhcflowError

__version__ = version("lhcflow")
__all__ = ["InputError", "LhcflowError", "__version__"]
