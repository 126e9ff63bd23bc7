"""Sampling and training on a GPU: the same showers, and models that come back."""

import numpy as np
import pytest
import torch

from lhcflow.calorimeter.models import (
    CaloFlow,
    HitFlow,
    InductiveCaloFlow,
    ShowerModel,
    TrainingSettings,
    distill,
    new_student,
)
from lhcflow.calorimeter.models.model import BLOCK
from randomized import randomized

MODELS = {
    "teacher": lambda: CaloFlow.build((4, 4), blocks=2, hidden=(16,), bins=4),
    "student": lambda: new_student(CaloFlow.build((4, 4), blocks=2, hidden=(16,), bins=4)),
    "inductive": lambda: InductiveCaloFlow.build((4, 4), blocks=2, hidden=(16,), bins=4),
    "hitflow": lambda: HitFlow.build(((2, 2), (2, 2))),
}
INCIDENT = np.linspace(1e3, 1e5, 2 * BLOCK + 3)


def made(kind: str) -> ShowerModel:
    """A model with some weights."""
    return randomized(MODELS[kind](), seed=1, size=0.05).eval()


@pytest.mark.parametrize("kind", MODELS)
def test_samples_decode_the_noise_of_their_block(kind):
    """A shower depends on the seed and its number alone."""
    model = made(kind)
    showers = model.sample(INCIDENT, seed=5)
    state = np.random.SeedSequence((5, 1)).generate_state(1, np.uint64)[0]
    noise = model.noise(BLOCK, torch.Generator().manual_seed(int(state)))
    block = slice(BLOCK, 2 * BLOCK)
    decoded = model.decode(torch.from_numpy(INCIDENT[block]), *noise)
    np.testing.assert_allclose(decoded.numpy(), showers[block], rtol=2e-3, atol=1e-2)
    first = model.sample(INCIDENT[:BLOCK], seed=5)
    np.testing.assert_array_equal(first, showers[:BLOCK])


@pytest.mark.gpu
@pytest.mark.parametrize("kind", MODELS)
def test_a_gpu_makes_the_same_showers(kind):
    model = made(kind).double()
    expected = model.sample(INCIDENT, seed=5)
    model.cuda()
    for _ in range(3):  # plain, captured as a graph, replayed
        found = model.sample(INCIDENT, seed=5)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_training(device, kind):
    """Losses fall, and the model is back on the CPU."""
    rng = np.random.default_rng(2)
    voxels = rng.gamma(2.0, 100.0, (400, 8)) * (rng.uniform(size=(400, 8)) < 0.8)
    incident = voxels.sum(1) + 100.0
    settings = TrainingSettings(epochs=5, batch_size=50, learning_rate=3e-3, device=device, progress=False)
    model = made(kind)
    if kind == "student":
        model, history = distill(made("teacher"), incident, voxels, settings)
    else:
        history = [*model.train_on(incident, voxels, settings).values()][-1]
    assert history["validation"][-1] < history["validation"][0]
    assert model.device.type == "cpu"
    assert np.isfinite(model.sample(incident[:10], seed=1)).all()
