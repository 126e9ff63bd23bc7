"""The loop over epochs: what it learns, notes and shows."""

import csv
import math

import numpy as np
import pandas
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lhcflow import InputError
from lhcflow.flows import coupling_spline
from lhcflow.training import fit, negative_log_likelihood, progress, progress_bar


def test_maximum_likelihood_is_found(gaussian, sample):
    x, model = sample(1000), gaussian()
    fit(model, x, epochs=300, batch_size=1000, learning_rate=0.1, progress=False)
    assert torch.allclose(model.shift, x.mean(0), atol=1e-3)
    assert torch.allclose(model.log_scale.exp(), x.std(0, correction=0), atol=1e-3)


def banana(n, seed):
    """Points (n, 2) of x ~ N(0, 1), y ~ N(x^2/2 - 1/2, 0.4^2), and their log density (n,)."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
    y = 0.5 * x.square() - 0.5 + 0.4 * noise
    log_density = -0.5 * (x.square() + noise.square()) - math.log(2 * math.pi * 0.4)
    return torch.stack([x, y], 1).float(), log_density


def test_a_spline_flow_learns_a_known_density():
    """Kullback-Leibler divergence to the truth below 0.02 nats, measured on fresh points to 0.003."""
    x, _ = banana(10_000, seed=1)
    flow = coupling_spline(2, layers=2, hidden=(32,), bins=8, domain="real", seed=0)
    history = fit(
        flow, x[:9000], validation=x[9000:], epochs=16, batch_size=500, learning_rate=1e-2,
        schedule="one-cycle", clip=5.0, average="ema", decay=0.99, progress=False,
    )  # fmt: skip
    points, truth = banana(20_000, seed=2)
    with torch.no_grad():
        difference = truth - flow.log_prob(points).double()
    assert difference.std() / math.sqrt(20_000) < 0.003
    assert difference.mean() < 0.02
    assert history["validation"][-1] < history["validation"][0] - 0.1


def test_history_and_its_csv(tmp_path, gaussian, sample):
    x, model, seen = sample(50), gaussian(), []

    def loss(model, batch):
        value = negative_log_likelihood(model, batch)
        if model.training:
            seen.append((len(batch[0]), value.item()))
        return value

    history = fit(model, x, loss, validation=sample(20, seed=3), epochs=3, batch_size=20, progress=False)
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["step"].tolist() == [3, 6, 9]
    for epoch in range(3):  # the mean over rows: the last batch has half the weight
        (a, b, c) = seen[3 * epoch : 3 * epoch + 3]
        assert (a[0], b[0], c[0]) == (20, 20, 10)
        assert history["loss"][epoch] == pytest.approx((2 * a[1] + 2 * b[1] + c[1]) / 5, rel=1e-14)
    assert history["validation"][-1] == pytest.approx(
        negative_log_likelihood(model, (sample(20, seed=3),)).item(), rel=1e-12
    )
    history.to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["loss"]) for r in rows] == history["loss"].tolist()


def test_steps_end_inside_an_epoch(gaussian, sample):
    history = fit(gaussian(), sample(100), steps=13, batch_size=20, progress=False)
    assert history["step"].tolist() == [5, 10, 13]


def test_patience_stops_and_keeps_the_best(gaussian, sample):
    """Training data far from the validation data: the validation loss soon only rises."""
    model, validation = gaussian(), sample(100, seed=2)
    with torch.no_grad():
        model.shift.copy_(torch.tensor([0.0, -1.0]))
    history = fit(
        model, sample(100) + 10, validation=validation, epochs=200, learning_rate=0.2, schedule="constant",
        patience=4, progress=False,
    )  # fmt: skip
    best = int(history["validation"].argmin())
    assert len(history) == best + 1 + 4 < 200
    assert negative_log_likelihood(model, (validation,)).item() == pytest.approx(
        history["validation"][best], rel=1e-12
    )


def test_a_validation_loss_that_is_nan_is_never_the_best(gaussian, sample):
    def loss(model, batch):
        return negative_log_likelihood(model, batch) * (1.0 if model.training else math.nan)

    history = fit(gaussian(), sample(20), loss, validation=sample(20), epochs=9, patience=2, progress=False)
    assert len(history) == 2
    assert np.isnan(history["validation"]).all()


def test_the_seed_decides_everything_and_global_randomness_is_left_alone(gaussian, sample):
    def noisy(batch, generator):
        return (batch[0] + torch.randn(batch[0].shape, generator=generator, dtype=torch.float64),)

    def loss(model, batch):  # draws from the global generator, as dropout does
        return negative_log_likelihood(model, batch) + model.shift @ torch.randn(2, dtype=torch.float64)

    def train(seed):
        model = gaussian()
        fit(model, sample(100), loss, epochs=2, batch_size=30, transform=noisy, seed=seed, progress=False)
        return model.shift.detach()

    torch.manual_seed(1)
    state = torch.get_rng_state()
    a = train(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(train(0), a)
    assert not torch.equal(train(1), a)


def test_the_mode_of_the_model_is_kept(gaussian, sample):
    model = gaussian().eval()
    fit(model, sample(10), steps=1, progress=False)
    assert not model.training


def test_nothing_is_shown_without_a_terminal(gaussian, sample, capfd):
    fit(gaussian(), sample(10), steps=3)
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_shown_on_a_terminal(gaussian, sample, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    fit(gaussian(), sample(10), steps=3)
    out, error = capfd.readouterr()
    assert out == ""
    assert "3/3" in error
    fit(gaussian(), sample(10), steps=3, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_data_may_stay_on_the_cpu(sample):
    flow = coupling_spline(2, layers=2, hidden=(16,), bins=4, domain="real")
    x = sample(200, dtype=torch.float32)
    fit(flow, x, validation=x, epochs=2, device="auto", average="best", progress=False)
    assert flow.device.type == "cuda"


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ({"x": torch.rand(9, 2)}, {}, "the data are a dict"),
        (DataLoader(torch.rand(9, 2)), {}, "the data are a DataLoader"),  # type: ignore[arg-type]
        (np.array([["a", "b"]]), {}, "must be numbers"),
        (torch.rand(9, 2), {"epochs": 1.5}, "epochs must be a whole number"),
        (torch.rand(9, 2), {"batch_size": 0}, "batch size"),
        (torch.rand(9, 2), {"validation": 0.2}, "held-out data"),
        (torch.rand(9, 2), {"loss": "nll"}, "loss must be a function"),
        (torch.rand(9, 2), {"seed": -1}, "seed must be >= 0"),
        (torch.rand(9, 2), {"schedule": torch.optim.lr_scheduler.StepLR}, "StepLR is no schedule"),
        (torch.rand(9, 2), {"device": "gpu"}, "no device 'gpu'"),
        (torch.rand(9, 2) * 3, {}, "outside the model's domain"),
    ],
)
def test_one_line_for_what_has_no_meaning(data, settings, message):
    flow = coupling_spline(2, layers=2, hidden=8, seed=1)
    with pytest.raises(InputError, match=message) as error:
        fit(flow, data, **{"epochs": 1, "progress": False, **settings})
    assert "\n" not in str(error.value)


def test_data_of_one_meaning_give_one_training():
    x = torch.rand(60, 2)
    frame, weighted = pandas.DataFrame(x.numpy()), (x, None, torch.ones(60, 1))
    forms = [x, x.double().numpy(), TensorDataset(x), frame, weighted]
    results = []
    for data in forms:
        flow = coupling_spline(2, layers=2, hidden=8, seed=1)
        results.append(fit(flow, data, epochs=2, batch_size=20, progress=False)["loss"].tolist())
    assert all(losses == pytest.approx(results[0], abs=1e-7) for losses in results)


def test_optimisers_as_classes_and_instances():
    """A class takes the learning rate of the training; an instance brings its own."""
    x = torch.rand(60, 2)

    def losses(make):
        flow = coupling_spline(2, layers=2, hidden=8, seed=1)
        history = fit(flow, x, steps=3, learning_rate=0.1, optimizer=make(flow), progress=False)
        return history["loss"].tolist()

    sgd = torch.optim.SGD
    expected = losses(lambda flow: lambda parameters: sgd(parameters, lr=0.1))
    assert losses(lambda flow: sgd) == expected
    assert losses(lambda flow: sgd(flow.parameters(), lr=0.1)) == expected
    with pytest.raises(InputError, match="other parameters"):
        losses(lambda flow: sgd([torch.nn.Parameter(torch.ones(2))], lr=0.1))


def test_a_batch_log_gets_a_line_now_and_then(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress_bar(1000, "work") as update:
        for done in range(1, 1001):
            now[0] += 1.0
            update(done, "loss 1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "work: 30 of 1000, 30 s so far, some 16 min left, loss 1"
    assert len(lines) == 10
