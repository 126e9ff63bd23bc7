"""Losses against their definition."""

import pytest
import torch

from lhcflow import InputError
from lhcflow.flows import coupling_spline
from lhcflow.training import Distillation, fit, negative_log_likelihood, squared_error, weighted_mean


def test_likelihood_with_context_and_weights(gaussian, sample):
    model, x = gaussian(context=1), sample(6)
    with torch.no_grad():
        model.slope += 0.3
    context = torch.arange(6.0, dtype=torch.float64)[:, None]
    weights = torch.tensor([0.5, 2.0, -1.0, 1.0, 1.5, 2.0], dtype=torch.float64)
    scale = torch.ones(6, 2, dtype=torch.float64)
    peer = torch.distributions.Normal(0.3 * context.expand(6, 2), scale).log_prob(x).sum(1)
    assert torch.allclose(negative_log_likelihood(model, (x, context)), -peer.mean())
    assert torch.allclose(negative_log_likelihood(model, (x, context, weights)), -(weights * peer).mean())
    without = torch.distributions.Normal(0 * x, scale).log_prob(x).sum(1)
    assert torch.allclose(negative_log_likelihood(model, (x, None, weights)), -(weights * without).mean())


def test_weights_act_like_repeated_rows(gaussian, sample):
    x, weights = sample(4), torch.tensor([1.0, 3.0, 2.0, 2.0], dtype=torch.float64)
    repeated = x.repeat_interleave(weights.long(), dim=0)
    a, b = gaussian(), gaussian()
    negative_log_likelihood(a, (x, None, weights / weights.mean())).backward()
    negative_log_likelihood(b, (repeated,)).backward()
    assert torch.allclose(a.shift.grad, b.shift.grad)
    assert torch.allclose(a.log_scale.grad, b.log_scale.grad)


def test_regression_finds_the_least_squares_solution():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(3, 2, generator=generator, dtype=torch.float64) + 0.1 * x[:, :2].square()
    model = torch.nn.Linear(3, 2).double()
    fit(model, (x, y), squared_error, steps=400, batch_size=200, learning_rate=0.1, progress=False)
    exact = torch.linalg.lstsq(torch.cat([x, torch.ones_like(x[:, :1])], 1), y).solution
    assert torch.allclose(model.weight, exact[:3].T, atol=1e-4)
    assert torch.allclose(model.bias, exact[3], atol=1e-4)


def test_regression_with_weights_ignores_rows_of_weight_zero():
    model = torch.nn.Linear(1, 1).double()
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    y = torch.tensor([[5.0], [1e6]], dtype=torch.float64)
    loss = squared_error(model, (x, y, torch.tensor([2.0, 0.0], dtype=torch.float64)))
    assert torch.allclose(loss, (model(x[:1]) - 5).square().squeeze())
    with pytest.raises(InputError, match=r"returns \(2, 1\), the targets are \(2, 3\)"):
        squared_error(model, (x, y.expand(2, 3)))


@pytest.mark.parametrize("column", [False, True])
def test_a_column_of_weights_or_labels_is_one_per_row(gaussian, sample, column):
    x, weights = sample(4), torch.tensor([1.0, 3.0, 2.0, -2.0], dtype=torch.float64)
    model = gaussian()
    exact = -(weights * model.log_prob(x)).sum() / 4
    given = weights[:, None] if column else weights
    assert torch.allclose(negative_log_likelihood(model, (x, None, given)), exact)
    y = torch.tensor([1.0, -2.0, 0.5, 4.0], dtype=torch.float64)
    line = torch.nn.Linear(2, 1).double()
    exact = (weights * (line(x)[:, 0] - y).square()).sum() / 4
    assert torch.allclose(squared_error(line, (x, y[:, None] if column else y, given)), exact)


def test_nothing_is_broadcast():
    values = torch.ones(4)
    for weights in (torch.ones(4, 4), torch.ones(1, 4), torch.ones(1), torch.ones(()), torch.ones(4, 1, 1)):
        with pytest.raises(InputError, match="one per row"):
            weighted_mean(values, weights)
    with pytest.raises(InputError, match="one value per row"):
        weighted_mean(values[:, None], torch.ones(4))


def test_distillation_is_zero_for_the_teacher_and_pulls_a_student_to_it():
    small = {"layers": 2, "hidden": (16,), "bins": 4, "domain": "real"}
    teacher, student = coupling_spline(2, seed=1, **small), coupling_spline(2, seed=2, **small)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in teacher.parameters():
            p += 0.2 * torch.randn(p.shape, generator=generator)
    loss = Distillation(teacher)
    x = teacher.sample(500, generator=generator)
    assert loss(teacher, (x,)) < 1e-9
    before = {name: p.clone() for name, p in teacher.state_dict().items()}
    history = fit(student, x, loss, epochs=30, learning_rate=1e-2, progress=False)
    assert history["loss"][-1] < 0.05 * history["loss"][0]
    assert all(torch.equal(p, before[name]) for name, p in teacher.state_dict().items())
