"""The native core: one compiled module ``_core``, or nothing.

``core`` is the module, or None where it was not built or where ``LHCFLOW_NATIVE=0`` switches it off.
Callers use their torch or numpy twin when it is None and call `warn_once` first.
"""

from __future__ import annotations

import importlib
import os
import warnings
from types import ModuleType

core: ModuleType | None
try:
    if os.environ.get("LHCFLOW_NATIVE", "1") == "0":
        raise ImportError("switched off by LHCFLOW_NATIVE=0")
    core = importlib.import_module("._core", __name__)
    reason = ""
except ModuleNotFoundError:
    core = None
    reason = "they were not built, which needs a C++20 compiler when lhcflow is installed"
except ImportError as error:
    core = None
    reason = str(error)

_warned = False


def warn_once() -> None:
    """Say once per process that the slower twins are in use (not where the user asked for them)."""
    global _warned
    if core is None and not _warned and os.environ.get("LHCFLOW_NATIVE", "1") != "0":
        warnings.warn(
            f"lhcflow runs without its native kernels ({reason}); results are the same, slower",
            RuntimeWarning,
            stacklevel=3,
        )
    _warned = True
