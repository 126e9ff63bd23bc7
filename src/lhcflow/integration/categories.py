"""Discrete variables on the unit cube: the first coordinate as the number of a category."""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Float, Integer

from ..errors import InputError

EDGE = 1e-9  # points keep this relative distance from the ends of their category's interval


class Categories:
    """Category k has the interval of length ``shares[k]`` of the first coordinate; intervals in turn.

    Where in its interval a point lies means nothing: the integrand is constant there.

    Parameters
    ----------
    shares : ndarray
        (k,) lengths, with sum 1; 0 closes a category.
    labels : ndarray, optional
        (k, m) the category as values of m discrete variables, such as channel and subprocess, from 0 on; by
        default its number.

    Examples
    --------
    >>> two = Categories(np.array([0.25, 0.75]))
    >>> two.number(np.array([0.2, 0.3])).tolist(), two.place(np.array([1]), np.array([0.5])).tolist()
    ([0, 1], [0.625])
    """

    def __init__(self, shares: np.ndarray, labels: np.ndarray | None = None) -> None:
        self.shares = np.asarray(shares, dtype=float)
        if self.shares.ndim != 1 or (self.shares < 0).any() or abs(self.shares.sum() - 1) > 1e-9:
            raise InputError("the shares of categories must be numbers >= 0 with sum 1")
        default = np.arange(len(self.shares))[:, None]
        self.labels = default if labels is None else np.asarray(labels, dtype=np.int64)
        if self.labels.shape[:1] != self.shares.shape or self.labels.ndim != 2 or (self.labels < 0).any():
            raise InputError(f"labels of {len(self.shares)} categories have shape (categories, variables)")
        self._ends = np.cumsum(self.shares)
        self._last = int(np.flatnonzero(self.shares)[-1])

    def __len__(self) -> int:
        return len(self.shares)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each discrete variable."""
        return tuple(int(n) + 1 for n in self.labels.max(axis=0))

    def number(self, first: Float[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
        """Categories (n,) of points with these first coordinates (n,)."""
        return np.searchsorted(self._ends[: self._last], first, side="right")

    def place(
        self, number: Integer[np.ndarray, " n"], inside: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """First coordinates (n,) of points of these categories, ``inside`` in [0, 1] along the interval."""
        r = np.clip(inside, EDGE, 1 - EDGE)
        return self._ends[number] - self.shares[number] * (1 - r)

    def inside(self, first: np.ndarray, number: np.ndarray) -> Float[np.ndarray, " n"]:
        """The inverse of `place`: where along its interval each point lies."""
        return np.clip(1 - (self._ends[number] - first) / self.shares[number], EDGE, 1 - EDGE)


def drawn(probability: np.ndarray, n: int, rng: np.random.Generator) -> Integer[np.ndarray, " n"]:
    """``n`` categories in numbers as close to their probabilities as can be, in random order."""
    ends = np.cumsum(probability)
    places = (np.arange(n) + rng.random()) / max(n, 1) * ends[-1]
    last = int(np.flatnonzero(probability)[-1])
    return rng.permutation(np.searchsorted(ends[:last], places, side="right"))


def for_unweighting(
    number: np.ndarray, weights: np.ndarray, probability: np.ndarray, share: float = 1e-3
) -> Float[np.ndarray, " k"]:
    """Probabilities of categories with which most points survive unweighting.

    A category is best drawn in proportion to its largest weights, ``p_k max(w)_k``; as maxima fluctuate,
    their place is taken by ``(mean of |w|^m)^(1/m)``, with the m that serves best when fitted on one half of
    the points and used on the other. m = 1 follows the integral, m = 2 the variance. A part of the
    probability, chosen too, may be even: rare categories are known least.

    Parameters
    ----------
    number, weights : ndarray
        (n,) categories and weights of points drawn with
    probability : ndarray
        (k,).
    share : float
        Of the integral that overweight points may carry.
    """
    size = len(probability)
    w = np.abs(weights)
    if not w.any():
        return probability
    even = np.arange(len(w)) % 2 == 0

    def proposed(power: float, least: float, rows: np.ndarray) -> np.ndarray:
        counts = np.bincount(number[rows], minlength=size)
        moment = np.bincount(number[rows], (w[rows] / w.max()) ** power, size) / np.maximum(counts, 1)
        found = probability * moment ** (1 / power)
        # categories with few points keep close to what they have
        trust = counts / (counts + 20.0)
        found = trust * found / max(found.sum(), 1e-300) + (1 - trust) * probability
        found = np.maximum(found, 0.05 * probability)
        return (1 - least) * found / found.sum() + least * (probability > 0) / (probability > 0).sum()

    def efficiency(candidate: np.ndarray, rows: np.ndarray) -> float:
        # the points were drawn with the old probabilities: each counts by the ratio
        count = (candidate / np.where(probability > 0, probability, 1.0))[number[rows]]
        test = w[rows] / np.where(count > 0, count, 1.0)
        order = np.argsort(-test)
        carried = np.cumsum(test[order] * count[order])
        allowed = int(np.searchsorted(carried, share * carried[-1]))
        w_max = test[order][min(allowed, len(test) - 1)]
        if not w_max > 0:  # these points all vanish
            return 0.0
        return float((count * np.minimum(test / w_max, 1)).sum() / count.sum())

    halves = [(even, ~even), (~even, even)]
    choices = list(product((1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 12.0, 40.0), (0.0, 0.02, 0.05)))
    scores = [sum(efficiency(proposed(*c, fit), test) for fit, test in halves) for c in choices]
    if max(scores) <= sum(efficiency(probability, test) for _, test in halves):
        return probability
    return proposed(*choices[int(np.argmax(scores))], np.ones(len(w), dtype=bool))
