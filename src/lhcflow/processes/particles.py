"""The particles a process may name: MadGraph's names, PDG numbers, charges."""

from dataclasses import dataclass
from fractions import Fraction

from ..errors import InputError


@dataclass(frozen=True)
class Particle:
    """One particle of the Standard Model.

    Attributes
    ----------
    name : str
        MadGraph's name, such as ``u~``.
    pdg : int
        PDG Monte Carlo number.
    charge : Fraction
        Electric charge in units of the positron's.
    """

    name: str
    pdg: int
    charge: Fraction

    @property
    def is_quark(self) -> bool:
        return 1 <= abs(self.pdg) <= 6

    @property
    def is_lepton(self) -> bool:
        return 11 <= abs(self.pdg) <= 16

    @property
    def isospin(self) -> Fraction:
        """T3 of the left-handed fermion with this particle's flavour; 0 for bosons."""
        if not (self.is_quark or self.is_lepton):
            return Fraction(0)
        return Fraction(1, 2) if abs(self.pdg) % 2 == 0 else Fraction(-1, 2)

    @property
    def generation(self) -> int:
        """1, 2, 3 for fermions; 0 for bosons."""
        if self.is_quark:
            return (abs(self.pdg) + 1) // 2
        return (abs(self.pdg) - 9) // 2 if self.is_lepton else 0

    @property
    def anti(self) -> "Particle":
        """The antiparticle; the particle itself for g, a, z and h."""
        return _BY_PDG.get(-self.pdg, self)

    @property
    def states(self) -> int:
        """Spin times colour states of a massless incoming particle, for the average."""
        if self.pdg == 21:
            return 16
        if self.is_quark:
            return 6
        return 1 if abs(self.pdg) in (12, 14, 16) else 2


def _table() -> dict[str, Particle]:
    third = Fraction(1, 3)
    rows = [("d", "d~", 1, -third), ("u", "u~", 2, 2 * third), ("s", "s~", 3, -third)]
    rows += [("c", "c~", 4, 2 * third), ("b", "b~", 5, -third), ("t", "t~", 6, 2 * third)]
    rows += [("e-", "e+", 11, Fraction(-1)), ("ve", "ve~", 12, Fraction(0))]
    rows += [("mu-", "mu+", 13, Fraction(-1)), ("vm", "vm~", 14, Fraction(0))]
    rows += [("ta-", "ta+", 15, Fraction(-1)), ("vt", "vt~", 16, Fraction(0))]
    rows += [("w+", "w-", 24, Fraction(1))]
    table = {name: Particle(name, pdg, charge) for name, _, pdg, charge in rows}
    table |= {anti: Particle(anti, -pdg, -charge) for _, anti, pdg, charge in rows}
    bosons = [("g", 21), ("a", 22), ("z", 23), ("h", 25)]
    return table | {name: Particle(name, pdg, Fraction(0)) for name, pdg in bosons}


PARTICLES = _table()
_BY_PDG = {particle.pdg: particle for particle in PARTICLES.values()}

QUARKS = ("u", "d", "s", "c", "b")
#: Names that stand for several particles; quarks come before antiquarks before the gluon.
MULTIPARTICLES = {
    "j": (*QUARKS, *(f"{q}~" for q in QUARKS), "g"),
    "l+": ("e+", "mu+"),
    "l-": ("e-", "mu-"),
    "vl": ("ve", "vm"),
    "vl~": ("ve~", "vm~"),
}
MULTIPARTICLES["p"] = MULTIPARTICLES["j"]


def particle(name: str) -> Particle:
    """The particle called `name`, in MadGraph's spelling.

    Raises
    ------
    InputError
        There is no such particle.
    """
    if name not in PARTICLES:
        raise InputError(
            f"unknown particle {name!r}: use {', '.join(sorted(PARTICLES))}, "
            f"or {', '.join(MULTIPARTICLES)} for several at once"
        )
    return PARTICLES[name]


def by_pdg(pdg: int) -> Particle:
    """The particle with PDG number `pdg`."""
    if pdg not in _BY_PDG:
        raise InputError(f"no particle with PDG number {pdg}")
    return _BY_PDG[pdg]
