"""The geometries the field publishes showers in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

from ..errors import InputError
from .geometry import Geometry, cartesian_layers, polar_layers, read_xml


def _numbers(text: str) -> list[float]:
    return [float(x) for x in text.split()]


def _calogan() -> Geometry:
    """1705.02355: three sections of a 480 mm cube of lead and liquid argon, 3x96, 12x12 and 12x6 cells."""
    return Geometry("calogan", cartesian_layers([(3, 96), (12, 12), (12, 6)], 240.0), "calogan", 0.01)


# CaloChallenge (2410.21611), data set 1: layers of the ATLAS calorimeter as rings (mm) and sectors.
_PRESAMPLER = "0 5 10 30 50 100 200 400 600"
_BACK = "0 50 100 200 400 600"
_PHOTONS = {
    0: (_PRESAMPLER, 1),
    1: ("0 2 4 6 8 10 12 15 20 30 40 50 70 90 120 150 200", 10),
    2: ("0 2 5 10 15 20 25 30 40 50 60 80 100 130 160 200 250 300 350 400", 10),
    3: (_BACK, 1),
    12: ("0 100 200 400 1000 2000", 1),
}
_PIONS = {
    0: (_PRESAMPLER, 1),
    1: ("0 1 4 7 10 15 30 50 90 150 200", 10),
    2: ("0 5 10 20 30 50 80 130 200 300 400", 10),
    3: (_BACK, 1),
    12: ("0 10 20 30 50 80 100 130 160 200 250 300 350 400 1000 2000", 10),
    13: ("0 10 20 30 50 80 100 130 160 200 250 300 350 400 600 1000 2000", 10),
    14: ("0 50 100 150 200 250 300 400 600 1000 2000", 1),
}


def _dataset1(name: str, layers: dict[int, tuple[str, int]]) -> Geometry:
    r_edges = [_numbers(edges) for edges, _ in layers.values()]
    return Geometry(
        name, polar_layers(r_edges, [a for _, a in layers.values()], [*layers]), "calochallenge", 1.0
    )


def _cylinder(name: str, rings: int, sectors: int) -> Geometry:
    """Data sets 2 and 3: 45 equal layers to 41.85 mm; threshold 0.5 keV over a sampling fraction of 0.033."""
    edges = [round(41.85 * i / rings, 4) for i in range(rings + 1)]
    layers = polar_layers([edges] * 45, [sectors] * 45, range(45))
    return Geometry(name, layers, "calochallenge", 0.5e-3 / 0.033)


_KNOWN: dict[str, Callable[[], Geometry]] = {
    "calogan": _calogan,
    "ds1-photons": partial(_dataset1, "ds1-photons", _PHOTONS),
    "ds1-pions": partial(_dataset1, "ds1-pions", _PIONS),
    "ds2": partial(_cylinder, "ds2", 9, 16),
    "ds3": partial(_cylinder, "ds3", 18, 50),
}

GEOMETRIES = tuple(_KNOWN)
"""Names for `geometry`."""


@cache
def _known(name: str) -> Geometry:
    return _KNOWN[name]()


def geometry(name: str | os.PathLike[str] | Geometry, particle: str | None = None) -> Geometry:
    """A geometry by its name, or from an XML file of the CaloChallenge format.

    Parameters
    ----------
    name : path or Geometry
        "calogan" (504 voxels), "ds1-photons" (368), "ds1-pions" (533), "ds2" (6480), "ds3" (40500), the path
        of an ``.xml`` file, or a geometry, which is returned. A file with the layers of a known geometry is
        that geometry, with its name and threshold.
    particle : str, optional
        Of an XML file that holds several.

    Raises
    ------
    InputError
        If there is no such geometry.

    Examples
    --------
    >>> print(geometry("ds1-photons"))
    ds1-photons (5 layers, 368 voxels)
    """
    if isinstance(name, Geometry):
        return name
    if isinstance(name, str) and name in _KNOWN:
        return _known(name)
    if isinstance(name, str | os.PathLike) and Path(name).suffix == ".xml":
        found = read_xml(name, particle)
        return next((_known(n) for n in _KNOWN if _known(n).layers == found.layers), found)
    raise InputError(f"there is no geometry {str(name)!r}: take {', '.join(_KNOWN)} or an .xml file")


def by_voxels(voxels: int) -> Geometry | None:
    """The known geometry of the CaloChallenge format with so many voxels, if there is one."""
    candidates: Iterable[str] = (n for n in _KNOWN if n != "calogan")
    return next((_known(n) for n in candidates if _known(n).voxels == voxels), None)
