"""Which physics Geant4 can run here: whether its data sets are installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from ...errors import InputError

# What FTFP_BERT reads: (variable, how the folder's name begins).
_NEEDED = {
    "G4LEDATA": "G4EMLOW",
    "G4LEVELGAMMADATA": "PhotonEvaporation",
    "G4PARTICLEXSDATA": "G4PARTICLEXS",
    "G4ENSDFSTATEDATA": "G4ENSDFSTATE",
    "G4SAIDXSDATA": "G4SAIDDATA",
}
_OTHERS = (
    "G4RADIOACTIVEDATA",
    "G4NEUTRONHPDATA",
    "G4PIIDATA",
    "G4ABLADATA",
    "G4INCLDATA",
    "G4REALSURFACEDATA",
    "G4CHANNELINGDATA",
)


def require_geant4() -> None:
    """Raise InputError if the extra is missing; looks without importing it."""
    if importlib.util.find_spec("geant4_pybind") is None:
        raise InputError("simulating showers needs Geant4: pip install 'lhcflow[geant4]'")


def data_sets() -> Path | None:
    """Where Geant4's data sets are: a folder, or None if one that FTFP_BERT needs is missing.

    Looked for in the environment's variables (``G4LEDATA``, ...), in ``GEANT4_DATA_DIR``, and where
    geant4_pybind keeps its downloads.
    """
    given = {variable: Path(os.environ.get(variable, "/nowhere")) for variable in _NEEDED}
    # By their names: the variables may also point to the folder of hide_data_sets.
    if all(given[v].is_dir() and given[v].name.startswith(name) for v, name in _NEEDED.items()):
        return Path(os.environ["G4LEDATA"]).parent
    for folder in (os.environ.get("GEANT4_DATA_DIR"), "~/.geant4_pybind"):
        if folder and all(any(Path(folder).expanduser().glob(f"{name}*")) for name in _NEEDED.values()):
            return Path(folder).expanduser()
    return None


def hide_data_sets() -> None:
    """Make geant4_pybind importable without data sets: it asks for a download unless each variable is set."""
    # The table of nuclear levels is opened in any case; it may be empty.
    empty = str(Path(__file__).with_name("no_data"))
    for variable in ("GEANT4_DATA_DIR", *_NEEDED, *_OTHERS):
        os.environ[variable] = empty
