"""HitFlow: round trip, density against autograd, fits of known laws, saving, seeds, bad input."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, ndtr
from scipy.stats.mstats import mquantiles

from lhcflow import InputError
from lhcflow.calorimeter import geometry
from lhcflow.calorimeter.models import HitFlow, ShowerModel, TrainingSettings, build_model
from lhcflow.calorimeter.models.cells import Cells
from lhcflow.calorimeter.models.hit_density import HitDensity
from lhcflow.calorimeter.models.regression import linear, log_scale, logistic
from lhcflow.calorimeter.models.tables import SCORES, TABLES, blend, fitted, lines, to_scores, to_values
from tapes import recorded

from .toys import SHAPES, correlated_showers

QUICK = TrainingSettings(epochs=2, batch_size=200, progress=False)


@pytest.fixture(scope="module")
def showers():
    return correlated_showers(3000)


@pytest.fixture(scope="module")
def trained(showers):
    model = HitFlow.build(SHAPES)
    history = model.train_on(*showers, QUICK)
    assert list(history) == ["energies"]
    return model


@pytest.fixture(scope="module")
def density(trained):
    return trained.hits


def tensors(showers, n=400):
    return tuple(torch.from_numpy(part[:n]) for part in showers)


def test_encoded_showers_decode_to_themselves(density, showers):
    incident, voxels = tensors(showers)
    probability, latent, _ = density.encode(incident, voxels)
    # Uniform numbers on the side of the probability where the truth is.
    chances = torch.where(voxels > 0, 0.5 * probability, 0.5 + 0.5 * probability)
    back = density.decode(incident, density.layers.energies(voxels), chances, latent)
    assert torch.equal(back > 0, voxels > 0)
    torch.testing.assert_close(back, voxels, rtol=2e-4, atol=1e-6)


def test_density_is_the_jacobian_of_the_latent_variables(density, showers):
    """d latent / d log(voxel - threshold) of hit cells by autograd, each given the cells before and the sums.

    The energies of the layers are held fixed as conditions, as in the density.
    """
    incident, voxels = tensors(showers, 6)
    energies = density.layers.energies(voxels)
    spread = density.layers.spread(energies)
    for cell in (1, 6, 9, 11):
        rows = torch.nonzero(voxels[:, cell] > 0).flatten()
        above = voxels[rows, cell] - density.threshold
        t = torch.log(above / spread[rows, cell]).float().requires_grad_()
        powers = density.powers(incident[rows], energies[rows])
        index = torch.tensor([cell])
        _, mean, scale = density.base(powers, index)
        weights = density.blend(powers)[:, density.layer[index]]
        z, slope = to_scores(
            (t[:, None] - mean) * (-scale).exp(), density.knots[density.orbit[index]], weights
        )
        (gradient,) = torch.autograd.grad(z.sum(), t)
        torch.testing.assert_close(gradient, (slope * (-scale).exp()).flatten().detach(), rtol=1e-5, atol=0)


def test_density_adds_up_over_the_cells(trained, showers):
    """Written down again, step by step, with the slopes of the maps from log energy to latent by autograd."""
    model = trained.hits
    incident, voxels = tensors(showers, 40)
    probability, latent, density = model.encode(incident, voxels)
    energies = model.layers.energies(voxels)
    powers = model.powers(incident, energies)
    spread = model.layers.spread(energies)
    shares, above = (voxels / spread).float(), ((voxels - model.threshold) / spread).float()
    hit = voxels > 0
    given = model.conditions(powers)
    odds, mean, scale = (values[:, model.plan().place] for values in (given.odds, given.mean, given.scale))
    t = torch.where(hit, above, 1.0).log().requires_grad_()
    z = model.score((t - mean) * (-scale).exp(), slice(None), given.blend)[0]
    p = odds.sigmoid()
    pulls = (hit.float() - p) / (p * (1 - p)).clamp_min(0.05).sqrt()
    links = torch.cat([pulls, torch.where(hit, z, 0.0).detach()], 1)
    total = torch.zeros(40, 3, 3, 2)  # shares, hits and energies; times 1, x and y; by layer
    expected = torch.zeros(40, dtype=torch.float64)
    ordered = torch.cat([links[:, part] for cells in model.cells.steps for part in (cells, cells + 12)], 1)
    for step, cells in zip(model.plan().steps, model.cells.steps, strict=True):
        _, centre, width = model.parameters_of(step, given, total.flatten(1), ordered)
        layer = int(model.cells.layer[cells[0]])
        for k, cell in enumerate(cells):
            e = (z[:, cell] - centre[:, k]) * (-width[:, k]).exp()
            (slope,) = torch.autograd.grad(e.sum(), t, retain_graph=True)
            normal = torch.distributions.Normal(0.0, 1.0).log_prob(latent[:, cell])
            hits = probability[:, cell].log() + normal + slope[:, cell].log()
            expected += torch.where(hit[:, cell], hits, torch.log1p(-probability[:, cell])).double()
            row, column = divmod(int(cell) - 8 * layer, 4 - 2 * layer)
            place = torch.tensor([1.0, row - 0.5, (column - 1.5) / 2 if layer == 0 else column - 0.5])
            for kind, values in enumerate((shares[:, cell], links[:, cell], links[:, 12 + cell])):
                total[:, kind, :, layer] += values[:, None] * place
    torch.testing.assert_close(density, expected, rtol=0, atol=1e-3)


def test_latent_variables_of_other_showers_are_normal(density):
    """Mean and variance of 20,000 or more numbers: 6 sigma and 0.05 for the finite fit."""
    incident, voxels = tensors(correlated_showers(3000, seed=1), 3000)
    probability, latent, _ = density.encode(incident, voxels)
    hit = voxels > 0
    assert abs(latent[hit].mean()) < 0.03 + 0.05
    assert abs(latent[hit].std() - 1) < 0.03 + 0.05
    surplus = (hit.float() - probability).sum() / (probability * (1 - probability)).sum().sqrt()
    assert abs(surplus) < 6 + 0.05 * np.sqrt(3000)


def test_samples_have_the_correlations_of_the_showers(trained, showers):
    """Numbers of hits of a layer spread as they do in truth, and 4 sigma more than for independent cells."""
    incident, voxels = showers
    made = trained.sample(incident, seed=3)
    for layer in (slice(0, 8), slice(8, 12)):
        counts = [(part[:, layer] > 0).sum(1) for part in (voxels, made)]
        # Relative sigma of a standard deviation of 3000 numbers: 1.3 %; 6 sigma and 5 % for the model.
        assert abs(counts[1].std() / counts[0].std() - 1) < 0.13
        assert abs(counts[1].mean() - counts[0].mean()) < 0.3
        occupancy = (made[:, layer] > 0).mean(0)
        assert counts[1].std() > 1.05 * np.sqrt((occupancy * (1 - occupancy)).sum())


def test_layers_have_the_energies_of_flow_one(trained):
    incident = torch.full((200,), 3e4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    energies = trained.energies.sample(incident, generator)
    noise = torch.rand(200, 12, generator=generator), torch.randn(200, 12, generator=generator)
    found = trained.layers.energies(trained.hits.decode(incident, energies, *noise))
    assert ((found - energies).abs() < 1e-6 * 3e4).double().mean() > 0.95  # others have no hit at all
    assert ((found == 0) | ((found - energies).abs() < 1e-6 * 3e4)).all()


def test_seeds_and_saving(trained, showers, tmp_path):
    incident = showers[0][:300]
    first = trained.sample(incident, seed=4)
    assert (first == trained.sample(incident, seed=4)).all()
    assert (first != trained.sample(incident, seed=5)).any()
    trained.save(tmp_path / "m.safetensors")
    back = ShowerModel.load(tmp_path / "m.safetensors")
    assert isinstance(back, HitFlow)
    assert (back.sample(incident, seed=4) == first).all()
    np.testing.assert_array_equal(back.log_prob(*showers), trained.log_prob(*showers))


def test_decode_is_sampling_from_given_numbers(trained):
    incident = torch.tensor([2e4, 5e4], dtype=torch.float64)
    generator = torch.Generator().manual_seed(9)
    noise = trained.noise(2, generator)
    energies = trained.energies.decode(incident, noise[0])
    sampled = trained.hits.decode(incident, energies, *noise[1:])
    decoded = trained.decode(incident, *noise)  # in float64, sampling in float32
    torch.testing.assert_close(decoded, sampled, rtol=2e-4, atol=1e-4)


def test_decoding_as_a_graph(trained, monkeypatch):
    """A tape stands in for the CUDA graph; other weights make another graph, and a copy has none."""
    model = copy.deepcopy(trained)
    incident = torch.linspace(1e4, 9e4, 20, dtype=torch.float64)

    def decoded(seed):
        energies, *noise = model.noise(20, torch.Generator().manual_seed(seed))
        energies = 1e3 * energies.double().exp()
        return model.hits.decode(incident, energies, *noise)

    expected = [decoded(seed) for seed in range(4)]
    tapes = recorded(monkeypatch)
    found = [decoded(seed) for seed in range(4)]
    assert len(tapes) == 1
    for one, other in zip(found, expected, strict=True):  # after all replays: no result lies in a buffer
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    model.hits.terms[1] += 0.1
    model.hits.forget_plans()
    changed = [decoded(0) for _ in range(3)]
    assert len(tapes) == 2
    assert torch.equal(changed[2], changed[0])
    assert not torch.equal(changed[0], found[0])
    model = copy.deepcopy(model)
    assert torch.equal(decoded(0), changed[0])
    assert len(tapes) == 2


def test_hits_have_the_threshold_and_layers_their_energy(density):
    excess = torch.zeros(3, 12, dtype=torch.float64)
    excess[0, [0, 3, 9]] = torch.tensor([0.5, 1e-6, 0.2], dtype=torch.float64)
    excess[1, :3] = 0.1
    energies = torch.tensor([[100.0, 3.0], [2.4 * density.threshold, 1.0], [5.0, 0.0]], dtype=torch.float64)
    voxels = density.renormalise(excess, energies)
    assert voxels[0, 3] > density.threshold
    assert voxels[0, 3] == pytest.approx(density.threshold, rel=0.03)
    assert voxels[0, 0] + voxels[0, 3] == pytest.approx(100.0)
    assert voxels[0, 9] == pytest.approx(3.0)
    # Not enough for three hits above the threshold.
    np.testing.assert_allclose(voxels[1, :3], 0.8 * density.threshold)
    assert not voxels[2].any()
    assert torch.equal(voxels > 0, (excess > 0))


def test_flow_one_has_layers_that_are_empty():
    """A fifth of the showers has nothing in its last layer; 2000 others: sigma 0.009, 5 of them and 0.03."""
    random = np.random.default_rng(5)
    incident = np.full(2000, 1e4)
    voxels = np.zeros((2000, 12))
    voxels[:, :8] = random.gamma(20.0, 50.0, (2000, 8))
    voxels[random.random(2000) < 0.8, 8:] = 3.0
    model = HitFlow.build(SHAPES)
    model.train_on(incident, voxels, TrainingSettings(epochs=25, batch_size=100, progress=False))
    generator = torch.Generator().manual_seed(2)
    energies = model.energies.sample(torch.full((2000,), 1e4, dtype=torch.float64), generator)
    assert abs(float((energies[:, 1] == 0).double().mean()) - 0.2) < 5 * 0.009 + 0.03


def test_cells_of_calogan():
    cells = Cells(((3, 96), (12, 12), (12, 6)))
    assert cells.orbits.max() + 1 == 2 * 48 + 36 + 18
    assert np.bincount(cells.groups).sum() == 504
    for cell in range(504):
        near = cells.neighbours(cell)
        assert (cells.groups[near] < cells.groups[cell]).all()
    # The two strips at the axis come last of their layer; the last one sees the other.
    last = cells.groups[:288].max()
    assert [list(step) for step in cells.steps[last - 1 : last + 1]] == [[96 + 48], [96 + 47]]
    assert 96 + 48 in cells.neighbours(96 + 47)
    # The rows at the sides come before the middle one.
    assert cells.groups[:96].max() < cells.groups[96:192].min()
    # All layers but the first look at what is before them.
    assert set(cells.layer[cells.neighbours(288 + 5 * 12 + 5)]) == {0}


def test_layers_inwards_have_their_core_last(tmp_path):
    """The fit turns the layers whose core has most of the energy; that is saved, and seen by the cells."""
    shapes = ((4, 4), (4, 4))
    random = np.random.default_rng(6)
    voxels = random.gamma(2.0, 10.0, (600, 32))
    cells = Cells(shapes, (False, True))
    assert (
        [int(i) for step in cells.steps[:4] for i in step]
        == [5, 6, 9, 10]
        == list(np.flatnonzero(cells.core)[:4])
    )
    assert [int(i) for step in cells.steps[-4:] for i in step] == [26, 25, 22, 21]
    voxels[:, np.flatnonzero(cells.core)[4:]] *= 20
    model = HitFlow.build(shapes)
    model.train_on(np.full(600, 1e5), voxels, QUICK)
    assert model.hits.cells == cells
    model.save(tmp_path / "model.safetensors")
    again = ShowerModel.load(tmp_path / "model.safetensors")
    assert isinstance(again, HitFlow)
    assert again.hits.cells == cells
    np.testing.assert_array_equal(
        again.sample(np.full(9, 1e5), seed=1), model.sample(np.full(9, 1e5), seed=1)
    )
    with pytest.raises(InputError, match="inwards needs one value"):
        HitDensity(shapes, inwards=(True,))


def test_shares_spread_as_dirichlet_s():
    """Sums of Dirichlet's shares have the exact standard deviation, and single ones: 4000 showers, whose own
    are 1.1 % off at one sigma, and 4 % for the model.
    """
    cells, alpha, n = 36, 0.8, 4000
    random = np.random.default_rng(3)
    energies = 1e4 * random.uniform(0.5, 0.9, n)
    shares = random.gamma(alpha, 1.0, (n, cells))
    shares /= shares.sum(1, keepdims=True)
    model = HitFlow.build(((6, 6),))
    model.train_on(np.full(n, 1e4), shares * energies[:, None], QUICK)
    assert model.hits.cells.inwards == (False,)
    made = model.sample(np.full(n, 1e4), seed=1)
    made = made / made.sum(1, keepdims=True)
    number = np.arange(cells)
    for chosen in (model.hits.cells.core, number < 18, number % 2 == 0):
        a, total = alpha * chosen.sum(), alpha * cells
        exact = np.sqrt(a * (total - a) / (total**2 * (total + 1)))
        assert abs(made[:, chosen].sum(1).std() / exact - 1) < 0.04 + 4 * 0.011
    exact = np.sqrt(alpha * (total - alpha) / (total**2 * (total + 1)))
    assert abs(made.std(0).mean() / exact - 1) < 0.04


def test_tables_invert_and_blend():
    """There and back for any blend, also outside; at a centre, the table itself by numpy's interpolation."""
    random = np.random.default_rng(3)
    knots = torch.from_numpy(np.cumsum(random.uniform(0.01, 0.4, (2, TABLES, len(SCORES))), 2) - 3)
    centres = torch.tensor([[-1.0, 0.5, 2.0]]).double()
    c = torch.linspace(-3, 4, 60).double()[:, None]
    weights = blend(c, centres)[:, 0]
    torch.testing.assert_close(weights.sum(1), torch.ones(60).double())
    torch.testing.assert_close((weights * centres).sum(1), c[:, 0].clamp(-1, 2))
    z = torch.linspace(-12, 12, 60).double()[:, None].expand(-1, 2).contiguous().requires_grad_()
    t = to_values(z, lines(knots), weights)
    (expected,) = torch.autograd.grad(t.sum(), z)
    back, slope = to_scores(t.detach(), knots, weights[:, None].expand(-1, 2, -1))
    torch.testing.assert_close(back, z.detach(), atol=1e-9, rtol=0)
    torch.testing.assert_close(slope * expected, torch.ones_like(slope))
    one = torch.eye(TABLES).double()[1].expand(60, -1)
    inside = z.detach()[:, 0].abs() < 10
    values = np.interp(z.detach()[inside, 0], SCORES, knots[1, 1])
    torch.testing.assert_close(to_values(z, lines(knots), one)[inside, 1].detach().numpy(), values)


def test_tables_of_quantiles_and_straight_tails():
    """Knots where scipy has its quantiles; outside, the mean slope between 2 and 2.8."""
    values = np.random.default_rng(7).gumbel(size=20_000)
    table = fitted(values, np.zeros(20_000, int))[0].numpy()
    expected = mquantiles(values, ndtr(SCORES[1:-1]), 1.0, 1.0)
    np.testing.assert_allclose(table[1:-1], expected, atol=1e-12)
    for side in (-1, 1):
        two, edge, far = np.interp([2.0 * side, 2.8 * side, 10.0 * side], SCORES, table)
        assert (far - edge) / 7.2 == pytest.approx((edge - two) / 0.8)


def test_regressions_reach_the_minimum():
    """As scipy's minimiser finds it, also with features that are all but collinear and far from the start."""
    random = np.random.default_rng(5)
    x = random.normal(size=(3000, 3))
    x = np.c_[np.ones(3000), x, x[:, 0] + 1e-4 * x[:, 1]]
    ridge = np.array([1e-3, 1.0, 1.0, 1.0, 1e-2])
    residual = random.normal(size=3000) * np.exp(1.5 * x[:, 1] - 2.0)
    hits = random.uniform(size=3000) < expit(3 * x[:, 2] - 4)
    start = np.eye(5)[0] * 0.5 * np.log(np.mean(residual**2) + 1e-9)

    def sigma(b):
        return np.sum(x @ b + 0.5 * residual**2 * np.exp(-2 * (x @ b))) + 0.5 * ridge @ (b - start) ** 2

    def chance(b):
        return np.sum(np.logaddexp(0, x @ b) - hits * (x @ b)) + 0.5 * ridge @ b**2

    for loss, found in (
        (sigma, log_scale(x, residual, ridge)),
        (chance, logistic(x, hits.astype(float), ridge)),
    ):
        assert loss(found) < minimize(loss, np.zeros(5), method="BFGS").fun + 0.02


def test_regressions_find_what_was_put_in():
    """20,000 rows; tolerances are 5 standard errors: false alarms in 1e-5 of seeds."""
    random = np.random.default_rng(0)
    n = 20_000
    x = np.c_[np.ones(n), random.normal(size=(n, 2))]
    ridge = np.full(3, 1e-6)
    b = np.array([0.3, -1.0, 0.5])
    hits = random.random(n) < 1 / (1 + np.exp(-(x @ b)))
    np.testing.assert_allclose(logistic(x, hits.astype(float), ridge), b, atol=5 * 0.022)
    shifted = logistic(x, hits.astype(float), ridge, x @ b)
    np.testing.assert_allclose(shifted, 0.0, atol=5 * 0.022)
    y = x @ b + 0.3 * random.normal(size=n)
    np.testing.assert_allclose(linear(x, y, ridge), b, atol=5 * 0.3 / np.sqrt(n))
    c = np.array([-0.5, 0.2, 0.1])
    residual = np.exp(x @ c) * random.normal(size=n)
    np.testing.assert_allclose(log_scale(x, residual, ridge), c, atol=5 * 0.008)


def test_bad_input():
    with pytest.raises(InputError, match="one or more cells"):
        HitFlow.build(((0, 3),))
    with pytest.raises(InputError, match=r"\(20, 12\)"):
        HitFlow.build(SHAPES).train_on(np.full(20, 1e4), np.ones((20, 13)))
    with pytest.raises(InputError, match="no reflections"):
        build_model("hitflow", geometry("ds1-photons"))
    with pytest.raises(InputError, match="no blocks"):
        build_model("hitflow", geometry("calogan"), blocks=3)
    assert isinstance(build_model("hitflow", geometry("calogan")), HitFlow)
