"""Reflections: of whole showers, known on a small one; where a geometry has them."""

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.calorimeter import geometry
from lhcflow.calorimeter.models import Reflections


def test_layers_are_reflected_together():
    mirror = Reflections(((2, 3), (1, 2)))
    shower = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]])
    assert mirror.reflect(shower, True, False).tolist() == [[4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 7.0, 8.0]]
    assert mirror.reflect(shower, False, True).tolist() == [[3.0, 2.0, 1.0, 6.0, 5.0, 4.0, 8.0, 7.0]]


def test_all_four_come_equally_often_and_from_the_generator():
    mirror = Reflections(((2, 2),))
    showers = torch.arange(4.0).expand(4000, 4)
    made = mirror(showers, torch.Generator().manual_seed(0))
    kinds, counts = np.unique(made.numpy(), axis=0, return_counts=True)
    assert kinds.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    # 1000 each, sigma 27: 5 sigma, false alarms in 2e-6 of seeds.
    assert np.abs(counts - 1000).max() < 137
    assert torch.equal(made, mirror(showers, torch.Generator().manual_seed(0)))


def test_positions_are_reflected_with_the_cells():
    calogan = geometry("calogan")
    eta = torch.from_numpy(np.concatenate([layer.eta for layer in calogan.layers]))[None]
    phi = torch.from_numpy(np.concatenate([layer.phi for layer in calogan.layers]))[None]
    mirror = Reflections.of(calogan)
    torch.testing.assert_close(mirror.reflect(eta, False, True), -eta)
    torch.testing.assert_close(mirror.reflect(phi, False, True), phi)
    torch.testing.assert_close(mirror.reflect(phi, True, False), -phi)


def test_rings_have_none():
    with pytest.raises(InputError, match="no reflections"):
        Reflections.of(geometry("ds1-photons"))
