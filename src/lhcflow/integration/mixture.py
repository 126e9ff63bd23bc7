"""Mixtures of proposals: a part of the points from a broader density bounds the largest weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from ..errors import InputError
from .proposal import Proposal, rebuild


class MixtureProposal(Proposal):
    """``q = sum_k share_k q_k``: weights ``f/q`` are at most ``f/q_k / share_k`` for every k.

    Parameters
    ----------
    parts : sequence of Proposal
        The proposals, all of one dimension.
    shares : sequence of float
        Positive, with sum 1.

    References
    ----------
    Defensive importance sampling: Hesterberg, Technometrics 37 (1995) 185.

    Examples
    --------
    >>> from lhcflow.integration import Uniform
    >>> MixtureProposal([Uniform(1), Uniform(1)], [0.9, 0.1]).density(np.array([[0.5]])).tolist()
    [1.0]
    """

    def __init__(self, parts: Sequence[Proposal], shares: Sequence[float]) -> None:
        self.parts = list(parts)
        self.shares = np.asarray(shares, dtype=float)
        if len({p.dim for p in self.parts}) != 1 or len(self.shares) != len(self.parts):
            raise InputError("a mixture needs proposals of one dimension, and a share for each")
        if (self.shares <= 0).any() or abs(self.shares.sum() - 1) > 1e-9:
            raise InputError(f"the shares of a mixture must be positive with sum 1, got {self.shares}")
        self.dim = self.parts[0].dim

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        counts = rng.multinomial(n, self.shares)
        drawn = [part.sample(int(k), rng) for part, k in zip(self.parts, counts, strict=True)]
        density = np.concatenate([self._density(x, i, own) for i, (x, own) in enumerate(drawn)])
        order = rng.permutation(n)
        return np.concatenate([x for x, _ in drawn])[order], density[order]

    def density(self, x: np.ndarray) -> np.ndarray:
        return self._density(x)

    def _density(self, x: np.ndarray, known: int = -1, own: np.ndarray | None = None) -> np.ndarray:
        """The mixture's density (n,); that of the part ``known`` is ``own`` (n,)."""
        total = np.zeros(len(x))
        for i, (share, part) in enumerate(zip(self.shares, self.parts, strict=True)):
            total += share * (own if own is not None and i == known else part.density(x))
        return total

    def state(self) -> dict[str, np.ndarray]:
        kinds = " ".join(part.kind for part in self.parts)
        state = {"shares": self.shares, "kinds": np.frombuffer(kinds.encode(), dtype=np.uint8)}
        for i, part in enumerate(self.parts):
            state |= {f"part{i}__{name}": value for name, value in part.state().items()}
        return state

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        parts = []
        for i, kind in enumerate(bytes(state["kinds"]).decode().split()):
            head = f"part{i}__"
            inner = {k.removeprefix(head): v for k, v in state.items() if k.startswith(head)}
            parts.append(rebuild(kind, inner))
        return cls(parts, state["shares"].tolist())

    def __repr__(self) -> str:
        terms = (f"{share:g} {part!r}" for share, part in zip(self.shares, self.parts, strict=True))
        return f"MixtureProposal({' + '.join(terms)})"
