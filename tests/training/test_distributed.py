"""torchrun on the CPU: two processes make the steps of one."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from lhcflow.flows import coupling_spline
from lhcflow.training import distributed, fit, load_checkpoint, negative_log_likelihood


def dequantize(batch, generator):
    x, context, weights = batch
    return x + 0.1 * torch.rand(x.shape, generator=generator, dtype=x.dtype), context, weights


def train(path, mode):
    """101 rows in batches of 20: the last batch has one row, so that one rank of two has none."""
    calls = 0

    def loss(model, batch):
        nonlocal calls
        calls += model.training
        second = calls == 5 and distributed.rank() == 1
        if mode == "signal" and second:
            os.kill(os.getpid(), signal.SIGTERM)
        return negative_log_likelihood(model, batch) * (float("nan") if mode == "nan" and second else 1.0)

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(101, 3, generator=generator, dtype=torch.float64)
    data = (x, x[:, :1] ** 2, torch.rand(101, generator=generator, dtype=torch.float64) + 0.5)
    # Every rank starts from other weights: those of the first one count.
    seed = 1 + int(os.environ.get("RANK", 0))
    flow = coupling_spline(3, context=1, layers=3, hidden=(16,), bins=4, domain="real", seed=seed).double()
    fit(
        flow, data, loss, validation=tuple(t[:31] for t in data), epochs=3, batch_size=20,
        transform=dequantize, clip=1.0, average="best", best=2, checkpoint=path, resume=mode == "resume",
        device="cpu",
    )  # fmt: skip
    return flow


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from test_distributed import distributed, train
flow = train(sys.argv[2], sys.argv[3])
weights = torch.cat([p.detach().flatten() for p in flow.parameters()])
# One write, so that the lines of the ranks do not mix.
sys.stdout.write(f"{distributed.size()} {weights.sum().item()} {weights.norm().item()}\\n")
"""


def torchrun(path, mode="plain"):
    script = path.parent / "script.py"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, str(script), os.path.dirname(__file__), str(path), mode]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "checkpoint"
    train(path, "plain")
    return load_checkpoint(path)


def assert_close(together, alone):
    """Rounding only: the same sums in another order, in float64, over 18 steps."""
    for key in ("loss", "validation", "gradient_norm"):
        ours = [row[key] for row in together["trainer"]["history"]["rows"]]
        theirs = [row[key] for row in alone["trainer"]["history"]["rows"]]
        assert ours == pytest.approx(theirs, rel=1e-9)
    assert len(ours) == 3
    for part in ("model", "average"):
        ours, theirs = together["trainer"][part], alone["trainer"][part]
        if part == "average":
            ours, theirs = ours["weights"], theirs["weights"]
        assert set(ours) == set(theirs)
        for name in theirs:
            assert torch.allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-11), name


def test_two_ranks_train_the_same_model(tmp_path, alone):
    done = torchrun(tmp_path / "checkpoint")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second  # both ranks hold the same weights, bit for bit
    assert first.startswith("2 ")
    assert_close(load_checkpoint(tmp_path / "checkpoint"), alone)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "script.py"]


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_the_same_step(tmp_path, alone):
    done = torchrun(tmp_path / "checkpoint", "signal")
    assert done.returncode != 0
    state = load_checkpoint(tmp_path / "checkpoint")
    # Sent within step 5; the exchange of that step may be the first or the one after to carry it.
    assert state["trainer"]["done"] in (5, 6)
    assert torchrun(tmp_path / "checkpoint", "resume").returncode == 0
    assert_close(load_checkpoint(tmp_path / "checkpoint"), alone)


@pytest.mark.slow
def test_a_loss_that_is_nan_on_one_rank_stops_all(tmp_path):
    done = torchrun(tmp_path / "checkpoint", "nan")
    assert done.returncode != 0
    assert done.stderr.count("RunError: training stopped in step 5 (epoch 1): the loss is nan") >= 2
    assert load_checkpoint(tmp_path / "checkpoint")["trainer"]["done"] == 4
    assert signal.SIGKILL not in (done.returncode, -done.returncode)


def test_shares_cover_a_batch(monkeypatch):
    batch = (torch.arange(7), None)
    for ranks in (1, 2, 3, 9):
        monkeypatch.setattr(distributed, "size", lambda ranks=ranks: ranks)
        parts = []
        for rank in range(ranks):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            parts.append(distributed.share(batch)[0])
        assert torch.equal(torch.cat(parts), batch[0])
        lengths = [len(p) for p in parts]
        assert max(lengths) - min(lengths) <= 1
