"""A VEGAS map whose strata have probabilities of their own: VEGAS+ as a sampler."""

from __future__ import annotations

from typing import Self

import numpy as np

from ..errors import InputError
from .proposal import Proposal, inside
from .stratification import Strata
from .vegas_map import VegasMap

DEFENSIVE = 0.1  # of the probability is spread evenly: no stratum is out of reach
NEIGHBOUR = 0.3  # of its largest neighbour's wanted probability is the least that a stratum gets


class StratifiedProposal(Proposal):
    """Draw a stratum with its probability, a point in it, and map it by a VEGAS grid.

    The density is that of the grid times the stratum's probability over its volume: what the separable
    grid can't describe, the strata do in steps. For a given resolution the weights f/q are flatter than those
    of the grid alone, which the integral (whose strata are not random) has no use for, but unweighting does.

    Parameters
    ----------
    grid : VegasMap
        The map.
    strata : Strata, optional
        What VEGAS+ learned; probabilities follow the largest weights it saw in each stratum, between the mean
        and the maximum.
    divisions, probability : ndarray, optional
        (dim,), (strata,) instead of ``strata``.
    """

    def __init__(
        self,
        grid: VegasMap,
        strata: Strata | None = None,
        *,
        divisions: np.ndarray | None = None,
        probability: np.ndarray | None = None,
    ) -> None:
        self.dim = grid.dim
        self.grid = grid
        if strata is not None:
            wanted = _probabilities(strata)
            shares: np.ndarray = wanted / wanted.sum()
        elif divisions is not None and probability is not None:
            strata, shares = Strata(divisions), probability
        else:
            raise InputError("a stratified proposal needs strata, or divisions and probabilities")
        if shares.shape != (strata.count,) or (shares < 0).any():
            raise InputError("probabilities must be positive, one for each stratum")
        if abs(shares.sum() - 1) > 1e-9:
            raise InputError(f"the probabilities of strata must add up to 1, not to {shares.sum():g}")
        self._strata = strata
        self.divisions = strata.divisions
        self.probability = shares
        self._cumulative = np.cumsum(self.probability)
        self._cumulative /= self._cumulative[-1]

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        last = len(self.probability) - 1
        stratum = np.minimum(np.searchsorted(self._cumulative, rng.random(n), side="right"), last)
        y = (self._strata.corner(stratum) + rng.random((n, self.dim))) / self.divisions
        x, jacobian = self.grid.map(y)
        return x, self.probability[stratum] * len(self.probability) / jacobian

    def density(self, x: np.ndarray) -> np.ndarray:
        y, density = self.grid.inverse(np.clip(x, 0, 1))
        relative = self.probability[self._strata.index(y)] * len(self.probability)
        return np.where(inside(x), density * relative, 0.0)

    def state(self) -> dict[str, np.ndarray]:
        return {"edges": self.grid.edges, "divisions": self.divisions, "probability": self.probability}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        grid = VegasMap(state["edges"].shape[0], edges=state["edges"])
        return cls(grid, divisions=state["divisions"], probability=state["probability"])

    def __repr__(self) -> str:
        return f"StratifiedProposal({self.grid!r}, strata={'x'.join(str(n) for n in self.divisions)})"


def _probabilities(strata: Strata) -> np.ndarray:
    """Probabilities of the strata that keep the weights within bounds, as far as their points tell."""
    uniform = np.full(strata.count, 1 / strata.count)
    if strata.mean is None or strata.variance is None or strata.largest is None or not strata.mean.any():
        return uniform
    # The rms would be best for the integral; unweighting wants the largest weights to be equal. Three
    # standard deviations above the mean estimate them with less noise where few points were seen. And the few
    # points of a stratum may all have missed the part of it that lies within a cut or on a peak.
    wanted = np.minimum(strata.mean + 3 * np.sqrt(strata.variance), strata.largest)
    wanted = np.maximum(wanted, NEIGHBOUR * _largest_neighbour(wanted, strata.divisions))
    return (1 - DEFENSIVE) * wanted / wanted.sum() + DEFENSIVE * uniform


def _largest_neighbour(values: np.ndarray, divisions: np.ndarray) -> np.ndarray:
    """Largest of the values (strata,) in the strata that share a face with each stratum."""
    # Only dimensions with more than one division have neighbours: an array has at most 64 dimensions.
    grid = values.reshape(divisions[divisions > 1][::-1])
    largest = np.zeros_like(grid)
    for axis in range(grid.ndim):
        along, found = np.moveaxis(grid, axis, 0), np.moveaxis(largest, axis, 0)
        np.maximum(found[1:], along[:-1], out=found[1:])
        np.maximum(found[:-1], along[1:], out=found[:-1])
    return largest.ravel()
