"""Mixtures of proposals: their density, their points, and the bound on weights."""

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.integration import FlowSettings, Integrator, Sampler, Uniform, VegasMap
from lhcflow.integration.mixture import MixtureProposal
from lhcflow.integration.testfunctions import ring

GRID = VegasMap(1, edges=np.array([[0.0, 0.1, 1.0]]))


def test_density_and_points() -> None:
    q = MixtureProposal([GRID, Uniform(1)], [0.75, 0.25])
    x = np.array([[0.05], [0.5]])
    np.testing.assert_allclose(q.density(x), [0.75 * 5 + 0.25, 0.75 * 5 / 9 + 0.25])
    drawn, density = q.sample(40_000, np.random.default_rng(1))
    np.testing.assert_allclose(density, q.density(drawn), rtol=1e-12)
    # 0.75/2 + 0.25/10 of the points lie below 0.1; 5 standard deviations, false alarm 6e-7
    assert abs((drawn < 0.1).mean() - 0.4) < 5 * np.sqrt(0.24 / 40_000)
    assert abs(np.corrcoef(np.arange(40_000), drawn[:, 0])[0, 1]) < 5 / 200  # in random order


def test_saved_and_loaded(tmp_path) -> None:
    sampler = Sampler(MixtureProposal([GRID, Uniform(1)], [0.6, 0.4]), lambda x: x[:, 0], seed=2)
    sampler.save(tmp_path / "s.npz")
    again = Sampler.load(tmp_path / "s.npz", lambda x: x[:, 0])
    for one, other in zip(sampler.sample(100), again.sample(100), strict=True):
        np.testing.assert_array_equal(one, other)


def test_defensive_sampler_of_a_flow() -> None:
    settings = FlowSettings(
        layers=4, hidden=(24,), bins=8, stages=3, steps=30, batch=256, defensive=0.2, zeros=False
    )
    f = ring()
    result = Integrator(2, seed=1, method="flow", settings=settings).integrate(f, calls=6000)
    q = result.sampler.proposal
    assert isinstance(q, MixtureProposal)
    x, w = result.sampler.sample(20_000)
    assert abs(w.mean() - f.exact) < 5 * w.std() / np.sqrt(len(w))  # false alarm 6e-7
    assert (w * q.parts[1].density(x) * 0.2 <= f(x) * (1 + 1e-9)).all()


def test_bad_mixtures() -> None:
    with pytest.raises(InputError, match="one dimension"):
        MixtureProposal([Uniform(1), Uniform(2)], [0.5, 0.5])
    with pytest.raises(InputError, match="positive with sum 1"):
        MixtureProposal([Uniform(1), Uniform(1)], [0.5, 0.6])
    with pytest.raises(InputError, match="defensive"):
        FlowSettings(defensive=1.0)
