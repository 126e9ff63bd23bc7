"""Distillation: the walk is the flow, the loss is zero for a perfect student, KL falls."""

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.calorimeter.models import CaloFlow, TrainingSettings, distill
from lhcflow.calorimeter.models.student import GuidedDistillation, new_student, walk

from .toys import toy_showers

SIZES = (4, 3)


@pytest.fixture(scope="module")
def teacher():
    model = CaloFlow.build(SIZES, blocks=3, hidden=(24, 24), bins=4, seed=2)
    model.train_on(
        *toy_showers(SIZES, 600),
        TrainingSettings(epochs=6, batch_size=100, learning_rate=1e-2, progress=False),
    )
    return model


@pytest.fixture(scope="module")
def points():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 7, generator=generator), torch.randn(50, 3, generator=generator)


def test_walk_is_the_flow(teacher, points):
    x, context = points
    with torch.no_grad():
        for flow, inverse in ((teacher.voxels.flow, False), (new_student(teacher).voxels.flow, True)):
            way = walk(flow, x, context, inverse)
            end, log_det = flow.inverse(x, context) if inverse else flow.forward(x, context)
            torch.testing.assert_close(way.data if inverse else way.points[-1], end)
            torch.testing.assert_close(way.log_det, log_det)
            torch.testing.assert_close(way.points[-1] if inverse else way.data, x)


class Oracle(torch.nn.Module):
    """The teacher itself in the student's place: its inverse, solved dimension after dimension."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow


def test_loss_is_zero_for_a_perfect_student(teacher, points, monkeypatch):
    """The points between the blocks must be compared in the same places: a perfect student shows it."""
    x, context = points

    def perfect(flow, value, context, inverse):
        if not inverse or not isinstance(flow, Oracle):
            return walk(flow, value, context, inverse)
        with torch.no_grad():
            data, log_det = flow.flow.inverse(value, context)
            way = walk(flow.flow, data, context, False)
        return type(way)(way.data, way.points, way.outputs, log_det)

    monkeypatch.setattr("lhcflow.calorimeter.models.student.walk", perfect)
    loss = GuidedDistillation(teacher.voxels.flow)
    batch = x, context, torch.randn(x.shape, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        assert float(loss(Oracle(teacher.voxels.flow).train(), batch)) < 1e-6
        assert abs(float(loss(Oracle(teacher.voxels.flow).eval(), batch))) < 1e-3


def test_distillation_comes_closer_to_the_teacher(teacher):
    showers = toy_showers(SIZES, 600)
    settings = TrainingSettings(epochs=30, batch_size=100, learning_rate=1e-2, progress=False)
    student, history = distill(teacher, *showers, settings)
    kl = history["validation"]
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert -0.1 < kl.min() < 0.25 * kl[0]
    # The same latent points become nearly the same showers.
    incident = np.full(200, 1e4)
    a, b = teacher.sample(incident, seed=3), student.sample(incident, seed=3)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(a.sum(1), b.sum(1), rtol=1e-5)


def test_a_student_is_no_teacher(teacher):
    with pytest.raises(InputError, match="no student"):
        new_student(new_student(teacher))


def test_student_may_be_wider(teacher):
    assert new_student(teacher, hidden=(40, 40)).voxels.flow.bijections[0].hidden == (40, 40)
