"""What decides |M|^2 of quarks, gluons and one lepton pair: which leg is what, and the couplings.

Fermion lines run along the fermion number: a line starts at an incoming quark or an outgoing antiquark
and ends at an outgoing quark or an incoming antiquark. One boson V (gamma*/Z or W) joins the lepton line
to a quark line; with two quark lines, one gluon joins these. Two processes with equal `Structure`
have the same |M|^2 as function of the momenta.
"""

from dataclasses import dataclass
from itertools import permutations
from math import factorial, prod

import numpy as np

from .couplings import Parameters
from .particles import Particle, particle


@dataclass(frozen=True, order=True)
class Structure:
    """Where the legs stand among the external particles (incoming first), and what couples to V.

    Attributes
    ----------
    starts, ends : tuples of int
        Start and end of each quark line (one or two) in the first pairing; the second pairing of two
        lines joins each start to the other end.
    gluons : tuple of int
        The external gluons.
    lepton_start, lepton_end : int
        The lepton line.
    vertices : tuple of tuples of str
        For each pairing, what V couples to on the line from each start: ``"u"`` or ``"d"`` quarks
        (gamma*/Z), ``"w"``, or ``""`` for nothing. A pairing with nothing at all does not exist.
    lepton : str
        ``"l"``, ``"v"`` (gamma*/Z to charged leptons, Z to neutrinos) or ``"w"``.
    states : int
        Spin and colour states of the incoming particles: |M|^2 is divided by them.
    symmetry : int
        Product of k! over k identical outgoing particles: |M|^2 is divided by it, too.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    gluons: tuple[int, ...]
    lepton_start: int
    lepton_end: int
    vertices: tuple[tuple[str, ...], ...]
    lepton: str
    states: int
    symmetry: int

    @property
    def alpha_s_power(self) -> int:
        """Power of alpha_s in |M|^2."""
        return 2 * (len(self.starts) - 1) + len(self.gluons)

    @property
    def particles(self) -> int:
        """Number of external particles."""
        return 2 * len(self.starts) + len(self.gluons) + 2

    def couplings(self, parameters: Parameters) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Couplings of V and its mass and width.

        Returns
        -------
        photon, heavy : arrays (pairings, lines, 2, 2)
            Charges and weak couplings multiplied, in units of e^2, for the chirality (left, right) of
            the quark line that V couples to and of the lepton line: V gives
            ``photon / s + heavy / (s - mass^2 + i mass width)``.
        mass, width : float
            Of Z or W, GeV.
        """
        photon = np.zeros((len(self.vertices), len(self.starts), 2, 2))
        heavy = np.zeros_like(photon)
        for pairing, row in enumerate(self.vertices):
            for line, name in enumerate(row):
                if name == "w":
                    heavy[pairing, line, 0, 0] = 1 / (2 * parameters.sin2thetaw)
                elif name:
                    quark, lepton = particle(name), particle({"l": "e-", "v": "ve"}[self.lepton])
                    photon[pairing, line] = float(quark.charge * lepton.charge)
                    heavy[pairing, line] = np.outer(
                        [parameters.z_coupling(quark, left) for left in (True, False)],
                        [parameters.z_coupling(lepton, left) for left in (True, False)],
                    )
        mass, width = (parameters.mw, parameters.ww) if self.lepton == "w" else (parameters.mz, parameters.wz)
        return photon, heavy, mass, width


def structure(incoming: tuple[Particle, ...], outgoing: tuple[Particle, ...]) -> Structure | None:
    """The structure of a partonic process, or None if it is not one lepton pair and one or two quark lines.

    Conservation of charge and of the quark numbers of each generation is taken for granted.
    """
    legs = [(p, i, i < len(incoming)) for i, p in enumerate(incoming + outgoing)]
    starts = [(p, i) for p, i, before in legs if p.is_quark and (p.pdg > 0) == before]
    ends = [(p, i) for p, i, before in legs if p.is_quark and (p.pdg > 0) != before]
    lepton_starts = [(p, i) for p, i, before in legs if p.is_lepton and (p.pdg > 0) == before]
    lepton_ends = [(p, i) for p, i, before in legs if p.is_lepton and (p.pdg > 0) != before]
    gluons = tuple(i for p, i, _ in legs if p.name == "g")
    others = len(legs) - len(starts) - len(ends) - len(gluons) - 2
    if len(lepton_starts) != 1 or len(lepton_ends) != 1 or others or len(starts) != len(ends):
        return None
    if len(starts) not in (1, 2) or len(starts) + len(gluons) > (4 if len(starts) == 1 else 3):
        return None
    if any(abs(p.pdg) == 6 for p, _ in starts + ends):  # the amplitudes are for massless quarks
        return None
    (first, lepton_start), (last, lepton_end) = lepton_starts[0], lepton_ends[0]
    charged = abs(first.pdg) != abs(last.pdg)
    # Of all ways to name the lines: V on the first line, up-type before down-type, low positions first.
    choices = []
    for s in permutations(starts):
        for e in permutations(ends):
            rows = tuple(_vertices(s, e[::step], charged) for step in ((1,) if len(s) == 1 else (1, -1)))
            if any(rows[0]):
                kind = {"w": 0, "u": 1, "d": 2, "": 3}
                rank = [[kind[name] for name in row] for row in rows]
                choices.append((rank, [i for _, i in s], [i for _, i in e], rows))
    if not choices:
        return None
    _, s, e, rows = min(choices)
    counts = [outgoing.count(p) for p in set(outgoing)]
    return Structure(
        starts=tuple(s),
        ends=tuple(e),
        gluons=gluons,
        lepton_start=lepton_start,
        lepton_end=lepton_end,
        vertices=rows,
        lepton="w" if charged else "v" if abs(first.pdg) % 2 == 0 else "l",
        states=prod(p.states for p in incoming),
        symmetry=prod(factorial(k) for k in counts),
    )


def _vertices(starts, ends, charged: bool) -> tuple[str, ...]:
    """What V couples to on each line that joins `starts` to `ends` in order; nothing if they can't."""
    changed = [abs(p.pdg) != abs(q.pdg) for (p, _), (q, _) in zip(starts, ends, strict=True)]
    if any(
        change and p.generation != q.generation
        for change, (p, _), (q, _) in zip(changed, starts, ends, strict=True)
    ):
        return ("",) * len(starts)
    if sum(changed) != int(charged):
        return ("",) * len(starts)
    if charged:
        return tuple("w" if change else "" for change in changed)
    return tuple("u" if abs(p.pdg) % 2 == 0 else "d" for p, _ in starts)
