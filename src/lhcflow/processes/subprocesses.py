"""Partonic processes by name: what a name with ``j`` or ``p`` in it stands for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, product

from ..errors import InputError
from .particles import MULTIPARTICLES, Particle, particle

#: A pair of leptons that stands for each boson.
BOSONS = {"w+": "e+ ve", "w-": "e- ve~", "z": "e+ e-", "a": "e+ e-"}


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


def of_protons(name: str) -> bool:
    """Whether a process starts with ``p p``.

    Raises
    ------
    InputError
        The text is not a process: no ``>``, not two incoming particles, or beams that there are none of.
    """
    return _sides(name)[0] == ["p", "p"]


def _sides(name: str) -> tuple[list[str], list[str]]:
    """The names of the incoming and of the outgoing particles."""
    example = "as in 'e+ e- > j j j' or 'p p > e+ ve j'"
    if not isinstance(name, str):
        raise InputError(f"a process is a text {example}, got {type(name).__name__}")
    sides = [side.split() for side in name.split(">")]
    if len(sides) == 1:
        raise InputError(
            f"{name!r} has no '>': write it between the incoming and the outgoing particles, {example}"
        )
    if len(sides) > 2:
        raise InputError(
            f"{name!r} has {len(sides) - 1} times '>': decays are not written, the bosons are in between "
            f"anyway, {example}"
        )
    before, after = sides
    if "p~" in before:
        raise InputError(f"{name!r}: there are no antiprotons, beams are 'p p' or 'e+ e-'")
    if before.count("p") == 1:
        raise InputError(f"{name!r}: a proton collides with a proton here, write 'p p > ...'")
    if len(before) != 2 or not after:
        raise InputError(
            f"{name!r} is not a process: write two incoming and the outgoing particles, {example}"
        )
    for boson, products in BOSONS.items():
        if boson in after and before == ["p", "p"]:
            words = " ".join(products if p == boson else p for p in after)
            raise InputError(
                f"{name!r}: bosons are written by what they decay to, '{' '.join(before)} > {words}'"
            )
    return before, after


def parse(name: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The names that each incoming and each outgoing particle of a process may have.

    Raises
    ------
    InputError
        The text is not a process or has unknown particles.
    """
    before, after = _sides(name)
    incoming, outgoing = (
        [MULTIPARTICLES[p] if p in MULTIPARTICLES else (particle(p).name,) for p in side]
        for side in (before, after)
    )
    return incoming, outgoing


def subprocesses(name: str) -> tuple[Subprocess, ...]:
    """All subprocesses of `name` that conserve charge, quark and lepton numbers.

    Outgoing jets are in the order quarks, antiquarks, gluons, so that each final state comes once.

    Raises
    ------
    InputError
        As `parse`, or there is none.
    """
    incoming, outgoing = parse(name)
    by_numbers: dict[tuple[int, ...], list[tuple[str, ...]]] = {}
    for names in _final_states(outgoing):
        by_numbers.setdefault(_total(names), []).append(names)
    found, violated = [], "nothing conserves charge and flavour"
    for initial in product(*incoming):
        for final in by_numbers.get(_total(initial), []):
            subprocess = _subprocess(initial, final)
            law = subprocess.violated()
            if law is None:
                found.append(subprocess)
            violated = law or violated
    if not found:
        if all(len(names) == 1 for names in incoming + outgoing):
            first = _subprocess([names[0] for names in incoming], [names[0] for names in outgoing])
            violated = first.violated() or violated
        raise InputError(f"{name!r} is not possible: {violated}")
    return tuple(found)


def _final_states(outgoing: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    jets = [i for i, names in enumerate(outgoing) if names == MULTIPARTICLES["j"]]
    others = [names if i not in jets else ("",) for i, names in enumerate(outgoing)]
    for names in product(*others):
        for chosen in combinations_with_replacement(MULTIPARTICLES["j"], len(jets)):
            state = list(names)
            for i, jet in zip(jets, chosen, strict=True):
                state[i] = jet
            yield tuple(state)


def _subprocess(initial, final) -> Subprocess:
    return Subprocess(tuple(particle(p) for p in initial), tuple(particle(p) for p in final))


def _total(names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*map(_numbers, names), strict=True)))


@cache
def _numbers(name: str) -> tuple[int, ...]:
    """Three times the charge, then quark and lepton numbers of the generations."""
    p = particle(name)
    sign = 1 if p.pdg > 0 else -1
    quarks = (sign * (p.is_quark and p.generation == g) for g in (1, 2, 3))
    leptons = (sign * (p.is_lepton and p.generation == g) for g in (1, 2, 3))
    return (int(3 * p.charge), *quarks, *leptons)
