"""Processes by name and their squared amplitudes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import pi

import numpy as np

from ..errors import InputError
from .amplitude import Legs, chirality_couplings, kinematic_factors
from .couplings import Parameters
from .particles import MULTIPARTICLES, Particle, particle


@dataclass(frozen=True)
class Subprocess:
    """One partonic process: two incoming and some outgoing particles."""

    incoming: tuple[Particle, ...]
    outgoing: tuple[Particle, ...]

    def __str__(self) -> str:
        return f"{' '.join(p.name for p in self.incoming)} > {' '.join(p.name for p in self.outgoing)}"

    @property
    def pdg(self) -> tuple[int, ...]:
        """PDG numbers, incoming first."""
        return tuple(p.pdg for p in self.incoming + self.outgoing)

    def violated(self) -> str | None:
        """What forbids this process at tree level, in words, or None."""
        crossed = [*self.outgoing, *(p.anti for p in self.incoming)]
        before, after = sum(p.charge for p in self.incoming), sum(p.charge for p in self.outgoing)
        if before != after:
            return f"electric charge is not conserved ({before} -> {after})"
        for kind in ("quark", "lepton"):
            for generation in (1, 2, 3):
                of_kind = [p for p in crossed if getattr(p, f"is_{kind}") and p.generation == generation]
                if sum(1 if p.pdg > 0 else -1 for p in of_kind):
                    return f"the {kind} number of generation {generation} is not conserved (diagonal CKM)"
        particles = self.incoming + self.outgoing
        if any(p.name == "g" for p in particles) and all(p.is_lepton or p.name == "g" for p in particles):
            return "gluons do not couple to leptons"
        return None

    def legs(self) -> Legs | None:
        """Where the quark and the lepton line stand, or None if this is not such a process."""
        crossed = [p.anti for p in self.incoming] + list(self.outgoing)
        places: dict[str, list[int]] = {}
        for i, p in enumerate(crossed):
            kind = "quark" if p.is_quark else "lepton" if p.is_lepton else p.name
            places.setdefault(f"anti{kind}" if p.pdg < 0 else kind, []).append(i)
        gluons = places.pop("g", [])
        names = ("quark", "antiquark", "lepton", "antilepton")
        if set(places) != set(names) or any(len(v) > 1 for v in places.values()) or len(gluons) > 1:
            return None
        if any(abs(p.pdg) == 6 for p in crossed):  # the amplitude is for massless quarks
            return None
        return Legs(*(places[name][0] for name in names), gluon=gluons[0] if gluons else None)


class Process:
    """A scattering process at leading order and its squared amplitude.

    Built in are all crossings of one quark and one lepton line joined by gamma*/Z (with interference and
    the Z width) or W, with no or one gluon: ``e+ e- > u u~ g``, ``d d~ > mu+ mu- g``, ``u d~ > e+ ve g``.
    ``j`` stands for u, d, s, c, b, their antiquarks and the gluon; ``e+ e- > j j j`` is the sum of five
    subprocesses whose momenta are in the order quark, antiquark, gluon.

    Parameters
    ----------
    process : str
        Names as in MadGraph, separated by blanks, ``>`` between incoming and outgoing.
    parameters : mapping or Parameters, optional
        Parameters to be changed, such as ``{"alpha_s": 0.12}``.

    Raises
    ------
    InputError
        The name is not a process, breaks a conservation law, or is not built in.

    Examples
    --------
    >>> Process("e+ e- > j j j").subprocesses[0].pdg
    (-11, 11, 2, -2, 21)
    """

    def __init__(self, process: str, parameters: Parameters | Mapping[str, float] | None = None) -> None:
        self.name = " ".join(process.split())
        self.parameters = Parameters.of(parameters)
        self.subprocesses = _parse(self.name)
        # Subprocesses with the same legs share the kinematic part of their amplitudes.
        self._groups: dict[Legs, list[int]] = {}
        for i, subprocess in enumerate(self.subprocesses):
            legs = subprocess.legs()
            if legs is None:
                raise InputError(
                    f"{subprocess} is not there yet: the built-in amplitudes have one quark pair, "
                    "one lepton pair and at most one gluon, such as 'e+ e- > j j j' or 'u d~ > e+ ve g'"
                )
            self._groups.setdefault(legs, []).append(i)

    def __repr__(self) -> str:
        return f"Process({self.name!r}, {len(self.subprocesses)} subprocesses, {self.parameters})"

    @property
    def n_final(self) -> int:
        """Number of outgoing particles."""
        return len(self.subprocesses[0].outgoing)

    def squared_amplitude(self, momenta: np.ndarray, alpha_s: float | None = None) -> np.ndarray:
        """|M|^2 averaged over initial and summed over final spins and colours, and over subprocesses.

        Parameters
        ----------
        momenta : array (n, particles, 4)
            (E, px, py, pz) in GeV, incoming first, all massless.
        alpha_s : float, optional
            The strong coupling; by default that of the parameters.

        Returns
        -------
        array (n,), float64
            In GeV^(8 - 2 * particles).

        Raises
        ------
        InputError
            The momenta have another shape, are not finite, or have negative energies.
        """
        return self.squared_amplitudes(momenta, alpha_s).sum(axis=1)

    def squared_amplitudes(self, momenta: np.ndarray, alpha_s: float | None = None) -> np.ndarray:
        """As :meth:`squared_amplitude`, one column per subprocess: (n, subprocesses)."""
        momenta = self._checked(momenta)
        g2 = 4 * pi * (self.parameters.alpha_s if alpha_s is None else alpha_s)
        result = np.empty((len(momenta), len(self.subprocesses)))
        for legs, members in self._groups.items():
            s, same, opposite = kinematic_factors(momenta, legs)
            strong = 1.0 if legs.gluon is None else g2
            done: dict[tuple[object, ...], int] = {}  # d, s and b differ in name only
            for i in members:
                lines = self._lines(i, legs)
                key = tuple((p.charge, p.pdg > 0) for p in lines)
                if key in done:
                    result[:, i] = result[:, done[key]]
                    continue
                done[key] = i
                coupling, coupling_opposite = chirality_couplings(*lines, self.parameters, s)
                average = strong / np.prod([p.states for p in self.subprocesses[i].incoming])
                result[:, i] = average * (coupling * same + coupling_opposite * opposite)
        return result

    def _lines(self, i: int, legs: Legs) -> tuple[Particle, Particle, Particle]:
        """Quark, antiquark and lepton of subprocess `i`, all taken as outgoing."""
        subprocess = self.subprocesses[i]
        crossed = [p.anti for p in subprocess.incoming] + list(subprocess.outgoing)
        return crossed[legs.quark], crossed[legs.antiquark], crossed[legs.lepton]

    def _checked(self, momenta: np.ndarray) -> np.ndarray:
        momenta = np.asarray(momenta, dtype=np.float64)
        particles = 2 + self.n_final
        if momenta.ndim != 3 or momenta.shape[1:] != (particles, 4):
            raise InputError(
                f"momenta of {self.name} must have shape (n, {particles}, 4), got {momenta.shape}"
            )
        if not np.isfinite(momenta).all():
            raise InputError(f"{int((~np.isfinite(momenta)).sum())} components of the momenta are not finite")
        if (momenta[..., 0] < 0).any():
            raise InputError("momenta have negative energies: incoming particles are given with E > 0 too")
        return momenta


def _parse(name: str) -> tuple[Subprocess, ...]:
    """The subprocesses that `name` stands for, quarks before antiquarks before gluons among jets."""
    sides = name.split(">")
    if len(sides) != 2 or len(sides[0].split()) != 2 or not sides[1].split():
        raise InputError(
            f"{name!r} is not a process: write two incoming and the outgoing, as in 'e+ e- > j j j'"
        )
    choices = [MULTIPARTICLES.get(p) or (particle(p).name,) for side in sides for p in side.split()]
    if "p" in sides[0].split():
        raise InputError(
            f"{name!r} is not there yet: no parton densities; name the partons, as in 'u d~ > e+ ve g'"
        )
    if len(choices) > 5:
        raise InputError(f"{name!r} is not there yet: at most three outgoing particles")
    jets = [i for i, names in enumerate(choices) if names == MULTIPARTICLES["j"] and i >= 2]
    found: dict[tuple[str, ...], Subprocess] = {}
    violated = None
    for names in product(*choices):
        order = [MULTIPARTICLES["j"].index(names[i]) for i in jets]
        if order != sorted(order):
            continue  # the same particles in another order
        particles = tuple(particle(p) for p in names)
        subprocess = Subprocess(particles[:2], particles[2:])
        law = subprocess.violated()
        if law is None:
            found[names] = subprocess
        violated = law or violated
    if not found:
        raise InputError(f"{name!r} is not possible: {violated}")
    return tuple(found.values())
