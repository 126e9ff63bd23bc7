"""Averages of weights against plain sums."""

import copy

import pytest
import torch

from lhcflow import InputError
from lhcflow.training import BestAverage, ExponentialAverage, Trainer, fit, negative_log_likelihood
from lhcflow.training.averaging import average_named, swapped


def test_exponential_average_is_the_recursion(gaussian, sample):
    model, x = gaussian(), sample(64)
    trainer = Trainer(model, schedule="constant", learning_rate=0.1, average="ema", decay=0.6)
    expected = None
    for step in range(12):
        trainer.step(negative_log_likelihood, (x,))
        decay = min(0.6, (1 + step) / (10 + step))
        shift = model.shift.detach().clone()
        expected = shift if expected is None else decay * expected + (1 - decay) * shift
    assert not torch.allclose(model.shift, expected)
    trainer.finish()
    assert torch.allclose(model.shift, expected, rtol=1e-13)


def test_best_average_is_the_mean_of_the_best_epochs(gaussian):
    model, average, states = gaussian(), BestAverage(2), {}
    model.register_buffer("counter", torch.tensor(0))
    for epoch, loss in enumerate([3.0, 1.0, float("inf"), 2.0, 2.5]):
        with torch.no_grad():
            model.shift.fill_(float(epoch**2))
            model.counter.fill_(epoch)
        average.after_epoch(model, loss)
        states[epoch] = copy.deepcopy(model.state_dict())
    weights = average.weights()
    assert torch.equal(weights["shift"], (states[1]["shift"] + states[3]["shift"]) / 2)
    assert weights["counter"] == 1  # buffers of the best epoch
    model.load_state_dict(weights)


def test_fit_returns_the_weights_of_the_best_epoch(gaussian, sample):
    """The learning rate is far too large, so that the last epoch is not the best."""
    seen = []

    def loss(model, batch):
        value = negative_log_likelihood(model, batch)
        if not model.training:
            seen.append((float(value), model.shift.detach().clone()))
        return value

    model = gaussian()
    history = fit(
        model, sample(500), loss, validation=sample(200, seed=2), epochs=12, batch_size=50, learning_rate=0.9,
        schedule="constant", average="best", progress=False,
    )  # fmt: skip
    best = min(seen, key=lambda s: s[0])
    assert best[0] == history["validation"].min() < history["validation"][-1]
    assert torch.equal(model.shift, best[1])


def test_validation_sees_the_moving_average(gaussian, sample):
    model, validation = gaussian(), sample(300, seed=2)
    history = fit(model, sample(500), validation=validation, epochs=3, learning_rate=0.3, average="ema",
                  decay=0.9, progress=False)  # fmt: skip
    assert history["validation"][-1] == pytest.approx(
        negative_log_likelihood(model, (validation,)).item(), rel=1e-12
    )


def test_swapped_puts_the_weights_back(gaussian):
    model = gaussian()
    with pytest.raises(ZeroDivisionError), swapped(model, {"shift": torch.ones(2)}):  # noqa: PT012
        assert model.shift[0] == 1
        _ = 1 / 0
    assert model.shift[0] == 0


def test_errors():
    with pytest.raises(InputError, match="unknown average 'swa'"):
        average_named("swa")
    with pytest.raises(InputError, match="decay"):
        ExponentialAverage(1.0)
    with pytest.raises(InputError, match=">= 1"):
        BestAverage(0)
