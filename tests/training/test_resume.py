"""A training that was killed goes on bit for bit."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lhcflow import InputError
from lhcflow.flows import coupling_spline
from lhcflow.training import (
    Trainer,
    fit,
    load_checkpoint,
    load_weights,
    negative_log_likelihood,
    squared_error,
)


class Killed(BaseException):
    """What nothing in the loop catches: as after SIGKILL, only the last checkpoint remains."""


def dequantize(batch, generator):
    x, context, weights = batch
    return x + 0.1 * torch.rand(x.shape, generator=generator), context, weights


@pytest.mark.parametrize("settings", [
    {"average": "none", "schedule": "one-cycle", "clip": 1.0},
    {"average": "ema", "schedule": "warmup-cosine", "weight_decay": 0.1},
    {"average": "best", "best": 2, "schedule": "constant", "optimizer": "adam", "patience": 50},
    {"average": "best", "optimizer": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9)},
])  # fmt: skip
def test_killed_after_ten_steps_of_twenty(tmp_path, settings, assert_same):
    """7 steps per epoch: the kill is in the middle of the second epoch."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator)
    data = (x, x[:, :1] ** 2, torch.rand(200, generator=generator) + 0.5)
    held_out = tuple(t[:40] + 0.01 for t in data)

    def train(name, loss=negative_log_likelihood, **more):
        flow = coupling_spline(3, context=1, layers=3, hidden=(16,), bins=4, domain="real", seed=1)
        history = fit(
            flow, data, loss, validation=held_out, steps=20, batch_size=30, transform=dequantize,
            seed=5, checkpoint=tmp_path / name, checkpoint_seconds=0.0, progress=False, **settings, **more,
        )  # fmt: skip
        return flow, history

    flow, history = train("whole")
    calls = 0

    def dying(model, batch):
        nonlocal calls
        calls += model.training
        if calls == 11:
            raise Killed
        return negative_log_likelihood(model, batch)

    dying.__qualname__, dying.__module__ = negative_log_likelihood.__qualname__, "lhcflow"
    with pytest.raises(Killed):
        train("parts", dying)
    assert load_checkpoint(tmp_path / "parts")["trainer"]["done"] == 10
    torch.manual_seed(123)  # whatever the new process has done before
    resumed, history2 = train("parts", resume=True)
    assert_same(load_checkpoint(tmp_path / "parts"), load_checkpoint(tmp_path / "whole"))
    assert_same(dict(resumed.state_dict()), dict(flow.state_dict()))
    assert_same(history2.rows, history.rows)
    assert history["step"].tolist() == [7, 14, 20]
    # A finished training is only read back.
    again, history3 = train("parts", resume=True)
    assert_same(dict(again.state_dict()), dict(flow.state_dict()))
    assert history3.rows == history2.rows
    fresh = coupling_spline(3, context=1, layers=3, hidden=(16,), bins=4, domain="real", seed=2)
    load_weights(fresh, tmp_path / "parts")
    assert_same(dict(fresh.state_dict()), dict(flow.state_dict()))


def test_dropout_and_batch_norm_resume_too(tmp_path, assert_same):
    def train(name, kill=None, **more):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))
        x = torch.randn(60, 2)
        if kill is not None:
            model.register_forward_hook(lambda *_: die(kill))
        fit(model, (x, x[:, :1]), squared_error, epochs=3, batch_size=16, checkpoint=tmp_path / name,
            checkpoint_seconds=0.0, progress=False, **more)  # fmt: skip

    def die(calls):
        calls.append(1)
        if len(calls) > 7:
            raise Killed

    train("whole")
    with pytest.raises(Killed):
        train("parts", kill=[])
    torch.manual_seed(99)
    train("parts", resume=True)
    assert_same(load_checkpoint(tmp_path / "parts"), load_checkpoint(tmp_path / "whole"))


def test_an_own_loop_with_a_growing_buffer(tmp_path, gaussian, assert_same):
    class Buffer:
        def __init__(self):
            self.points = np.zeros((0, 2))

        def state_dict(self):
            return {"points": self.points}

        def load_state_dict(self, state):
            self.points = state["points"]

    def train(name, stop=20, resume=False):
        trainer = Trainer(gaussian(), steps=20, learning_rate=0.1, average="ema")
        parts = {
            "buffer": Buffer(),
            "numpy": np.random.default_rng(1),
            "torch": torch.Generator().manual_seed(2),
        }
        if resume:
            trainer.load(tmp_path / name, **parts)
        while trainer.done < stop:
            buffer, rng = parts["buffer"], parts["numpy"]
            buffer.points = np.concatenate([buffer.points, rng.normal(2, 3, (50, 2))])
            rows = torch.randint(len(buffer.points), (32,), generator=parts["torch"])
            loss = trainer.step(negative_log_likelihood, (torch.from_numpy(buffer.points)[rows],))
            trainer.history.append(step=trainer.done, loss=loss)
            trainer.save(tmp_path / name, **parts)

    train("whole")
    train("parts", stop=10)
    train("parts", resume=True)
    assert_same(load_checkpoint(tmp_path / "parts"), load_checkpoint(tmp_path / "whole"))


def test_resume_with_other_settings_is_refused(tmp_path, gaussian, sample):
    path = tmp_path / "c"
    common = {"epochs": 2, "checkpoint": path, "progress": False}
    fit(gaussian(), sample(50), batch_size=10, resume=True, **common)  # nothing there yet: from the start
    for change, message in [
        ({"batch_size": 25}, "steps was 10, is now 4"),
        ({"batch_size": 5}, "batch_size was 10, is now 5"),
        ({"batch_size": 10, "seed": 1}, "seed was 0, is now 1"),
        ({"batch_size": 10, "clip": 1.0}, "clip was None, is now 1.0"),
        ({"batch_size": 10, "data": sample(49)}, "data was"),
        ({"batch_size": 10, "data": sample(50) + 1e-9}, "content of the data"),
        ({"batch_size": 10, "transform": lambda batch, generator: batch}, "transform was None"),
        ({"batch_size": 10, "loss": lambda model, batch: -model.log_prob(batch[0]).mean()}, "loss was"),
    ]:
        arguments = {"data": sample(50), **change}
        with pytest.raises(InputError, match=message):
            fit(gaussian(), resume=True, **arguments, **common)


def test_lambdas_are_told_apart_by_code_and_closure(tmp_path, gaussian, sample):
    def scaled(factor):
        return lambda model, batch: -factor * model.log_prob(batch[0]).mean()

    common = {"steps": 2, "progress": False, "resume": True, "checkpoint": tmp_path / "c"}
    fit(gaussian(), sample(50), scaled(1.0), **common)
    fit(gaussian(), sample(50), scaled(1.0), **common)
    with pytest.raises(InputError, match="loss was"):
        fit(gaussian(), sample(50), scaled(2.0), **common)


def test_a_finished_training_is_extended(tmp_path, gaussian, sample, assert_same):
    """With a constant learning rate, two epochs and then four are four at once."""

    def train(name, epochs, schedule="constant"):
        model = gaussian()
        common = {"schedule": schedule, "checkpoint": tmp_path / name, "progress": False, "resume": True}
        return model, fit(model, sample(50), epochs=epochs, batch_size=20, **common)

    train("parts", 2)
    model, history = train("parts", 4)
    whole, expected = train("whole", 4)
    assert_same(dict(model.state_dict()), dict(whole.state_dict()))
    assert history["loss"].tolist() == expected["loss"].tolist()
    train("cosine", 2, "cosine")
    assert len(train("cosine", 4, "cosine")[1]) == 4
    with pytest.raises(InputError, match="steps was 12, is now 6"):
        train("parts", 2)


class Signalling:
    """The likelihood, with a signal to this process within step ``at``."""

    def __init__(self, signal_number, at):
        self.calls, self.at, self.signal_number = 0, at, signal_number

    def __repr__(self):
        return ""

    def __call__(self, model, batch):
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), self.signal_number)
        return negative_log_likelihood(model, batch)


def train(path, signal_number=0, at=0):
    """Twenty steps, with a signal to this process within step ``at``; also run in other processes."""
    loss = Signalling(signal_number, at)

    flow = coupling_spline(2, layers=2, hidden=(16,), bins=4, domain="real", seed=1)
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    seconds = 0.0 if signal_number == signal.SIGKILL else 60.0
    fit(flow, x, loss, steps=20, batch_size=30, checkpoint=path, checkpoint_seconds=seconds, resume=True,
        progress=False)  # fmt: skip


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_resume import train
try:
    train(sys.argv[2], int(sys.argv[3]), at=10)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("number", "code", "output", "done"),
    [(signal.SIGINT, 130, "interrupted", 10), (signal.SIGTERM, 143, "", 10), (signal.SIGKILL, -9, "", 9)],
)
def test_signals_in_another_process(tmp_path, number, code, output, done, assert_same):
    """The signal comes within the tenth step: SIGINT and SIGTERM let it finish, SIGKILL does not."""
    here = os.path.dirname(__file__)
    script = [sys.executable, "-c", SCRIPT, here, str(tmp_path / "parts"), str(int(number))]
    stopped = subprocess.run(script, capture_output=True, text=True, check=False, timeout=300)
    assert stopped.returncode == code, stopped.stderr
    assert stopped.stdout.strip() == output
    assert stopped.stderr == ""
    assert load_checkpoint(tmp_path / "parts")["trainer"]["done"] == done
    train(tmp_path / "parts")
    train(tmp_path / "whole")
    assert_same(load_checkpoint(tmp_path / "parts"), load_checkpoint(tmp_path / "whole"))
    assert sorted(os.listdir(tmp_path)) == ["parts", "whole"]
