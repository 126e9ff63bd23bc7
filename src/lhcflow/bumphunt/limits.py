"""Limits of features, which may move with the mass: kinematic edges, found in the events."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

_DEGREE, _SLICE, _MOST_SLICES = 4, 50, 1000
_CLOSE, _MANY = 0.02, 0.004
"""An edge is sharp if that share of the feature's range next to it holds so large a share of the events: a
fifth of what a flat density would have there."""


class Limits:
    """Between which values each feature of a sample lies: constants, or polynomials of log m at sharp edges.

    A feature such as Delta R ends at a value that depends on m. With limits that do not, a flow has to
    learn a step that moves, which it can't; what it gets wrong there marks m, and a cut on it makes a bump.
    An edge is sharp if many events lie close to the tightest polynomial of degree four that none exceeds.

    Parameters
    ----------
    X, m : array_like
        Features (n, features) and masses (n,).

    Raises
    ------
    InputError
        If a feature is constant.
    """

    def __init__(self, X: ArrayLike, m: ArrayLike) -> None:
        X, m = np.asarray(X, float), np.asarray(m, float)
        constant = np.flatnonzero(~(np.ptp(X, axis=0) > 0)).tolist()
        if constant:
            raise InputError(f"the features {constant} are constant: leave them out")
        self.range = float(m.min()), float(m.max())
        self.least, self.most = X.min(0), X.max(0)
        powers = self._powers(m)
        slices = np.array_split(np.argsort(m), min(max(len(m) // _SLICE, 1), _MOST_SLICES))
        self.low = np.stack([-_above(-x, powers, slices) for x in X.T])
        self.high = np.stack([_above(x, powers, slices) for x in X.T])

    def __call__(self, m: ArrayLike) -> tuple[Array, Array]:
        """Lowest and highest values (n, features) at masses ``m`` (n,); at the nearest end beyond."""
        powers = self._powers(np.asarray(m, float))
        # Where events are rare a polynomial may leave the range of them all.
        return np.maximum(powers @ self.low.T, self.least), np.minimum(powers @ self.high.T, self.most)

    def _powers(self, m: Array) -> Array:
        """Chebyshev polynomials (n, degree + 1) of log m."""
        low, high = np.log(self.range[0]), np.log(self.range[1])
        u = np.log(np.clip(m, *self.range)) - low
        u = 2 * u / (high - low) - 1 if high > low else 0 * u
        return np.polynomial.chebyshev.chebvander(u, _DEGREE)


def _above(x: Array, powers: Array, slices: list[NDArray[np.int64]]) -> Array:
    """Coefficients (degree + 1,) of what no value ``x`` (n,) exceeds."""
    from scipy.optimize import linprog

    scale, place = float(np.ptp(x)), float(x.max())
    y = (x - place) / scale
    constant = np.append(place, np.zeros(powers.shape[1] - 1))
    # The highest of a slice counts at both of its ends, so that the limits stay apart where events are rare.
    ends = np.array([(rows[0], rows[-1]) for rows in slices]).ravel()
    highest = np.repeat([y[rows].max() for rows in slices], 2)
    found = linprog(powers.mean(0), A_ub=-powers[ends], b_ub=-highest, bounds=(None, None))
    if found.x is None:
        return constant
    found.x[0] += max(float((y - powers @ found.x).max()), 0.0)
    sharp = np.mean(powers @ found.x - y < _CLOSE) >= _MANY
    return scale * found.x + constant if sharp else constant
