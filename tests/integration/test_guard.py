"""The guard: collapsed proposals must be found, healthy ones left in peace."""

import math

import numpy as np
import pytest

from lhcflow.integration import Proposal, Uniform
from lhcflow.integration.guard import Probe, drawn_probes, lost_mode_warnings
from lhcflow.integration.testfunctions import TestFunction, camel

SIGMA = 0.2 / math.sqrt(2)


class Peaks(Proposal):
    """Equal parts of normal densities around the given centres, cut off at the walls of the cube.

    Normalised over the cube, width ``stretch`` times that of the camel's peaks.
    """

    def __init__(self, dim: int, centres: list[float], stretch: float = 1.0) -> None:
        self.dim, self.centres, self.sigma = dim, centres, SIGMA * stretch
        cut = [
            0.5 * (math.erf((1 - c) / self.sigma / 2**0.5) + math.erf(c / self.sigma / 2**0.5))
            for c in centres
        ]
        self.norms = [1 / len(centres) / (c * self.sigma * math.sqrt(2 * math.pi)) ** dim for c in cut]

    def density(self, x):
        return sum(
            n * np.exp(-((x - c) ** 2).sum(1) / (2 * self.sigma**2))
            for n, c in zip(self.norms, self.centres, strict=True)
        )

    def sample(self, n, rng):
        centre = rng.choice(self.centres, n)[:, None]
        x = centre + self.sigma * rng.standard_normal((n, self.dim))
        while (bad := ((x < 0) | (x > 1))).any():
            x[bad] = (centre + self.sigma * rng.standard_normal(x.shape))[bad]
        return x, self.density(x)

    def state(self):
        raise NotImplementedError

    @classmethod
    def from_state(cls, state):
        raise NotImplementedError


def check(f: TestFunction, q: Proposal, seed: int, points: int = 2000, n: int = 20_000) -> tuple[str, ...]:
    """The guard's verdict on a plain estimate with ``q``, from uniform and broad probes."""
    rng = np.random.default_rng(seed)
    x, density = q.sample(n, rng)
    w = f(x) / density
    sources = {"uniform": Uniform(f.dim), "broad": Peaks(f.dim, [1 / 3, 2 / 3], stretch=1.6)}
    probes = drawn_probes(f, sources, 2 * points, rng)
    return lost_mode_warnings(float(w.mean()), float(w.std() / n**0.5), q, float(w.mean()), probes)


@pytest.mark.parametrize("dim", [2, 4, 8, 16])
def test_a_lost_peak_is_found(dim: int) -> None:
    """The collapsed proposal returns half of the integral with an error far below the difference."""
    found = [check(camel(dim), Peaks(dim, [1 / 3]), seed) for seed in range(10)]
    if dim > 4:  # in fewer dimensions the peaks overlap, and weights show what is missing
        x, density = Peaks(dim, [1 / 3]).sample(20_000, np.random.default_rng(0))
        w = camel(dim)(x) / density
        assert abs(w.mean() / camel(dim).exact - 1) > 0.3
    assert all("lost mode" in " ".join(messages) for messages in found)


@pytest.mark.parametrize("dim", [2, 4, 8, 16])
@pytest.mark.parametrize("stretch", [1.0, 1.25])
def test_healthy_proposals_raise_no_alarm(dim: int, stretch: float) -> None:
    """100 seeds without an alarm: the rate is below 3 % at 95 % confidence in each case."""
    q = Peaks(dim, [1 / 3, 2 / 3], stretch)
    alarms = [check(camel(dim), q, 100 + seed, n=5000) for seed in range(100)]
    assert sum(bool(a) for a in alarms) == 0


def test_sign_of_the_integral_does_not_matter() -> None:
    f = camel(4)
    negative = TestFunction("negative", 4, -f.exact, lambda x: -f(x))
    q = Peaks(4, [1 / 3])
    rng = np.random.default_rng(1)
    x, density = Uniform(4).sample(2000, rng)
    probe = Probe("uniform", x, negative(x), density)
    assert lost_mode_warnings(-0.5, 1e-3, q, 0.5, [probe])
    assert not lost_mode_warnings(-f.exact, 1e-3, Peaks(4, [1 / 3, 2 / 3]), f.exact, [probe])


def test_an_integrand_the_probe_never_hits_says_nothing() -> None:
    probe = Probe("uniform", np.full((10, 2), 0.5), np.zeros(10), np.ones(10))
    assert lost_mode_warnings(1.0, 0.1, Uniform(2), 1.0, [probe]) == ()
