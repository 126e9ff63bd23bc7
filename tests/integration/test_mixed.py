"""Discrete and continuous variables together. Statistical tests allow 4.5 standard deviations."""

import numpy as np
import pytest
from scipy.stats import norm

from lhcflow import InputError
from lhcflow.flows import coupling_spline
from lhcflow.integration import Categories, ChannelGrids, FlowSettings, Integrator, MixedProposal, Sampler
from lhcflow.integration.categories import drawn, for_unweighting
from lhcflow.integration.channel_grids import adapted_grids
from lhcflow.integration.mixed import mixed_flow
from lhcflow.integration.mixture import MixtureProposal

SHARES = np.array([0.1, 0.3, 0.4, 0.2])
LABELS = np.array([[0, 0], [0, 1], [1, 0], [1, 2]])
CATEGORIES = Categories(SHARES, LABELS)
CENTRES = np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.5], [0.3, 0.7]])
SIGMAS = np.array([0.05, 0.1, 0.2, 0.07])
HEIGHTS = np.array([5.0, 1.0, 0.5, 2.0])


def peaks(x):
    """A Gaussian peak in each category, elsewhere and as wide as the category says."""
    k = CATEGORIES.number(x[:, 0])
    z = (x[:, 1:] - CENTRES[k]) / SIGMAS[k][:, None]
    return HEIGHTS[k] * np.exp(-(z**2).sum(axis=1) / 2)


def exact():
    inside = norm.cdf((1 - CENTRES) / SIGMAS[:, None]) - norm.cdf(-CENTRES / SIGMAS[:, None])
    return float((SHARES * HEIGHTS * 2 * np.pi * SIGMAS**2 * inside.prod(axis=1)).sum())


def small_flow(context):
    return coupling_spline(
        2, context, layers=2, hidden=(16,), bins=4, domain="real", permutation="soft", seed=3
    )


def learned(seed=1, calls=20_000):
    return adapted_grids(peaks, ChannelGrids.even(CATEGORIES, 3, 32), calls, np.random.default_rng(seed))


def test_categories_and_places_are_inverse():
    rng = np.random.default_rng(1)
    number, r = rng.integers(0, 4, 1000), rng.random(1000)
    first = CATEGORIES.place(number, r)
    np.testing.assert_array_equal(CATEGORIES.number(first), number)
    np.testing.assert_allclose(CATEGORIES.inside(first, number), r, atol=1e-8)
    assert CATEGORIES.number(np.array([0.0, 1.0])).tolist() == [0, 3]
    assert Categories(np.array([0.5, 0.5, 0.0])).number(np.array([1.0])).tolist() == [1]
    assert CATEGORIES.sizes == (2, 3)


def test_categories_are_drawn_in_their_numbers():
    counts = np.bincount(drawn(SHARES, 1000, np.random.default_rng(2)), minlength=4)
    assert np.abs(counts - 1000 * SHARES).max() <= 1
    first = [drawn(SHARES, 1000, np.random.default_rng(s))[0] for s in range(400)]
    assert abs(np.mean(np.array(first) == 2) - 0.4) < 4.5 * (0.24 / 400) ** 0.5


@pytest.mark.parametrize("kind", ["grids", "flow"])
def test_densities_are_those_of_the_points(kind):
    """The sampler's own density, its inverse, its integral over even points, and through a file."""
    grids = learned()
    proposal = grids
    if kind == "flow":
        flow = mixed_flow(CATEGORIES, grids.probability, small_flow)
        proposal = MixedProposal(flow, grids)
        np.testing.assert_allclose(proposal.probability, grids.probability, rtol=1e-5)
        for p in flow.flow.parameters():
            p.data += 0.1
    rng = np.random.default_rng(4)
    x, density = proposal.sample(5000, rng)
    np.testing.assert_allclose(proposal.density(x), density, rtol=2e-3)
    even = proposal.density(rng.random((100_000, 3)))
    assert abs(even.mean() - 1) < 4.5 * even.std() / len(even) ** 0.5
    again = type(proposal).from_state(proposal.state())
    np.testing.assert_allclose(again.density(x), density, rtol=2e-3)
    number = CATEGORIES.number(x[:, 0])
    assert np.abs(np.bincount(number, minlength=4) / 5000 - proposal.probability).max() < 1e-3


def test_grids_are_kept_where_densities_are_narrow():
    grids = learned().where_narrow(2.5)
    even = (np.abs(grids.edges - np.linspace(0, 1, 33)) < 1e-12).all(axis=2)
    assert even[2].all()  # the broadest peak
    assert not even[[0, 1, 3]].any()
    x, density = grids.sample(1000, np.random.default_rng(1))
    np.testing.assert_allclose(grids.density(x), density, rtol=1e-9)


def test_flow_maps_the_latent_cube():
    grids = learned()
    flow = mixed_flow(CATEGORIES, grids.probability, small_flow)
    u = np.random.default_rng(5).random((3000, 3))
    x, jacobian = MixedProposal(flow, grids).map(u)
    np.testing.assert_allclose(MixedProposal(flow, grids).density(x), 1 / jacobian, rtol=1e-3)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("vegas", {}),
        ("flow", {}),
        ("flow", {"defensive": 0.2}),
        ("flow", {"domain": "unit"}),
        pytest.param("flow", {"device": "cuda"}, marks=pytest.mark.gpu),
        pytest.param("flow", {"device": "cuda", "domain": "unit"}, marks=pytest.mark.gpu),
    ],
)
@pytest.mark.filterwarnings("error:trains without a CUDA graph")
def test_integral_and_sampler(method, options, tmp_path):
    settings = FlowSettings(
        **{"layers": 4, "hidden": (32,), "stages": 3, "steps": 60, "batch": 256} | options
    )
    integrator = Integrator(3, seed=6, method=method, settings=settings, categories=CATEGORIES)
    result = integrator.integrate(peaks, calls=40_000)
    assert abs(result.mean - exact()) < 4.5 * result.sdev
    assert result.sdev < 0.01 * exact()
    assert result.calls <= 40_000
    efficiency = result.sampler.unweighting_efficiency(20_000, overweight=1e-3)
    assert efficiency > 0.3  # even points: 0.02
    result.sampler.save(tmp_path / "s.npz")
    x, w = Sampler.load(tmp_path / "s.npz", peaks).sample(1000)
    proposal = result.sampler.proposal
    np.testing.assert_allclose(w, peaks(x) / proposal.density(x), rtol=2e-3)
    assert isinstance(proposal, MixtureProposal) == ("defensive" in options)


def test_unweighted_points_have_the_integrals_shares():
    result = Integrator(3, seed=7, method="vegas", categories=CATEGORIES).integrate(peaks, calls=40_000)
    points = result.sampler.unweight(20_000, overweight=1e-3)
    found = np.bincount(CATEGORIES.number(points.x[:, 0]), points.weight, 4) / points.weight.sum()
    inside = norm.cdf((1 - CENTRES) / SIGMAS[:, None]) - norm.cdf(-CENTRES / SIGMAS[:, None])
    share = SHARES * HEIGHTS * SIGMAS**2 * inside.prod(axis=1)
    share /= share.sum()
    assert np.abs(found - share).max() < 4.5 * (0.25 / 20_000) ** 0.5 + 1e-3


def test_probabilities_for_unweighting():
    """Two categories of equal integral with maxima 1 and 4: drawn as 1 to 4, not 1 to 1."""
    rng = np.random.default_rng(8)
    number = np.repeat([0, 1], 20_000)
    weights = np.where(number == 0, 1.0, 4.0 * (rng.random(40_000) < 0.25))
    p = for_unweighting(number, weights, np.array([0.5, 0.5]), share=1e-3)
    assert p[1] / p[0] == pytest.approx(4, rel=0.15)


def test_wrong_input():
    with pytest.raises(InputError, match="sum 1"):
        Categories(np.array([0.5, 0.6]))
    with pytest.raises(InputError, match="labels"):
        Categories(SHARES, LABELS[:3])
    with pytest.raises(InputError, match="discrete variables"):
        MixedProposal(mixed_flow(Categories(SHARES), SHARES, small_flow), ChannelGrids.even(CATEGORIES, 3))
