"""The exact integrals of the test functions against quadrature."""

import math

import numpy as np
import pytest
from scipy import integrate

from lhcflow import InputError
from lhcflow.integration import testfunctions as functions


def gauss_legendre(f, dim, points):
    nodes, weights = np.polynomial.legendre.leggauss(points)
    x = np.stack(np.meshgrid(*[(nodes + 1) / 2] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    w = np.prod(np.stack(np.meshgrid(*[weights / 2] * dim, indexing="ij"), axis=-1).reshape(-1, dim), axis=1)
    return float(w @ f(x))


@pytest.mark.parametrize(
    ("name", "points"),
    [("gaussian2", 60), ("camel2", 60), ("camel3", 40), ("polynomial3", 4), ("box3", 20)],
)
def test_smooth_functions(name, points):
    f = functions.by_name(name)
    assert gauss_legendre(f, f.dim, points) == pytest.approx(f.exact, rel=1e-12)


def test_circles():
    f = functions.circles()

    def line(y):
        # Kinks where the line crosses the two circles.
        kinks = [
            c + s * math.sqrt(h)
            for c, d in ((0.4, 0.6), (0.6, 0.4))
            if (h := 0.0625 - (y - d) ** 2) > 0
            for s in (-1, 1)
        ]
        value, _ = integrate.quad(
            lambda x: float(f(np.array([[x, y]]))[0]), 0, 1, points=[0.4, 0.6, *kinks], epsrel=1e-9, limit=200
        )
        return value

    value, _ = integrate.quad(line, 0, 1, points=[0.15, 0.35, 0.65, 0.85], epsrel=1e-8, limit=200)
    assert value == pytest.approx(f.exact, rel=1e-8)


def test_circles_agree_with_the_published_value():
    assert functions.circles().exact == pytest.approx(0.0136848, rel=1e-5)  # 2001.05486


@pytest.mark.parametrize("name", ["ring2", "annulus2"])
def test_cuts(name):
    # Points of a fine grid: the error is that of the pixels on the edges.
    f = functions.by_name(name)
    centres = (np.arange(2000) + 0.5) / 2000
    x = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    assert f(x).mean() == pytest.approx(f.exact, rel=1e-4)


@pytest.mark.parametrize("name", ["camel", "camel0", "circles3", "ring", "nothing2"])
def test_unknown_names(name):
    with pytest.raises(InputError, match="no test function"):
        functions.by_name(name)
