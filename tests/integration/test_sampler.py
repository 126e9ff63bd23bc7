"""Samplers: weights that integrate, unweighted points that follow the integrand, saving."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from lhcflow import InputError, integration
from lhcflow.errors import RunError
from lhcflow.integration import Sampler, Strata, StratifiedProposal, Uniform, Vegas, VegasMap
from lhcflow.integration import testfunctions as functions


@pytest.fixture(scope="module")
def adapted():
    vegas = Vegas(2, seed=1)
    vegas.integrate(functions.camel(2), 100_000)
    return vegas


def proposals(vegas):
    return [Uniform(2), vegas.grid, vegas.proposal()]


@pytest.mark.parametrize("which", range(3))
def test_weights_integrate(adapted, which):
    f = functions.camel(2)
    x, w = Sampler(proposals(adapted)[which], f, seed=2).sample(100_000)
    assert x.shape == (100_000, 2)
    assert abs(w.mean() - f.exact) < 4 * w.std() / math.sqrt(len(w))


@pytest.mark.parametrize("which", range(3))
def test_densities_are_normalised_and_those_of_the_points(adapted, which):
    proposal = proposals(adapted)[which]
    rng = np.random.default_rng(3)
    x, q = proposal.sample(50_000, rng)
    np.testing.assert_allclose(proposal.density(x), q, rtol=1e-9)
    assert abs((1 / q).mean() - 1) < 4 * (1 / q).std() / math.sqrt(len(q)) + 1e-12
    # The share of points in a box is the integral of the density over it. 5 sigma.
    inside = ((x > 0.2) & (x < 0.45)).all(axis=1).mean()
    u = 0.2 + 0.25 * rng.random((200_000, 2))
    density = proposal.density(u) * 0.25**2
    error = math.hypot(density.std() / math.sqrt(len(u)), math.sqrt(inside * (1 - inside) / len(x)))
    assert abs(inside - density.mean()) < 5 * error


def test_strata_flatten_the_weights(adapted):
    f = functions.camel(2)
    grid, strata = (Sampler(p, f, seed=4).sample(50_000)[1] for p in proposals(adapted)[1:])
    assert strata.std() / strata.mean() < 0.3 * grid.std() / grid.mean()


@pytest.mark.parametrize("which", [1, 2])
def test_unweighted_points_follow_the_integrand(adapted, which):
    # chi2 against the exact contents of 10 x 10 boxes; false-alarm rate 1e-4.
    f = functions.camel(2)
    points = Sampler(proposals(adapted)[which], f, seed=5).unweight(50_000)
    counts, _, _ = np.histogram2d(*points.x.T, bins=10, range=[(0, 1)] * 2, weights=points.weight)
    squares, _, _ = np.histogram2d(*points.x.T, bins=10, range=[(0, 1)] * 2, weights=points.weight**2)
    nodes, weights = np.polynomial.legendre.leggauss(12)
    t = ((np.arange(10)[:, None] + (nodes + 1) / 2) / 10).ravel()
    grid = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
    values = (
        f(grid).reshape(10, 12, 10, 12) * np.outer(weights, weights)[None, :, None, :].reshape(1, 12, 1, 12)
    ).sum(axis=(1, 3))
    expected = values / values.sum() * counts.sum()
    scale = np.maximum(squares / np.maximum(counts, 1), 1)
    statistic = ((counts - expected) ** 2 / (expected * scale)).sum()
    assert chi2.sf(statistic, 99) > 1e-4
    assert len(points) == 50_000
    assert np.asarray(points).shape == (50_000, 2)
    assert points.overweight < 5e-3
    assert points.weight.min() == 1


def test_efficiency_is_what_unweighting_reaches(adapted):
    sampler = Sampler(adapted.proposal(), functions.camel(2), seed=6)
    efficiency = sampler.unweighting_efficiency(100_000, overweight=1e-3)
    assert efficiency > 0.85
    points = sampler.unweight(20_000, w_max=efficiency.w_max)
    assert points.efficiency == pytest.approx(
        float(efficiency), abs=5 * math.sqrt(0.1 / 20_000) + efficiency.error
    )
    bootstrap = sampler.bootstrap_efficiency(1000)
    assert bootstrap.n == 50_000
    assert 0 < bootstrap <= 1


def test_negative_integrands_keep_their_sign():
    def f(x):
        return x[:, 0] - 0.25

    points = Sampler(Uniform(1), f, seed=7).unweight(40_000, overweight=0)
    assert set(np.unique(points.weight)) <= {-1.0, 1.0} or np.abs(points.weight).max() < 1.001
    np.testing.assert_array_equal(np.sign(points.weight), np.sign(f(points.x)))
    # Negative share of |f|: (1/32) / (1/32 + 9/32). 5 sigma.
    assert abs((points.weight < 0).mean() - 0.1) < 5 * math.sqrt(0.09 / 40_000)


def test_seeds_and_continuation():
    f = functions.camel(2)
    a, b = Sampler(Uniform(2), f, seed=1), Sampler(Uniform(2), f, seed=1)
    np.testing.assert_array_equal(a.sample(100)[0], b.sample(100)[0])
    assert not np.array_equal(a.sample(100)[0], Sampler(Uniform(2), f, seed=1).sample(100)[0])


@pytest.mark.parametrize("which", range(3))
def test_save_and_load(adapted, which, tmp_path):
    f = functions.camel(2)
    sampler = Sampler(proposals(adapted)[which], f, seed=8)
    sampler.sample(10)
    sampler.save(tmp_path / "sampler.npz")
    loaded = Sampler.load(tmp_path / "sampler.npz", f)
    for ours, theirs in zip(sampler.sample(1000), loaded.sample(1000), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [p.name for p in tmp_path.iterdir()] == ["sampler.npz"]


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(InputError, match="no file"):
        Sampler.load(tmp_path / "missing", functions.camel(2))
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="not a sampler"):
        Sampler.load(tmp_path / "junk", functions.camel(2))
    with pytest.raises(InputError, match="folder"):
        Sampler(Uniform(2), functions.camel(2)).save(tmp_path / "no" / "where")


def test_gives_up():
    def rare(x):
        return (x[:, 0] < 1e-4).astype(float) * 1e3 + 1e-12

    with pytest.raises(RunError, match="accepted"):
        Sampler(Uniform(1), rare, seed=1).unweight(1000, max_trials=50_000)


def test_a_result_carries_its_sampler():
    f = functions.camel(2)
    result = Vegas(2, seed=9).integrate(f, 50_000)
    _, w = result.sampler.sample(50_000)
    assert abs(w.mean() - f.exact) < 4 * w.std() / math.sqrt(len(w))


def test_stratified_proposal_needs_probabilities():
    with pytest.raises(InputError, match="probabilities"):
        StratifiedProposal(VegasMap(2))
    with pytest.raises(InputError, match="probabilities"):
        StratifiedProposal(VegasMap(1), divisions=np.array([2]), probability=np.ones(3))


def test_unknown_proposals_are_refused():
    with pytest.raises(InputError, match="unknown proposal"):
        integration.proposal.rebuild("Nothing", {})


def test_strata_get_a_part_of_their_largest_neighbour():
    """Against a loop over all pairs of boxes that share a face."""
    divisions = np.array([3, 2, 4])
    strata = Strata(divisions)
    rng = np.random.default_rng(1)
    largest = rng.random(strata.count) * (rng.random(strata.count) < 0.4)
    strata.learn(np.full(strata.count, 1e6), np.full(strata.count, 0.1), largest)
    wanted = largest.copy()  # three standard deviations above the mean are far above the largest value
    place = np.stack([np.arange(24) % 3, np.arange(24) // 3 % 2, np.arange(24) // 6], 1)
    for i in range(24):
        for j in range(24):
            if np.abs(place[i] - place[j]).sum() == 1:
                wanted[i] = max(wanted[i], 0.3 * largest[j])
    expected = 0.9 * wanted / wanted.sum() + 0.1 / 24
    np.testing.assert_allclose(StratifiedProposal(VegasMap(3), strata).probability, expected, rtol=1e-12)
