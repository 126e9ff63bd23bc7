"""Parton densities of the proton and the strong coupling that belongs to them."""

from __future__ import annotations

import math
import os
import re
from numbers import Real
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..files import content_hash
from .pdf_files import column, find_grid, read_grid, read_info
from .pdf_kernels import Interpolation
from .running_coupling import RunningCoupling, TabulatedCoupling

ORDERS = {"lo": 1, "nlo": 2, "nnlo": 3}
EDGE = 1e-9  # relative rounding of knots and points, within which a point is on the edge of the grid
#: Numbers of central members in LHAPDF's pdfsets.index, of the sets that Pythia brings without .info files.
LHAPDF_IDS = {
    "CT14qed_proton": 13300,
    "NNPDF23_nlo_as_0119_qed": 244800,
    "NNPDF23_nnlo_as_0119_qed": 246000,
    "NNPDF23_lo_as_0119_qed": 246800,
    "NNPDF23_lo_as_0130_qed": 247000,
    "NNPDF31_lo_as_0118": 315000,
    "NNPDF31_lo_as_0130": 315200,
    "NNPDF31_nlo_as_0118_luxqed": 324900,
    "NNPDF31_nnlo_as_0118_luxqed": 325100,
}


class Pdf:
    """A set of parton densities on an LHAPDF6 grid.

    Interpolation is bicubic in ln x and ln Q^2, as in LHAPDF6. Outside the grid densities are frozen at
    its edge (LHAPDF's "nearest" and Pythia's default); from x = 1 on they vanish.

    alpha_s is the set's own: interpolated if its ``.info`` file has a table; otherwise it runs from the
    value at the Z mass, with the number of loops and the thresholds of the ``.info`` file or, without
    one, those that the set's name and grid tell (``..._nnlo_as_0118_...``).

    Parameters
    ----------
    name : path
        Name of a set, or path of a grid file; see `find_grid` for where it is looked for.
    member : int
        Number of the member, 0 for the central one.
    alpha_s : float, optional
        Value at the Z mass, to be used instead of the set's own.
    order : int, optional
        Number of loops of its running, likewise.

    Attributes
    ----------
    name : path
        Of the set, and number of the member, None if the file's name has none.
    member : int
        Of the set, and number of the member, None if the file's name has none.
    path : Path
        Of the grid file.
    flavours : tuple of int
        PDG numbers of the partons in the set.
    x_range, q_range : (float, float)
        The grid's, without unit and in GeV.

    Raises
    ------
    InputError
        There is no such set, or its file is damaged.

    References
    ----------
    1412.7420.
    """

    def __init__(
        self,
        name: str | os.PathLike[str],
        member: int = 0,
        *,
        alpha_s: float | None = None,
        order: int | None = None,
    ) -> None:
        if not isinstance(name, str | os.PathLike):
            raise InputError(
                f"parton densities are given by the name of a set or the path of a grid, got {name!r}; "
                "the member of a set by Pdf(name, member=...)"
            )
        if isinstance(member, bool) or not isinstance(member, int | np.integer) or member < 0:
            raise InputError(f"the member of a PDF set must be an integer >= 0, got {member!r}")
        number = isinstance(alpha_s, Real) and not isinstance(alpha_s, bool)
        if alpha_s is not None and not (number and 0 < float(alpha_s) < 0.5):
            raise InputError(f"alpha_s must be between 0 and 0.5, got {alpha_s!r}")
        if order is not None and order not in (1, 2, 3, 4):
            raise InputError(f"alpha_s runs with 1, 2, 3 or 4 loops, got {order!r}")
        self.path = find_grid(name, int(member))
        numbered = re.fullmatch(r"(.+)_(\d{4})", self.path.stem)
        self.name = numbered[1] if numbered else self.path.stem
        self.member = int(numbered[2]) if numbered else None
        grid = read_grid(self.path)
        self.flavours = grid.flavours
        self.x_range = float(grid.x[0]), float(grid.x[-1])
        self.q_range = float(grid.q[0]), float(grid.q[-1])
        self._interpolation = Interpolation(grid)
        self._thresholds = [float(grid.q[i]) for i in grid.starts[1:]]
        self._info_path = self.path.with_name(f"{self.name}.info")
        self._info = read_info(self._info_path)
        self._given = alpha_s, order
        self._coupling: RunningCoupling | TabulatedCoupling | None = None

    def xfx(self, x: np.ndarray, q: np.ndarray) -> np.ndarray:
        """x f(x, Q) of all flavours at once.

        Parameters
        ----------
        x : ndarray
            (n,) momentum fractions > 0.
        q : ndarray
            (n,) or number; factorisation scale in GeV.

        Returns
        -------
        array (n, 14)
            Column 6 + PDG number for quarks, 6 for the gluon, 13 for the photon; see `column`.
        """
        x = np.asarray(x, dtype=float)
        q = np.broadcast_to(np.asarray(q, dtype=float), x.shape)
        if x.ndim != 1:
            raise InputError(f"parton densities take x of shape (n,), got {x.shape}")
        if not ((x > 0) & (q > 0)).all():
            raise InputError("parton densities need x > 0 and Q > 0")
        return self._interpolation(x, q, torch.get_num_threads())

    @staticmethod
    def column(pdg: int) -> int:
        """The column of `xfx` for a parton's PDG number; 21 is the gluon, 22 the photon."""
        return column(pdg)

    def alpha_s(self, q: np.ndarray) -> np.ndarray:
        """The strong coupling (n,) at scales `q` (n,) in GeV."""
        if self._coupling is None:
            self._coupling = self._make_coupling()
        return self._coupling(np.asarray(q, dtype=float))

    @property
    def coupling(self) -> RunningCoupling | TabulatedCoupling:
        """What `alpha_s` evaluates."""
        self.alpha_s(np.array([91.2]))
        assert self._coupling is not None
        return self._coupling

    @property
    def lhapdf_id(self) -> int | None:
        """The member's number in LHAPDF's list of sets, such as 325100; None where it is not known."""
        first = self._number("SetIndex")
        number = LHAPDF_IDS.get(self.name) if first is None else int(first)
        return None if number is None or self.member is None else number + self.member

    def card(self) -> dict[str, Any]:
        """All that the densities and their alpha_s depend on, files by the hash of their content."""
        info = self._info_path
        card = {
            "pdf": self.name,
            "pdf_grid": content_hash(self.path),
            "pdf_info": content_hash(info) if info.is_file() else None,
            "pdf_alpha_s": self._given[0],
            "pdf_order": self._given[1],
        }
        return {name: value for name, value in card.items() if value is not None}

    def outside(self, x: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
        """Where points lie outside the grid, by the edge that they are beyond.

        Parameters
        ----------
        x, q : arrays (n,)
            Momentum fraction and scale in GeV.

        Returns
        -------
        dict of str to array (n,) of bool
            Such as ``"x < 1e-09"``; the densities there are those at the edge.
        """
        (low, high), (lowest, highest) = self.x_range, self.q_range
        return {
            f"x < {low:.3g}": x < low * (1 - EDGE),
            f"x > {high:.3g}": (x > high * (1 + EDGE)) & (x < 1),
            f"Q < {lowest:.3g} GeV": q < lowest * (1 - EDGE),
            f"Q > {highest:.3g} GeV": q > highest * (1 + EDGE),
        }

    def _make_coupling(self) -> RunningCoupling | TabulatedCoupling:
        given, given_order = self._given
        info = self._info
        knots, values = info.get("AlphaS_Qs"), info.get("AlphaS_Vals")
        if given is None and given_order is None and isinstance(knots, list) and isinstance(values, list):
            return TabulatedCoupling(knots, values)
        named = re.search(r"(?:^|_)(nnlo|nlo|lo)\w*?_as_0?(\d{3})(?:\D|$)", self.name.lower())
        value, order = given, given_order
        if value is None:
            value = self._number("AlphaS_MZ")
        if value is None and named:
            value = int(named[2]) / 1000
        loops = self._number("AlphaS_OrderQCD")
        if order is None:
            order = int(loops) + 1 if loops is not None else ORDERS[named[1]] if named else None
        if value is None or order is None:
            raise InputError(
                f"neither an .info file nor its name tells alpha_s of {self.name}: give alpha_s and order"
            )
        # NNPDF's Z mass is 91.2 GeV; the others take the PDG's.
        mass = self._number("MZ")
        if mass is None:
            mass = 91.2 if self.name.startswith("NNPDF") else 91.1876
        flavours = max((abs(f) for f in self.flavours if abs(f) <= 6), default=5)
        masses = {n: self._number(key) for n, key in ((4, "MCharm"), (5, "MBottom"), (6, "MTop"))}
        defaults = {4: 1.51, 5: 4.92, 6: 172.5}  # pole masses of NNPDF3.1 (1706.00428)
        thresholds = {
            n: self._near(m) if (given_mass := masses[n]) is None else given_mass
            for n, m in defaults.items()
            if n <= flavours
        }
        return RunningCoupling(float(value), mass, order, thresholds, max(flavours, 3))

    def _number(self, key: str) -> float | None:
        value = self._info.get(key)
        try:
            return float(value) if isinstance(value, str) else None
        except ValueError:
            return None

    def _near(self, mass: float) -> float:
        """The edge of a subgrid within 20 % of `mass`: the set's own threshold."""
        return next((q for q in self._thresholds if abs(math.log(q / mass)) < 0.2), mass)

    def __repr__(self) -> str:
        low, high = self.q_range
        return f"Pdf({self.name!r}, {len(self.flavours)} partons, Q = {low:g} to {high:g} GeV)"
