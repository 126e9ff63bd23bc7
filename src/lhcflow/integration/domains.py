"""Where a flow lives, and how points of the unit cube get there: the real line, or the cube itself."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from ..flows import Flow, StandardNormal, Uniform

EDGE = 1e-16  # points of the cube keep this distance from 0, and 1 - 2^-53 is the largest below 1
SINGLE = 1e-7  # the same for a flow on the cube, in single precision


class Domain(Protocol):
    """A map of each coordinate from the unit interval to where the flow has it."""

    def enter(self, u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Points ``y`` of the flow for points ``u`` of the cube."""
        ...

    def leave(self, y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """The inverse of `enter`, kept inside the open cube."""
        ...

    def log_slope(self, y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """``log|du/dy|`` (n,)."""
        ...


class Line:
    """The real line, by the normal distribution function: rotations keep the base's density."""

    def enter(self, u: np.ndarray) -> np.ndarray:
        return ndtri(np.clip(u, EDGE, 1 - EDGE))

    def leave(self, y: np.ndarray) -> np.ndarray:
        return np.clip(ndtr(y), EDGE, 1 - EDGE)

    def log_slope(self, y: np.ndarray) -> np.ndarray:
        return -(y**2).sum(axis=1) / 2 - y.shape[1] * math.log(2 * math.pi) / 2


class Cube:
    """The cube as it is: its edges, where densities end without vanishing, are those of the splines."""

    def enter(self, u: np.ndarray) -> np.ndarray:
        return np.clip(u, SINGLE, 1 - SINGLE)

    def leave(self, y: np.ndarray) -> np.ndarray:
        return np.clip(y, EDGE, 1 - EDGE)

    def log_slope(self, y: np.ndarray) -> np.ndarray:
        return np.zeros(len(y))


def domain_of(flow: Flow) -> Domain:
    """The domain of a flow with a normal or a uniform base."""
    assert isinstance(flow.base, StandardNormal | Uniform)
    return Cube() if isinstance(flow.base, Uniform) else Line()
