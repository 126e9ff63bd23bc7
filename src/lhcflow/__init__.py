"""Normalizing flows at the LHC.

The parts are imported by name: :mod:`lhcflow.flows`, :mod:`lhcflow.training`,
:mod:`lhcflow.integration`, :mod:`lhcflow.processes`, :mod:`lhcflow.plotting`.
"""

from importlib.metadata import version

from .errors import InputError, LhcflowError

__version__ = version("lhcflow")
__all__ = ["InputError", "LhcflowError", "__version__"]
