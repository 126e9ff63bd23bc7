"""Files of parton densities in the LHAPDF6 format (1412.7420, section 3): where they are, what they hold."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np

from ..errors import InputError

#: Columns of an interpolated point: quarks at 6 + PDG number, the gluon at 6, the photon at 13.
COLUMNS = 14
GLUON, PHOTON = 6, 13


@dataclass(frozen=True)
class PdfGrid:
    """The grid of one member.

    Attributes
    ----------
    x : ndarray
        (nx,) knots, increasing.
    q : ndarray
        (nq,) knots in GeV. Where two subgrids meet, at a quark's threshold, the knot stands twice.
    starts : tuple of int
        Positions in `q` at which the subgrids begin.
    values : ndarray
        (nq, nx, 14) of x f(x, Q), zero for flavours that are not in the file.
    flavours : tuple of int
        PDG numbers that are in the file, 21 for the gluon.
    """

    x: np.ndarray
    q: np.ndarray
    starts: tuple[int, ...]
    values: np.ndarray
    flavours: tuple[int, ...]


def column(pdg: int) -> int:
    """The column of a parton with PDG number `pdg` (21 or 0 for the gluon, 22 for the photon)."""
    if pdg in (0, 21):
        return GLUON
    if pdg == 22:
        return PHOTON
    if not 1 <= abs(pdg) <= 6:
        raise InputError(f"no parton has the PDG number {pdg}")
    return GLUON + pdg


def find_grid(name: str | os.PathLike[str], member: int = 0) -> Path:
    """The file of a set: a path to it, or a name to be looked for.

    Folders are, in this order, those of LHAPDF_DATA_PATH (``SET/SET_0000.dat`` as LHAPDF has it, or the
    file itself), share/LHAPDF under the Python prefix and /usr, and what pythia8mc brings along.

    Raises
    ------
    InputError
        There is no such set.
    """
    path = Path(name)
    if path.is_file():
        if member and not path.stem.endswith(f"_{member:04d}"):
            raise InputError(
                f"{name} is the grid of one member: give its path alone, or the set with {member=}"
            )
        return path
    stem = f"{path.name}_{member:04d}.dat"
    if path.is_dir() and (path / stem).is_file():
        return path / stem
    folders = _folders()
    if path.name == str(name):
        for folder in folders:
            for candidate in (folder / path.name / stem, folder / stem):
                if candidate.is_file():
                    return candidate
    known = sorted({f.name[:-9] for folder in folders for f in folder.glob("*_0000.dat")})
    raise InputError(
        f"no PDF set {str(name)!r} (member {member}): set LHAPDF_DATA_PATH, give the path of a grid file, or "
        f"pip install lhcflow[pythia], which brings some; found: {', '.join(known) or 'none'}"
    )


def _folders() -> list[Path]:
    given = (os.environ.get(name, "") for name in ("LHAPDF_DATA_PATH", "LHAPATH"))
    folders = [Path(part) for value in given for part in value.split(os.pathsep) if part]
    folders += [Path(prefix) / "share/LHAPDF" for prefix in (sys.prefix, "/usr/local", "/usr")]
    pythia = Path(sys.prefix) / "share/Pythia8/pdfdata"
    if not pythia.is_dir():
        try:
            grids = [f for f in files("pythia8mc") or [] if f.match("pdfdata/*_0000.dat")]
        except PackageNotFoundError:
            grids = []
        pythia = Path(str(grids[0].locate())).resolve().parent if grids else pythia
    return [folder for folder in (*folders, pythia) if folder.is_dir()]


def read_grid(path: str | os.PathLike[str]) -> PdfGrid:
    """Read a grid file.

    Raises
    ------
    InputError
        If it is missing, truncated or not in the format ``lhagrid1``.
    """
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"can't read {path} as a PDF grid") from None
    head, *blocks = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    if "lhagrid1" not in head or len(blocks) < 2 or blocks[-1].strip():
        raise InputError(f"{path} is not a complete LHAPDF6 grid (Format: lhagrid1)")
    try:
        parts = [_subgrid(block) for block in blocks[:-1]]
    except ValueError:
        raise InputError(f"{path} is damaged: a subgrid holds too few or unreadable numbers") from None
    x, _, flavours, _ = parts[0]
    if any(len(p[0]) != len(x) or (p[0] != x).any() or p[2] != flavours for p in parts):
        raise InputError(f"{path}: subgrids with different x knots or flavours are not supported")
    q = np.concatenate([p[1] for p in parts])
    values = np.zeros((len(q), len(x), COLUMNS))
    values[..., [column(f) for f in flavours]] = np.concatenate([p[3] for p in parts])
    starts = np.cumsum([0, *(len(p[1]) for p in parts[:-1])]).tolist()
    if not np.isfinite(values).all() or x[0] <= 0 or q[0] <= 0 or x[-1] > 1:
        raise InputError(f"{path} is damaged: knots or values are out of range")
    return PdfGrid(x, q, tuple(starts), values, flavours)


def _subgrid(block: str) -> tuple[np.ndarray, np.ndarray, tuple[int, ...], np.ndarray]:
    """Knots in x and Q, flavours, values (nq, nx, flavours); knots rounded to the same number are merged."""
    first, second, third, rest = block.strip().split("\n", 3)
    x, q = (np.array(line.split(), dtype=float) for line in (first, second))
    flavours = tuple(21 if int(f) == 0 else int(f) for f in third.split())
    numbers = rest.split()
    if len(numbers) != len(x) * len(q) * len(flavours):  # CT14qed of Pythia 8: two numbers without a blank
        numbers = re.sub(r"(e[+-]\d\d)(?=\d)", r"\1 ", rest, flags=re.IGNORECASE).split()
    values = np.array(numbers, dtype=float).reshape(len(x), len(q), len(flavours)).swapaxes(0, 1)
    new_x, new_q = (np.append(np.diff(knots) > 0, True) for knots in (x, q))
    if new_x.sum() < 4 or new_q.sum() < 2 or (np.diff(x) < 0).any() or (np.diff(q) < 0).any():
        raise ValueError("knots")
    return x[new_x], q[new_q], flavours, values[new_q][:, new_x]


def read_info(path: str | os.PathLike[str]) -> dict[str, str | list[float]]:
    """The entries of a set's ``.info`` file, lists of numbers as such; empty if there is no file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    entries: dict[str, str | list[float]] = {}
    for key, value in re.findall(r"^(\w+):\s*(\[[^\]]*\]|.*)$", text, flags=re.MULTILINE):
        entries[key] = value.strip()
        if value.startswith("["):
            try:
                entries[key] = [float(v) for v in value.strip("[]").replace(",", " ").split()]
            except ValueError:
                continue
    return entries
