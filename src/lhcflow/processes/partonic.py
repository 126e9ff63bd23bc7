"""The partonic channels of a hadronic process, those with equal |M|^2 in one group.

The cross section of a group is one matrix element times a sum of products of parton densities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations

import numpy as np

from ..errors import InputError
from .couplings import Parameters
from .matrix_element import MatrixElement
from .particles import MULTIPARTICLES, by_pdg
from .providers import AmplitudeProvider, values
from .structure import Structure, structure
from .subprocesses import Subprocess, parse, subprocesses


@dataclass(frozen=True)
class PartonicGroup:
    """Partonic channels whose |M|^2 is the same function of the momenta.

    Attributes
    ----------
    members : array (members, particles) of int
        PDG numbers, the two incoming partons first (from beam 1 and beam 2). Leptons stand where the
        process has them, jets in an order common to the group.
    matrix_element : MatrixElement
        Its |M|^2.
    provider : AmplitudeProvider, optional
        An amplitude from elsewhere, used instead; colours of events stay those of `matrix_element`.
    """

    members: np.ndarray
    matrix_element: MatrixElement
    provider: AmplitudeProvider | None = None

    def __len__(self) -> int:
        return len(self.members)

    def __str__(self) -> str:
        return f"{self.process} and {len(self) - 1} more" if len(self) > 1 else self.process

    @property
    def process(self) -> str:
        """The first member by name, such as ``u d~ > e+ ve g``."""
        return str(_by_pdg(self.members[0]))

    @property
    def pdg(self) -> tuple[int, ...]:
        """PDG numbers of the first member."""
        return tuple(int(i) for i in self.members[0])

    @cached_property
    def initial_states(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct pairs of incoming partons, (pairs, 2), and how many members have each, (pairs,).

        The group's luminosity is sum over pairs of multiplicity * f_a(x1) * f_b(x2).
        """
        return np.unique(self.members[:, :2], axis=0, return_counts=True)

    def squared_amplitude(
        self, momenta: np.ndarray, alpha_s: float | np.ndarray, random: np.ndarray | None = None
    ) -> np.ndarray:
        """|M|^2 (n,) of each member; arguments as in `MatrixElement.squared`.

        Identical outgoing particles have their 1 / k!; `alpha_s` may be an array (n,).
        """
        if self.provider is not None:
            return values(self.provider.squared_amplitude(momenta, alpha_s), len(momenta))
        return self.matrix_element.squared(momenta, alpha_s, random)

    def with_provider(self, provider: AmplitudeProvider | None) -> "PartonicGroup":
        """The same channels with |M|^2 from `provider`, which sees momenta as the first member has them."""
        return replace(self, provider=provider)

    def colour_flows(self, momenta: np.ndarray, random: np.ndarray) -> np.ndarray:
        """Colour lines (n, particles, 2) for event files; see `MatrixElement.colour_flows`."""
        return self.matrix_element.colour_flows(momenta, random)


def partonic_channels(
    process: str, parameters: Parameters | Mapping[str, float] | None = None
) -> list[PartonicGroup]:
    """All partonic channels of a process such as ``p p > e+ ve j j``, in groups of equal |M|^2.

    Each channel with each final state comes once; channels with the beams' partons exchanged are channels
    of their own (in another group, unless their |M|^2 is symmetric). Within a group, jets are ordered so
    that the same momentum belongs to the same role; any order serves, since cuts do not tell jets apart.

    Parameters
    ----------
    process : str
        Names as in MadGraph; ``p`` and ``j`` stand for u, d, s, c, b, their antiquarks and the gluon.
    parameters : mapping or Parameters, optional
        Parameters to be changed.

    Raises
    ------
    InputError
        The name is not a process, nothing conserves charge and flavour, or there are no amplitudes.

    Examples
    --------
    >>> groups = partonic_channels("p p > e+ ve")
    >>> [(group.process, len(group)) for group in groups]
    [('u d~ > e+ ve', 2), ('d~ u > e+ ve', 2)]
    """
    given = Parameters.of(parameters)
    jets = [2 + i for i, names in enumerate(parse(process)[1]) if names == MULTIPARTICLES["j"]]
    groups: dict[Structure, list[tuple[int, ...]]] = {}
    for subprocess in subprocesses(process):
        best = _common_order(subprocess, jets)
        if best is not None:
            groups.setdefault(best[0], []).append(best[1])
    if not groups:
        raise InputError(
            f"{process!r} is not there: the amplitudes have one lepton pair, one quark line with up to "
            "three gluons or two quark lines with up to one"
        )
    return [PartonicGroup(np.array(members), MatrixElement(s, given)) for s, members in groups.items()]


def _common_order(subprocess: Subprocess, jets: list[int]) -> tuple[Structure, tuple[int, ...]] | None:
    """The smallest structure over all orders of the jets, and the PDG numbers in that order."""
    particles = subprocess.incoming + subprocess.outgoing
    best = None
    for order in permutations(jets):
        moved = list(particles)
        for to, origin in zip(jets, order, strict=True):
            moved[to] = particles[origin]
        found = structure(tuple(moved[:2]), tuple(moved[2:]))
        if found is None:
            return None
        if best is None or found < best[0]:
            best = found, tuple(p.pdg for p in moved)
    return best


def _by_pdg(numbers: np.ndarray) -> Subprocess:
    particles = tuple(by_pdg(int(i)) for i in numbers)
    return Subprocess(particles[:2], particles[2:])
