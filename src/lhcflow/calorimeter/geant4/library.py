"""geant4_pybind, imported so that it never asks for a download. Only workers import this."""

from __future__ import annotations

import importlib
import os
from typing import Any

from .data_sets import data_sets, hide_data_sets

if (_folder := data_sets()) is None:
    hide_data_sets()
else:
    os.environ.setdefault("GEANT4_DATA_DIR", str(_folder))

# Its type stubs admit less than the library does (None for pointers, other argument names).
g4: Any = importlib.import_module("geant4_pybind")
