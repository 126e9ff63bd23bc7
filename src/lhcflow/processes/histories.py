"""How jets may have come about: one channel of phase space for each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

BEAM = -1


@dataclass(frozen=True, order=True)
class History:
    """Which jet comes from where, and what balances the transverse momenta.

    Attributes
    ----------
    parents : tuple of int
        For each jet the one that radiates it, or -1 for the beams.
    recoil : int or None
        None if the boson recoils against all jets; or the number of a jet that recoils against the boson and
        the other jets. Then the boson's own transverse momentum is a variable, and may be small: where the
        boson is radiated off a pair of jets, there is a pole.
    """

    parents: tuple[int, ...]
    recoil: int | None = None

    def order(self) -> list[int]:
        """The jets in an order in which parents precede children, those from the beams first, recoil last."""
        first = [i for i, p in enumerate(self.parents) if p == BEAM and i != self.recoil]
        while len(first) < len(self.parents) - (self.recoil is not None):
            first += [i for i, p in enumerate(self.parents) if i not in first and p in first]
        return first if self.recoil is None else [*first, self.recoil]

    def relabelled(self, permutation: Sequence[int]) -> History:
        """The history in which jet ``permutation[i]`` has the place of jet ``i``."""
        parents = [BEAM] * len(self.parents)
        for i, p in enumerate(self.parents):
            parents[permutation[i]] = permutation[p] if p != BEAM else BEAM
        return History(tuple(parents), None if self.recoil is None else permutation[self.recoil])


def histories(jets: int) -> list[History]:
    """All histories of `jets` jets: the rooted forests, each with everything that may recoil.

    A jet recoils only if it comes from the beams, radiates nothing, and is not alone in coming from
    there. There are 1, 1, 5, 25 histories of 0 to 3 jets.

    Examples
    --------
    >>> [(h.parents, h.recoil) for h in histories(2)]
    [((-1, -1), None), ((-1, -1), 0), ((-1, -1), 1), ((-1, 0), None), ((1, -1), None)]
    """
    found = []
    for parents in product(range(BEAM, jets), repeat=jets):
        if not _rooted(parents):
            continue
        found.append(History(parents))
        roots = [i for i, p in enumerate(parents) if p == BEAM]
        found += [History(parents, i) for i in roots if len(roots) > 1 and i not in parents]
    return found


def _rooted(parents: tuple[int, ...]) -> bool:
    """Whether every jet comes from the beams in the end."""
    for i in range(len(parents)):
        for _ in parents:
            i = parents[i] if i != BEAM else BEAM
        if i != BEAM:
            return False
    return True
