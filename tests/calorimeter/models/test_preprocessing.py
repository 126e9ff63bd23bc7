"""Preprocessing: formulas by hand, and what is done is undone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lhcflow import InputError
from lhcflow.calorimeter.models.preprocessing import (
    EnergyFractions,
    LayerSizes,
    VoxelFractions,
    add_noise,
    check_showers,
    expit,
    logit,
    voxel_condition,
)


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def test_fractions_by_hand():
    # 2106.05285, eq. 7, with E = (20, 60, 20) of 125, at most half as much again as is there
    u = EnergyFractions(top=1.2).fractions(doubles([125.0]), doubles([[20.0, 60.0, 20.0]]))
    assert u.tolist() == [pytest.approx([100 / 150, 20 / 100, 60 / 80])]


@given(
    st.lists(st.floats(0.0, 1e5), min_size=1, max_size=8).filter(lambda e: sum(e) > 1.0),
    st.floats(1.0, 3.0),
)
def test_energies_come_back(energies, top):
    incident = doubles([sum(energies)])
    fractions = EnergyFractions(top)
    back = fractions.inverse(incident, fractions.forward(incident, doubles([energies])))
    np.testing.assert_allclose(back.numpy()[0], energies, rtol=1e-9, atol=1e-9 * sum(energies))


def test_logit_is_that_of_the_recipe():
    x = doubles([0.0, 0.25, 1.0])
    p = [1e-6, 1e-6 + (1 - 2e-6) * 0.25, 1 - 1e-6]
    np.testing.assert_allclose(logit(x).numpy(), [math.log(q / (1 - q)) for q in p], rtol=1e-9)
    np.testing.assert_allclose(expit(logit(x)).numpy(), x.numpy(), atol=1e-15)


def test_voxels_come_back_without_noise():
    layers = LayerSizes((3, 2))
    shares = VoxelFractions(layers, noise=0.0, threshold=0.0)
    voxels = doubles([[1.0, 0.0, 7.0, 2.0, 2.0], [4.0, 4.0, 0.0, 0.0, 0.0]])
    energies = layers.energies(voxels)
    assert energies.tolist() == [[8.0, 4.0], [8.0, 0.0]]
    np.testing.assert_allclose(shares.inverse(shares.forward(voxels), energies), voxels, atol=1e-8)


def test_noise_is_cut_away_and_energy_stays():
    """With noise of 1 keV and a cut at 10 keV, empty voxels come back empty, others to 1 keV."""
    layers = LayerSizes((40, 30))
    generator = torch.Generator().manual_seed(1)
    voxels = torch.rand(50, 70, generator=generator, dtype=torch.float64) * 5 + 0.05
    voxels[torch.rand(voxels.shape, generator=generator) < 0.5] = 0.0
    energies = layers.energies(voxels)
    shares = VoxelFractions(layers, alpha=1e-9)
    back = shares.inverse(shares.forward(add_noise(voxels, 1e-3, generator)), energies)
    assert ((back == 0) == (voxels == 0)).all()
    assert float((back - voxels).abs().max()) < 2e-3
    np.testing.assert_allclose(layers.energies(back), energies, rtol=1e-12)


def test_condition_is_finite_for_empty_layers():
    condition = voxel_condition(doubles([1e4]), doubles([[1e3, 0.0]]))
    assert condition.tolist() == [[0.0, -1.0, -8.0]]


@pytest.mark.parametrize(
    ("incident", "voxels", "message"),
    [
        ([], np.zeros((0, 2)), "no showers"),
        ([1.0, -1.0], np.zeros((2, 2)), "positive"),
        ([1.0, np.nan], np.zeros((2, 2)), "finite"),
        ([1.0, 2.0], np.zeros((2, 3)), "shape"),
        ([1.0, 2.0], np.zeros((3, 2)), "shape"),
        ([1.0, 2.0], [[0.0, 1.0], [0.0, np.nan]], "1 of 2"),
        ([1.0, 2.0], [[0.0, 1.0], [0.0, -1.0]], "negative"),
    ],
)
def test_wrong_showers_are_refused(incident, voxels, message):
    with pytest.raises(InputError, match=message):
        check_showers(incident, torch.as_tensor(voxels), LayerSizes((1, 1)))


@pytest.mark.parametrize("sizes", [(), (0,), (2, -1)])
def test_wrong_layers_are_refused(sizes):
    with pytest.raises(InputError, match="sizes"):
        LayerSizes(sizes)
