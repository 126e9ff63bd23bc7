"""Parton densities of the proton and the strong coupling that belongs to them."""

from __future__ import annotations

import math
import os
import re

import numpy as np
import torch

from ..errors import InputError
from .pdf_files import column, find_grid, read_grid, read_info
from .pdf_kernels import Interpolation
from .running_coupling import RunningCoupling, TabulatedCoupling

ORDERS = {"lo": 1, "nlo": 2, "nnlo": 3}


class Pdf:
    """A set of parton densities on an LHAPDF6 grid.

    Interpolation is bicubic in ln x and ln Q^2, as in LHAPDF6. Outside the grid densities are frozen at
    its edge (LHAPDF's "nearest" and Pythia's default); from x = 1 on they vanish.

    alpha_s is the set's own: interpolated if its ``.info`` file has a table; otherwise it runs from the
    value at the Z mass, with the number of loops and the thresholds of the ``.info`` file or, without
    one, those that the set's name and grid tell (``..._nnlo_as_0118_...``).

    Parameters
    ----------
    name : name of a set, or path of a grid file; see :func:`find_grid` for where it is looked for.
    member : number of the member, 0 for the central one.
    alpha_s : value at the Z mass, to be used instead of the set's own.
    order : number of loops of its running, likewise.

    Attributes
    ----------
    name : of the set.
    path : of the grid file.
    flavours : PDG numbers of the partons in the set.
    x_range, q_range : the grid's, without unit and in GeV.

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
        self.path = find_grid(name, member)
        self.name = re.sub(r"_\d{4}$", "", self.path.stem)
        grid = read_grid(self.path)
        self.flavours = grid.flavours
        self.x_range = float(grid.x[0]), float(grid.x[-1])
        self.q_range = float(grid.q[0]), float(grid.q[-1])
        self._interpolation = Interpolation(grid)
        self._thresholds = [float(grid.q[i]) for i in grid.starts[1:]]
        self._info = read_info(self.path.with_name(f"{self.name}.info"))
        self._given = alpha_s, order
        self._coupling: RunningCoupling | TabulatedCoupling | None = None

    def xfx(self, x: np.ndarray, q: np.ndarray) -> np.ndarray:
        """x f(x, Q) of all flavours at once.

        Parameters
        ----------
        x : (n,) momentum fractions > 0.
        q : (n,) or number; factorisation scale in GeV.

        Returns
        -------
        array (n, 14)
            Column 6 + PDG number for quarks, 6 for the gluon, 13 for the photon; see :meth:`column`.
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
        """The column of :meth:`xfx` for a parton's PDG number; 21 is the gluon, 22 the photon."""
        return column(pdg)

    def alpha_s(self, q: np.ndarray) -> np.ndarray:
        """The strong coupling (n,) at scales `q` (n,) in GeV."""
        if self._coupling is None:
            self._coupling = self._make_coupling()
        return self._coupling(np.asarray(q, dtype=float))

    @property
    def coupling(self) -> RunningCoupling | TabulatedCoupling:
        """What :meth:`alpha_s` evaluates."""
        self.alpha_s(np.array([91.2]))
        assert self._coupling is not None
        return self._coupling

    def _make_coupling(self) -> RunningCoupling | TabulatedCoupling:
        given, given_order = self._given
        info = self._info
        knots, values = info.get("AlphaS_Qs"), info.get("AlphaS_Vals")
        if given is None and given_order is None and isinstance(knots, list) and isinstance(values, list):
            return TabulatedCoupling(knots, values)
        named = re.search(r"(?:^|_)(nnlo|nlo|lo)\w*?_as_0?(\d{3})(?:\D|$)", self.name.lower())
        value = given or self._number("AlphaS_MZ") or (named and int(named[2]) / 1000)
        loops = self._number("AlphaS_OrderQCD")
        order = given_order or (int(loops) + 1 if loops is not None else named and ORDERS[named[1]])
        if not value or not order:
            raise InputError(
                f"neither an .info file nor its name tells alpha_s of {self.name}: give alpha_s and order"
            )
        # NNPDF's Z mass is 91.2 GeV; the others take the PDG's.
        mass = self._number("MZ") or (91.2 if self.name.startswith("NNPDF") else 91.1876)
        flavours = max((abs(f) for f in self.flavours if abs(f) <= 6), default=5)
        masses = {n: self._number(key) for n, key in ((4, "MCharm"), (5, "MBottom"), (6, "MTop"))}
        defaults = {4: 1.51, 5: 4.92, 6: 172.5}  # pole masses of NNPDF3.1 (1706.00428)
        thresholds = {n: masses[n] or self._near(m) for n, m in defaults.items() if n <= flavours}
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
