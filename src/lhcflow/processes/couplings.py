"""Electroweak and strong parameters, and the couplings of fermion pairs to photon, Z and W."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from ..errors import InputError
from .particles import Particle


@dataclass(frozen=True)
class Parameters:
    """Input parameters of the Standard Model; masses and widths in GeV.

    The weak mixing angle is the on-shell one, sin^2 = 1 - mw^2 / mz^2; light quarks and leptons are
    massless and the CKM matrix is diagonal. Widths are fixed. The defaults are the MadGraph
    values (alpha(mz) = 1/132.507, G_F scheme).

    Raises
    ------
    InputError
        A value is not a finite positive number, or mw >= mz.
    """

    alpha: float = 0.0075467711139788835
    alpha_s: float = 0.118
    mz: float = 91.188
    wz: float = 2.441404
    mw: float = 80.41900244575616
    ww: float = 2.0476

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InputError(f"parameter {field.name} must be a positive number, got {value!r}")
        if self.mw >= self.mz:
            raise InputError(f"mw = {self.mw} must be below mz = {self.mz}: sin^2(theta_w) = 1 - mw^2/mz^2")

    @classmethod
    def of(cls, values: "Parameters | Mapping[str, float] | None") -> "Parameters":
        """Parameters from a mapping of the names to be changed, or None for the defaults."""
        if isinstance(values, Parameters):
            return values
        if values is None:
            return cls()
        if not isinstance(values, Mapping):
            raise InputError(f"parameters are given by name, as in {{'mw': 80.4}}, got {values!r}")
        names = [field.name for field in fields(cls)]
        for name in values:
            if name not in names:
                raise InputError(f"unknown parameter {name!r}: known are {', '.join(names)}")
        return cls(**dict(values))

    @property
    def sin2thetaw(self) -> float:
        return 1 - self.mw**2 / self.mz**2

    def z_coupling(self, fermion: Particle, left: bool) -> float:
        """Coupling of a fermion's chirality to the Z in units of e: (T3 - Q sw^2) / (sw cw)."""
        sin2 = self.sin2thetaw
        sign = 1 if fermion.pdg > 0 else -1
        isospin = float(fermion.isospin) if left else 0.0
        return (isospin - sign * float(fermion.charge) * sin2) / math.sqrt(sin2 * (1 - sin2))
