"""Integrands with known integrals, as in 2001.05486.

Each is a `TestFunction`: call it with points (n, dim); ``exact`` is its integral over the unit cube.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import erf

from ..errors import InputError

# By adaptive quadrature, repeated in the tests.
CIRCLES = 0.013684776724938
BOX = 1.93696402386833e-10


@dataclass(frozen=True)
class TestFunction:
    """A function on the unit cube and its integral.

    Attributes
    ----------
    name : str
        Short name with the number of dimensions, such as ``camel4``.
    dim : int
        Number of dimensions.
    exact : float
        Its integral over the unit cube, to all digits given.
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    name: str
    dim: int
    exact: float
    function: Callable[[np.ndarray], np.ndarray]

    def __call__(self, x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """Values (n,) at points ``x`` (n, dim)."""
        return self.function(x)


def gaussian(dim: int, sigma: float = 0.2) -> TestFunction:
    """One peak: (sigma sqrt(pi))^-dim exp(-|x - 1/2|^2 / sigma^2) (2001.05486)."""

    def function(x: np.ndarray) -> np.ndarray:
        return _peak(x, 0.5, sigma)

    return TestFunction(f"gaussian{dim}", dim, float(erf(0.5 / sigma) ** dim), function)


def camel(dim: int, sigma: float = 0.2) -> TestFunction:
    """Two peaks on the diagonal: the mean of two Gaussians at 1/3 and 2/3 (2001.05486).

    f(x) = (sigma sqrt(pi))^-dim / 2 (exp(-|x - 1/3|^2 / sigma^2) + exp(-|x - 2/3|^2 / sigma^2)), with 1/3 and
    2/3 in every coordinate and sigma = 0.2. Exact by error functions.

    Examples
    --------
    >>> round(camel(16).exact, 8)
    0.8623625
    """

    def function(x: np.ndarray) -> np.ndarray:
        return (_peak(x, 1 / 3, sigma) + _peak(x, 2 / 3, sigma)) / 2

    one_dimension = (erf(2 / 3 / sigma) + erf(1 / 3 / sigma)) / 2
    return TestFunction(f"camel{dim}", dim, float(one_dimension**dim), function)


def _peak(x: np.ndarray, centre: float, sigma: float) -> np.ndarray:
    norm = (sigma * math.sqrt(math.pi)) ** -x.shape[1]
    return norm * np.exp(-((x - centre) ** 2).sum(axis=1) / sigma**2)


def circles() -> TestFunction:
    """Two entangled circles in 2 dimensions (2001.05486).

    f(x, y) = y^a exp(-w |(x - p1)^2 + (y - p2)^2 - r^2|)
    + (1 - y)^a exp(-w |(x - 1 + p1)^2 + (y - 1 + p2)^2 - r^2|),
    p1 = 0.4, p2 = 0.6, r = 0.25, w = 1/0.004, a = 3: circles around (0.4, 0.6) and (0.6, 0.4), brighter
    on the top and on the bottom, with an exponential profile in the distance squared.
    """

    def function(x: np.ndarray) -> np.ndarray:
        a, b = x[:, 0], x[:, 1]
        first = np.abs((b - 0.6) ** 2 + (a - 0.4) ** 2 - 0.0625)
        second = np.abs((b - 0.4) ** 2 + (a - 0.6) ** 2 - 0.0625)
        return b**3 * np.exp(-first / 0.004) + (1 - b) ** 3 * np.exp(-second / 0.004)

    return TestFunction("circles2", 2, CIRCLES, function)


def ring() -> TestFunction:
    """A ring with hard cuts in 2 dimensions: 1 where 0.2 < |x - (1/2, 1/2)| < 0.45, else 0.

    The integral is pi (0.45^2 - 0.2^2).
    """
    return TestFunction("ring2", 2, math.pi * (0.45**2 - 0.2**2), lambda x: _between(x - 0.5))


def annulus() -> TestFunction:
    """A quarter of the ring around the corner: 1 where 0.2 < |x| < 0.45, else 0 (2001.05486)."""
    return TestFunction("annulus2", 2, math.pi / 4 * (0.45**2 - 0.2**2), _between)


def _between(x: np.ndarray) -> np.ndarray:
    square = (x**2).sum(axis=1)
    return ((square > 0.2**2) & (square < 0.45**2)).astype(float)


def box() -> TestFunction:
    """A scalar one-loop box, one leg massive, a heavy particle in the loop; 3 dimensions (2001.05486).

    The sum of four sectors of 1/F^2 in Feynman parameters (GeV^-4), F = -s12 t2 - s23 t1 t3 - s4 t3 + m^2
    (1 + t1 + t2 + t3)^2 and cyclic permutations of the invariants, at s12 = 130^2, s23 = -s12/2,
    s4 = 125^2 and m = 175 GeV. The paper quotes 1.936964e-10.
    """
    s12, s4, m2 = 130.0**2, 125.0**2, 175.0**2
    s23 = -s12 / 2
    sectors = [
        (s12, s23, (0.0, 0.0, 0.0, s4)),
        (s23, s12, (0.0, 0.0, s4, 0.0)),
        (s12, s23, (0.0, s4, 0.0, 0.0)),
        (s23, s12, (s4, 0.0, 0.0, 0.0)),
    ]

    def function(x: np.ndarray) -> np.ndarray:
        a, b, c = x.T
        total = np.zeros(len(x))
        for s, t, (s1, s2, s3, last) in sectors:
            f = m2 * (1 + a + b + c) ** 2 - s * b - t * a * c - s1 * a - s2 * a * b - s3 * b * c - last * c
            total += 1 / f**2
        return total

    return TestFunction("box3", 3, BOX, function)


def polynomial(dim: int = 18) -> TestFunction:
    """The sum of x_i - x_i^2 over all coordinates (2001.05486); the integral is dim/6."""
    return TestFunction(f"polynomial{dim}", dim, dim / 6, lambda x: (x - x**2).sum(axis=1))


def by_name(name: str) -> TestFunction:
    """The test function of a name such as ``camel4``, ``circles2`` or ``polynomial18``.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> by_name("camel4").dim
    4
    """
    kind = name.rstrip("0123456789")
    fixed = {"circles": circles, "ring": ring, "annulus": annulus, "box": box}
    free = {"gaussian": gaussian, "camel": camel, "polynomial": polynomial}
    digits = name[len(kind) :]
    if kind in free and digits and int(digits) > 0:
        return free[kind](int(digits))
    if kind in fixed and fixed[kind]().name == name:
        return fixed[kind]()
    raise InputError(
        f"no test function {name!r}; there are gaussian, camel and polynomial with a dimension, "
        "circles2, ring2, annulus2 and box3"
    )
