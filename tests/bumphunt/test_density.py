"""Preprocessing, mass density and conditional density against autograd, quadrature and the truth."""

import copy

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from lhcflow.bumphunt import ConditionalDensity, MassDensity, SignalRegion, Toy
from lhcflow.bumphunt.limits import Limits
from lhcflow.bumphunt.preprocessing import Preprocessing
from lhcflow.errors import InputError


def test_jacobian_of_the_preprocessing_is_that_of_autograd():
    events = Toy(edge=True).sample(500, 0, seed=1)
    X, m = events.features, events.m
    preprocessing = Preprocessing(X, m, Limits(X, m))
    z, log_det = preprocessing.forward(X, m)

    def through(x, i):
        low, width = preprocessing._box(m[i : i + 1])
        x = (x - torch.as_tensor(low)) / torch.as_tensor(width)
        for bijection in preprocessing.bijections:
            x, _ = bijection(x)
        return x

    for i in range(20):
        J = torch.autograd.functional.jacobian(lambda x, i=i: through(x[None], i)[0], torch.as_tensor(X[i]))
        assert log_det[i] == pytest.approx(float(torch.linalg.slogdet(J)[1]), abs=1e-9)
    np.testing.assert_allclose(preprocessing.inverse(z, m), X, atol=1e-9)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-6)
    beyond = X[:1] + 10 * (X.max(0) - X.min(0))
    assert preprocessing.forward(beyond, m[:1])[1] == -np.inf
    assert np.isfinite(preprocessing.forward(beyond, m[:1])[0]).all()


def test_limits_follow_a_moving_edge_and_hold_all_events():
    events = Toy(edge=True).sample(50_000, 0, seed=6)
    limits = Limits(events.features, events.m)
    low, high = limits(events.m)
    assert np.all(events.features >= low - 1e-9)
    assert np.all(events.features <= high + 1e-9)
    m = np.linspace(2.7, 4.5, 20)
    edge = np.hypot(np.pi, 2 * np.arccosh(m / 2.4))  # both jets at pT = 1.2 TeV
    # A polynomial, and 50 events a slice: a few per cent of the range, which is 0.2 to 1.
    np.testing.assert_allclose(limits(m)[1][:, 4], edge, atol=0.05)
    np.testing.assert_allclose(limits(m)[0][:, 4], np.pi, atol=0.03)
    beyond = np.array([1.0, 2.0])
    np.testing.assert_array_equal(limits(beyond)[1][0], limits(beyond)[1][1])


def test_density_of_the_mass_integrates_to_one_and_follows_its_sample():
    m = Toy().sample(20_000, 0, seed=2).m
    density = MassDensity(m, SignalRegion(3.3, 3.7))
    grid = np.linspace(3.3, 3.7, 200_001)[1:-1]
    assert integrate.trapezoid(np.exp(density.log_prob(grid)), grid) == pytest.approx(1, abs=2e-3)
    drawn = density.sample(5000, np.random.default_rng(1))
    cumulative = np.cumsum(np.exp(density.log_prob(grid)))
    # Kolmogorov-Smirnov; wrong in one of a thousand seeds.
    assert stats.kstest(np.interp(drawn, grid, cumulative / cumulative[-1]), "uniform").pvalue > 1e-3
    assert density.log_prob(np.array([3.2, 3.8])).tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize("flow", ["coupling", "maf"])
def test_density_round_trip_and_change_of_variables(flow):
    events = Toy().sample(3000, 0, seed=3)
    density = ConditionalDensity(flow, layers=2, hidden=(16,), epochs=2).fit(events.features, events.m)
    X, m = events.features[:200], events.m[:200]
    z = density.transform(X, m)
    # Spline and logit in float32: 1e-4 of the features' range.
    np.testing.assert_allclose(density.inverse_transform(z, m), X, atol=1e-3)
    step = 1e-3
    for i in range(3):  # the Jacobian by finite differences
        rows = np.repeat(X[i : i + 1], 8, 0)
        h = step * X.std(0)
        rows[np.arange(4), np.arange(4)] += h
        rows[np.arange(4) + 4, np.arange(4)] -= h
        moved = density.transform(rows, np.full(8, m[i]))
        J = (moved[:4] - moved[4:]) / (2 * h[:, None])
        expected = stats.norm.logpdf(z[i]).sum() + np.linalg.slogdet(J)[1]
        assert density.log_prob(X[i : i + 1], m[i : i + 1])[0] == pytest.approx(expected, abs=0.05)


def test_trained_density_is_close_to_the_truth():
    toy = Toy()
    events = toy.sample(30_000, 0, seed=4)
    density = ConditionalDensity(layers=2, hidden=(32,), epochs=5).fit(events.features, events.m)
    held = toy.sample(5000, 0, seed=5)
    divergence = toy.log_background(held.features, held.m) - np.maximum(
        density.log_prob(held.features, held.m), -50
    )
    # KL divergence in nats; a Gaussian in the preprocessed features has about 0.3.
    assert -0.02 < divergence.mean() < 0.12


def test_members_are_averaged():
    toy = Toy()
    events = toy.sample(1000, 0, seed=7)
    settings: dict = {"layers": 2, "hidden": (8,), "bins": 4, "epochs": 10, "learning_rate": 3e-2, "seed": 5}
    density = ConditionalDensity(members=3, **settings).fit(events.features, events.m)
    single = ConditionalDensity(**settings).fit(events.features, events.m)
    X, m = events.features, events.m
    alone = []
    for flow in density.flows_:
        one = copy.copy(density)
        one.flows_ = [flow]
        alone.append(one.log_prob(X, m))
    np.testing.assert_array_equal(alone[0], single.log_prob(X, m))
    np.testing.assert_array_equal(density.transform(X, m), single.transform(X, m))
    assert min(np.std(alone[0] - other) for other in alone[1:]) > 0.05
    np.testing.assert_allclose(np.exp(density.log_prob(X, m)), np.exp(alone).mean(0), rtol=1e-6)
    # Drawn from the mean q, p/q of every member p has the mean 1, here with an error of 0.004.
    m = np.full(20_000, 3.5)
    drawn = density.sample(m, np.random.default_rng(8))
    q = density.log_prob(drawn, m)
    for flow in density.flows_:
        one.flows_ = [flow]
        ratio = np.exp(one.log_prob(drawn, m) - q)
        assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(m))
    with pytest.raises(InputError, match="members must be >= 1, got 0"):
        ConditionalDensity(members=0).fit(events.features, events.m)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_such_device():
    events = Toy().sample(1000, 0, seed=7)
    with pytest.raises(InputError, match="no device 'cuda' here"):
        ConditionalDensity(device="cuda").fit(events.features, events.m)


@pytest.mark.gpu
@pytest.mark.parametrize("flow", ["coupling", "maf"])
def test_trained_on_cuda(flow):
    toy = Toy()
    events, held = toy.sample(20_000, 0, seed=4), toy.sample(5000, 0, seed=5)
    settings = {"layers": 2, "hidden": (32,), "epochs": 4, "members": 2}
    losses = []
    for device in ("cpu", "cuda"):
        density = ConditionalDensity(flow, **settings, device=device).fit(events.features, events.m)
        assert {p.device.type for f in density.flows_ for p in f.parameters()} == {"cpu"}
        losses.append(-density.log_prob(held.features, held.m).mean())
        assert np.isfinite(density.sample(held.m, np.random.default_rng(1))).all()
    # The same weights and batches at the start; rounding makes them drift apart by less than the training.
    assert losses[0] == pytest.approx(losses[1], abs=0.02)


@pytest.mark.parametrize("flow", ["coupling", "maf"])
def test_nothing_lies_beyond_the_limits(flow):
    events = Toy().sample(3000, 0, seed=3)
    density = ConditionalDensity(flow, layers=2, hidden=(16,), epochs=2).fit(events.features, events.m)
    X = np.repeat(events.features[:1], 3, 0)
    X[1:, 0] += [0.5, 1e6]
    assert (density.log_prob(X, np.repeat(events.m[:1], 3)) > -np.inf).tolist() == [True, False, False]
    assert np.isfinite(density.log_prob(events.features, events.m)).all()


def test_constant_features_and_unknown_flows():
    X, m = np.ones((100, 2)), np.linspace(3, 4, 100)
    with pytest.raises(InputError, match="constant"):
        ConditionalDensity().fit(X, m)
    with pytest.raises(InputError, match="coupling"):
        ConditionalDensity("spline").fit(np.random.default_rng(0).normal(size=(100, 2)), m)
    assert ConditionalDensity.maf(epochs=3).get_params()["layers"] == 15
