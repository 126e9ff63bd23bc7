"""Single steps against a plain torch loop, and what stops a training."""

import pytest
import torch

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.training import Cosine, Trainer, fit, negative_log_likelihood


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_steps_are_those_of_a_plain_loop(gaussian, sample, name, clip):
    x, ours, peer = sample(300), gaussian(), gaussian()
    trainer = Trainer(ours, steps=30, optimizer=name, learning_rate=0.1, weight_decay=0.01, clip=clip)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    optimizer = kind(peer.parameters(), lr=0.1, weight_decay=0.01, foreach=False)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
    for i in range(30):
        batch = (x[10 * i : 10 * i + 10],)
        optimizer.zero_grad()
        loss = negative_log_likelihood(peer, batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(peer.parameters(), clip or 1e9)
        optimizer.step()
        assert trainer.learning_rate == pytest.approx(scheduler.get_last_lr()[0], abs=1e-15)
        scheduler.step()
        assert trainer.step(negative_log_likelihood, batch) == pytest.approx(loss.item(), rel=1e-12)
        assert trainer.gradient_norm == pytest.approx(norm.item(), rel=1e-12)
    assert trainer.done == 30
    assert torch.allclose(ours.shift, peer.shift, rtol=1e-11)
    assert torch.allclose(ours.log_scale, peer.log_scale, rtol=1e-11)


def test_own_optimizer_and_schedule(gaussian, sample):
    ours, x = gaussian(), sample(10)
    trainer = Trainer(
        ours, optimizer=lambda p: torch.optim.SGD(p, lr=0.5), schedule=lambda step, steps: 0.1**step, steps=2
    )
    start = ours.shift.detach().clone()
    trainer.step(negative_log_likelihood, (x,))
    first = ours.shift.detach().clone()
    assert torch.allclose(first, start - 0.5 * ours.shift.grad)
    trainer.step(negative_log_likelihood, (x,))
    assert torch.allclose(ours.shift, first - 0.05 * ours.shift.grad)


def test_frozen_parameters_stay(gaussian, sample):
    model = gaussian()
    model.log_scale.requires_grad_(False)
    fit(model, sample(100), steps=5, progress=False)
    assert torch.equal(model.log_scale, torch.zeros(2, dtype=torch.float64))
    assert (model.shift != 0).all()


def test_a_loss_that_draws_its_own_points(gaussian):
    """Reverse KL to a standard normal at (1, 1): no batch at all."""
    model, generator = gaussian(), torch.Generator().manual_seed(0)

    def reverse_kl(model, batch):
        z = torch.randn(256, 2, generator=generator, dtype=torch.float64)
        x = model.shift + z * model.log_scale.exp()
        return (model.log_prob(x) + 0.5 * (x - 1).square().sum(1)).mean()

    trainer = Trainer(model, steps=300, learning_rate=0.05, schedule=Cosine())
    for _ in range(300):
        trainer.step(reverse_kl)
    assert torch.allclose(model.shift, torch.ones(2, dtype=torch.float64), atol=0.02)
    assert torch.allclose(model.log_scale, torch.zeros(2, dtype=torch.float64), atol=0.02)


def test_a_loss_that_is_not_finite_stops_before_the_step(gaussian, sample):
    model, x = gaussian(), sample(64)
    trainer = Trainer(model, schedule="constant")
    trainer.step(negative_log_likelihood, (x,))
    before = model.shift.detach().clone()
    bad = x.clone()
    bad[3, 0] = float("nan")
    with pytest.raises(RunError, match=r"stopped in step 2: the loss is nan; the weights of the step before"):
        trainer.step(negative_log_likelihood, (bad,))
    assert torch.equal(model.shift, before)
    trainer.step(negative_log_likelihood, (x,))
    assert torch.isfinite(model.shift).all()


def test_a_gradient_that_is_not_finite_stops_too(gaussian, sample):
    def loss(model, batch):  # finite, with an infinite slope at the start
        return negative_log_likelihood(model, batch) + model.log_scale.abs().sqrt().sum()

    with pytest.raises(RunError, match=r"but the gradient of log_scale is not finite"):
        Trainer(gaussian(), schedule="constant").step(loss, (sample(8),))

    def steep(model, batch):
        return 1e30 * model.shift.sum()

    with pytest.raises(RunError, match=r"gradient is too large for torch.float32"):
        Trainer(gaussian(dtype=torch.float32), schedule="constant").step(steep, (sample(8),))


def test_fit_names_epoch_and_step_and_keeps_the_last_weights(tmp_path, gaussian, sample):
    model, calls = gaussian(), []

    def loss(model, batch):
        calls.append(model.shift.detach().clone())
        return negative_log_likelihood(model, batch) * (float("inf") if len(calls) == 8 else 1)

    path = tmp_path / "c.safetensors"
    with pytest.raises(RunError, match=r"step 8 \(epoch 2\): the loss is inf"):
        fit(model, sample(50), loss, epochs=5, batch_size=10, checkpoint=path, progress=False)
    assert torch.equal(model.shift, calls[-1])
    from lhcflow.training import load_weights

    saved = gaussian()
    load_weights(saved, path)
    assert torch.equal(saved.shift, calls[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either epochs or steps"),
        ({"epochs": 1, "steps": 1}, "either epochs or steps"),
        ({"epochs": 0}, ">= 1"),
        ({"epochs": 1, "patience": 3}, "need validation"),
        ({"epochs": 1, "average": "best"}, "need validation"),
        ({"epochs": 1, "resume": True}, "resume needs the checkpoint"),
        ({"epochs": 1, "optimizer": "sgd"}, "unknown optimizer 'sgd'"),
        ({"epochs": 1, "learning_rate": -1.0}, "learning_rate > 0"),
        ({"epochs": 1, "clip": 0.0}, "clip must be positive"),
        ({"epochs": 1, "device": "abacus"}, "no device 'abacus'"),
        ({"epochs": 1, "loss": lambda model, batch: 3.0}, "scalar tensor"),
        ({"epochs": 1, "loss": lambda model, batch: model.log_prob(batch[0])}, "scalar tensor"),
    ],
)
def test_input_errors(gaussian, sample, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        fit(gaussian(), sample(10), progress=False, **arguments)
    assert "\n" not in str(caught.value)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(InputError, match="no trainable parameters"):
        Trainer(torch.nn.Identity(), schedule="constant")
    with pytest.raises(InputError, match="how many steps"):
        Trainer(torch.nn.Linear(1, 1))
