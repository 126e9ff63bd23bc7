"""CaloFlow: trains, samples with the right energies, repeats itself, is saved, stops and goes on."""

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.calorimeter.models import CaloFlow, ShowerModel, TimeIsUp, TrainingSettings
from lhcflow.flows.incremental import solve_naive

from .toys import toy_showers

SIZES = (6, 5, 3)
QUICK = TrainingSettings(epochs=6, batch_size=100, learning_rate=1e-2, progress=False)


def small(seed=0):
    return CaloFlow.build(SIZES, blocks=2, hidden=(24, 24), bins=4, seed=seed)


@pytest.fixture(scope="module")
def showers():
    return toy_showers(SIZES, 600)


@pytest.fixture(scope="module")
def trained(showers):
    model = small()
    histories = model.train_on(*showers, QUICK)
    return model, histories


def test_training_learns_both_flows(trained):
    for history in trained[1].values():
        assert history["validation"][-1] < history["validation"][0] - 0.5


def test_samples_have_the_energies_of_flow_one(trained):
    model, _ = trained
    incident = torch.full((500,), 2e4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    energies = model.energies.sample(incident, generator)
    voxels = model.voxels.decode(incident, energies, torch.randn(500, sum(SIZES), generator=generator))
    assert (voxels >= 0).all()
    assert not bool(((voxels > 0) & (voxels < 0.5 * model.voxels.shares.threshold)).any())
    # Layers that have energy keep all of it unless no voxel passes the cut.
    kept = model.layers.energies(voxels)
    assert float(((kept - energies).abs() < 1e-9 * 2e4).double().mean()) > 0.99


def test_energy_fractions_are_learnt(trained, showers):
    """Means of E_total/E_inc: 3 sigma of the sample plus 0.02 for a short training."""
    incident, voxels = showers
    made = trained[0].sample(incident, seed=5)
    ratio, truth = made.sum(1) / incident, voxels.sum(1) / incident
    assert abs(ratio.mean() - truth.mean()) < 3 * ratio.std() / np.sqrt(len(ratio)) + 0.02


def test_seed_repeats_and_blocks_are_independent(trained):
    model, _ = trained
    incident = np.linspace(1e3, 1e5, 600)
    first = model.sample(incident, seed=4)
    assert (first == model.sample(incident, seed=4)).all()
    assert (first[:256] == model.sample(incident[:256], seed=4)).all()
    assert (first != model.sample(incident, seed=5)).any()
    assert (np.concatenate(list(model.batches(incident, 4))) == first).all()


def test_incremental_sampling_is_the_naive_one(trained):
    block = trained[0].voxels.flow.bijections[0].double()
    try:
        z = torch.randn(20, sum(SIZES), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        context = torch.randn(20, 1 + len(SIZES), dtype=torch.float64, generator=torch.Generator())
        with torch.no_grad():
            expected, _ = solve_naive(block.net, block.element, z, context, True)
            found, _ = block.inverse(z, context)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    finally:
        block.float()


def test_saved_model_makes_the_same_showers(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.safetensors")
    back = ShowerModel.load(tmp_path / "model.safetensors")
    assert isinstance(back, CaloFlow)
    incident = np.array([1e3, 1e4])
    assert (back.sample(incident, seed=1) == model.sample(incident, seed=1)).all()
    x = toy_showers(SIZES, 10, seed=9)
    np.testing.assert_array_equal(back.log_prob(*x), model.log_prob(*x))


def test_interrupted_training_goes_on_where_it_was(showers, tmp_path):
    whole = small()
    whole.train_on(*showers, QUICK)
    stopped = small()
    with pytest.raises(TimeIsUp):
        stopped.train_on(*showers, TrainingSettings(**{**vars(QUICK), "seconds": 0.3}), folder=tmp_path)
    again = small()
    again.train_on(*showers, QUICK, folder=tmp_path, resume=True)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_showers_of_another_geometry_are_refused(trained):
    incident, voxels = toy_showers((4, 4), 10)
    with pytest.raises(InputError, match=r"\(10, 14\)"):
        trained[0].train_on(incident, voxels)


def test_impossible_energies_are_refused(trained):
    with pytest.raises(InputError, match="positive"):
        trained[0].sample([1e3, 0.0])
