"""What every sampler of the unit cube can do, and how it is written to disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float

from ..errors import InputError

PROPOSALS: dict[str, type[Proposal]] = {}


class Proposal(ABC):
    """A probability density on the unit cube that can be sampled and evaluated.

    Subclasses are registered by class name, so that a saved sampler finds the class of its proposal.

    Attributes
    ----------
    dim : int
        Number of dimensions of the cube.
    """

    dim: int
    kind: ClassVar[str] = "Proposal"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__
        PROPOSALS[cls.__name__] = cls

    @abstractmethod
    def sample(
        self, n: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Draw ``n`` points: ``x`` (n, dim) in float64 and their densities (n,)."""

    @abstractmethod
    def density(self, x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """Normalised density (n,) at ``x`` (n, dim); 0 outside the unit cube."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Arrays that rebuild the proposal; names are identifiers, bytes travel as uint8."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        """The inverse of `state`."""


def rebuild(kind: str, state: dict[str, np.ndarray]) -> Proposal:
    """Build the proposal of class ``kind`` from its ``state``."""
    if kind not in PROPOSALS:
        raise InputError(f"unknown proposal {kind!r}; known are {', '.join(sorted(PROPOSALS))}")
    return PROPOSALS[kind].from_state(state)


class Uniform(Proposal):
    """The uniform density on the unit cube.

    Examples
    --------
    >>> Uniform(2).density(np.array([[0.5, 0.5], [0.5, 1.5]])).tolist()
    [1.0, 0.0]
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise InputError(f"a proposal needs dim >= 1, got {dim}")
        self.dim = dim

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.random((n, self.dim)), np.ones(n)

    def density(self, x: np.ndarray) -> np.ndarray:
        return inside(x).astype(float)

    def state(self) -> dict[str, np.ndarray]:
        return {"dim": np.array(self.dim)}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        return cls(int(state["dim"]))


def inside(x: np.ndarray) -> np.ndarray:
    """Which of the points ``x`` (n, dim) lie in the closed unit cube (n,)."""
    return np.all((x >= 0) & (x <= 1), axis=1)
