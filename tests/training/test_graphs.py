"""Losses as CUDA graphs; on the CPU a tape of the operations stands in for the graph, as for flows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from lhcflow.flows import Flow, coupling_spline
from lhcflow.training import Graphed, fit, negative_log_likelihood
from lhcflow.training import graphs as module
from tapes import Tape, recorded


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """CPU tensors count as CUDA tensors, and captures are tapes; gives the tapes."""
    monkeypatch.setattr(module, "capturable", lambda batch: True)
    monkeypatch.setattr(Flow, "_check_values", lambda *arguments: None)  # which waits for the device
    return recorded(monkeypatch)


def trained(loss: Any, device: str | None = None) -> tuple[list[float], list[Tensor]]:
    """Losses and weights of a training with a frozen parameter and a smaller last batch."""
    flow = coupling_spline(2, context=1, layers=2, hidden=(8,), bins=4, domain="real", seed=1)
    next(flow.parameters()).requires_grad_(False)
    x = torch.randn(230, 2, generator=torch.Generator().manual_seed(2)).cumsum(1)
    context = torch.linspace(-1, 1, 230)[:, None]
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 50, "learning_rate": 1e-2, "clip": 1.0}
    history = fit(
        flow, (x[:220], context[:220]), loss, validation=(x[220:], context[220:]), **settings, device=device
    )
    return [*history["loss"], *history["validation"]], [p.detach().cpu() for p in flow.parameters()]


def test_replays_train_as_the_loss_does(stand_in: list[Tape]) -> None:
    expected, weights = trained(negative_log_likelihood)
    found, again = trained(Graphed(negative_log_likelihood))
    assert len(stand_in) == 1  # neither of the smaller batch nor of the validation
    assert found == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(again, weights, rtol=1e-4, atol=1e-5)


def test_falls_back_where_nothing_can_be_captured(stand_in: list[Tape]) -> None:
    calls = itertools.count()

    def waits(model: Any, batch: Any) -> Tensor:
        next(calls)
        loss = negative_log_likelihood(model, batch)
        return loss if loss.item() < 1e9 else 2 * loss

    expected, _ = trained(negative_log_likelihood)
    with pytest.warns(RuntimeWarning, match="without a CUDA graph.*waits for the device"):
        found, _ = trained(Graphed(waits))
    assert found == pytest.approx(expected, rel=1e-6)
    assert len(stand_in) == 1  # and no second attempt
    assert next(calls) == 3 + 4 * (5 + 1)


def test_cpu_batches_are_not_captured() -> None:
    assert trained(Graphed(negative_log_likelihood))[0] == trained(negative_log_likelihood)[0]


@pytest.mark.gpu
def test_cuda_graphs_train_as_the_loss_does() -> None:
    expected, weights = trained(negative_log_likelihood, "cuda")
    graphed = Graphed(negative_log_likelihood)
    found, again = trained(graphed, "cuda")
    assert graphed._step is not None
    assert found == pytest.approx(expected, rel=1e-3)
    torch.testing.assert_close(again, weights, rtol=1e-2, atol=1e-3)
