"""Schedules against torch's own."""

import pytest
import torch

from lhcflow import InputError
from lhcflow.training import SCHEDULES, Cosine
from lhcflow.training.schedules import schedule_named


def rates(scheduler, optimizer, steps):
    out = []
    for step in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return out


@pytest.mark.parametrize("steps", [10, 101, 1000])
def test_one_cycle_is_torchs(steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    peer = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=steps)
    ours = [SCHEDULES["one-cycle"](step, steps) for step in range(steps)]
    assert ours == pytest.approx(rates(peer, optimizer, steps), abs=1e-12)


def test_cosine_is_torchs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.1)
    ours = [Cosine(floor=0.1)(step, 50) for step in range(50)]
    assert ours == pytest.approx(rates(peer, optimizer, 50), abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
def test_factors_are_sensible_for_any_length(name, steps):
    """Positive (a step is never wasted), never above 1, and defined after the planned end."""
    factors = [SCHEDULES[name](step, steps) for step in range(steps)]
    assert min(factors) > 0
    assert max(factors) <= 1 + 1e-12
    assert max(factors) > (0.9 if steps > 3 else 0.03)
    assert 0 <= SCHEDULES[name](steps + 5, steps) <= 1


def test_warmup_rises_linearly_to_the_cosine():
    schedule = Cosine(warmup=0.1)
    factors = [schedule(step, 1000) for step in range(1000)]
    assert factors[:100] == pytest.approx([(i + 1) / 101 for i in range(100)])
    assert factors[100] == 1.0
    assert factors[550] == pytest.approx(0.5)


def test_lookup():
    assert schedule_named(Cosine(0.5)) == Cosine(0.5)
    with pytest.raises(InputError, match="unknown schedule 'cosin': choose constant, cosine"):
        schedule_named("cosin")
