"""Inductive CaloFlow: what flow III is given, layer energies, training, resume, bad geometries."""

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.calorimeter.models import InductiveCaloFlow, ShowerModel, TimeIsUp, TrainingSettings
from lhcflow.calorimeter.models.inductive import PAIRS

from .toys import toy_showers

SIZES = (6,) * 4
QUICK = TrainingSettings(epochs=6, batch_size=100, learning_rate=1e-2, progress=False)


def small(seed=0, noise=5e-3):
    return InductiveCaloFlow.build(SIZES, blocks=2, hidden=(24, 24), bins=4, noise=noise, seed=seed)


@pytest.fixture(scope="module")
def showers():
    return toy_showers(SIZES, 600)


@pytest.fixture(scope="module")
def trained(showers):
    model = small()
    return model, model.train_on(*showers, QUICK)


def test_what_the_third_flow_is_given(showers):
    """Without noise, each row is a layer and the one before it of one of the showers, as the paper says."""
    incident, voxels = (torch.from_numpy(x[:50]) for x in showers)
    model = small(noise=0.0)
    x, condition = model.following_batch((incident, voxels), torch.Generator().manual_seed(1))
    assert x.shape == (50 * PAIRS, 6)
    assert condition.shape == (50 * PAIRS, 3 + 6 + 3)
    np.testing.assert_array_equal(condition[:, 9:].sum(1), 1)
    numbers = condition[:, 9:].argmax(1) + 1
    assert set(numbers.tolist()) == {1, 2, 3}
    for i in range(50 * PAIRS):
        layers = voxels[i // PAIRS].double().reshape(4, 6).numpy()
        now, before = layers[numbers[i]], layers[numbers[i] - 1]
        energies = [incident[i // PAIRS], now.sum(), before.sum()]
        expected = [np.log10(max(float(e), 1e-4)) - 4 for e in energies]
        np.testing.assert_allclose(condition[i, :3], expected, atol=1e-5)
        for found, layer in ((x[i], now), (condition[i, 3:9], before)):
            p = 1e-6 + (1 - 2e-6) * layer / max(float(layer.sum()), 1e-300)
            np.testing.assert_allclose(found, np.log(p / (1 - p)), atol=1e-4)


def test_training_learns_all_flows(trained):
    assert [*trained[1]] == ["energies", "first", "following"]
    for history in trained[1].values():
        assert history["validation"][-1] < history["validation"][0] - 0.5


def test_layers_have_the_energies_of_flow_one(trained):
    model, _ = trained
    incident = torch.full((300,), 2e4, dtype=torch.float64)
    noise = model.noise(300, torch.Generator().manual_seed(3))
    with torch.no_grad():
        energies, voxels = model.energies.decode(incident, noise[0]), model._decode(incident, *noise)
    assert not bool(((voxels > 0) & (voxels < 0.5 * model.shares.threshold)).any())
    kept = model.layers.energies(voxels)
    assert float(((kept - energies).abs() < 1e-9 * 2e4).double().mean()) > 0.99


def test_layers_follow_the_layer_before():
    """Showers whose hot voxel stays in its place from layer to layer: generated ones do the same.

    With no memory the hot voxel would stay with probability 1/6: 30 standard deviations off.
    """
    rng = np.random.default_rng(5)
    hot = rng.integers(0, 6, 800)
    layer = 50.0 + 900.0 * (np.arange(6) == hot[:, None])
    voxels = np.tile(layer, 4) * rng.uniform(0.9, 1.1, (800, 24))
    incident = np.full(800, 1.1 * voxels.sum(1).mean())
    model = small()
    settings = TrainingSettings(epochs=8, batch_size=50, learning_rate=1e-2, progress=False)
    model.train_on(incident, voxels, settings, energy_settings=QUICK)
    made = model.sample(incident[:500], seed=2).reshape(500, 4, 6).argmax(2)
    assert (made[:, 1:] == made[:, :-1]).mean() > 0.75


def test_density_prefers_the_right_order(trained, showers):
    """Layers of decreasing profiles in the order of the training are likelier than with voxels reversed."""
    incident, voxels = showers
    turned = voxels.reshape(-1, 4, 6)[:, :, ::-1].reshape(-1, 24)
    model = trained[0]
    assert model.log_prob(incident, voxels).mean() > model.log_prob(incident, turned).mean() + 5


def test_seed_repeats_and_blocks_are_independent(trained):
    model, _ = trained
    incident = np.linspace(1e3, 1e5, 300)
    first = model.sample(incident, seed=4)
    assert (first[:256] == model.sample(incident[:256], seed=4)).all()
    assert (first != model.sample(incident, seed=5)).any()


def test_saved_model_makes_the_same_showers(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.safetensors")
    back = ShowerModel.load(tmp_path / "model.safetensors")
    assert isinstance(back, InductiveCaloFlow)
    assert (back.sample([1e3, 1e4], seed=1) == model.sample([1e3, 1e4], seed=1)).all()
    x = toy_showers(SIZES, 10, seed=9)
    np.testing.assert_array_equal(back.log_prob(*x), model.log_prob(*x))


def test_interrupted_training_goes_on_where_it_was(showers, tmp_path):
    whole = small()
    whole.train_on(*showers, QUICK)
    with pytest.raises(TimeIsUp):
        small().train_on(*showers, TrainingSettings(**{**vars(QUICK), "seconds": 0.3}), folder=tmp_path)
    again = small()
    again.train_on(*showers, QUICK, folder=tmp_path, resume=True)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_layers_of_different_sizes_are_refused():
    with pytest.raises(InputError, match=r"the same voxels in each .* got \(8, 160, 190, 5, 5\)"):
        InductiveCaloFlow.build((8, 160, 190, 5, 5))
