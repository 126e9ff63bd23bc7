"""MADE: who depends on whom, by automatic differentiation; masks that hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lhcflow import InputError
from lhcflow.flows.made import MADE, MaskedLinear

DIM, OUTPUTS, CONTEXT = 5, 3, 2

SETTINGS: list[dict[str, Any]] = [
    {"hidden": (16,)},
    {"hidden": (20, 12, 16)},
    {"hidden": (3, 3)},  # fewer units than degrees
    {"hidden": (16, 16, 16), "residual": True, "activation": "silu"},
    {"hidden": (24, 24), "degrees": "random", "seed": 4},
    {"hidden": (24, 24), "degrees": "random", "residual": True},
    {"hidden": (4,), "degrees": [[1, 4, 2, 2]]},
    {"hidden": (16, 16), "order": (3, 0, 4, 2, 1), "activation": "tanh"},
]


def made(context: int = 0, **settings: Any) -> MADE:
    torch.manual_seed(0)
    net = MADE(DIM, OUTPUTS, context=context, **settings)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn_like(p))
    return net.double()


def dependence(net: MADE, context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether parameter sets (rows) depend on inputs and context (columns), at any of 20 points."""
    x = torch.randn(20, DIM, dtype=torch.float64)
    c = torch.randn(20, context, dtype=torch.float64)
    jx, jc = torch.autograd.functional.jacobian(
        lambda x, c: net(x, c if context else None).abs().sum(0), (x, c), strict=False
    )
    return (jx != 0).any(1).any(1), (jc != 0).any(1).any(1)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("context", [0, CONTEXT])
def test_dimension_depends_on_those_before_it(settings: dict[str, Any], context: int) -> None:
    net = made(context, **settings)
    on_x, on_context = dependence(net, context)
    rank = torch.tensor(net.order).argsort()
    allowed = rank[:, None] > rank[None, :]
    assert not (on_x & ~allowed).any()
    if settings["hidden"][0] >= 12 and settings.get("degrees") != "random":
        assert (on_x == allowed).all()  # and on all of those
        assert on_context.all()  # also the first dimension on the context


def test_few_hidden_units_still_see_late_dimensions() -> None:
    on_x, _ = dependence(made(hidden=(3, 3)), 0)
    assert on_x[DIM - 1, DIM - 2]


def normal(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.3)


def noise(net: nn.Module) -> None:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))


def training(net: nn.Module) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(8, DIM, dtype=torch.float64)).square().sum().backward()
        optimizer.step()


def ones(net: nn.Module) -> None:
    net.load_state_dict({name: torch.ones_like(tensor) for name, tensor in net.state_dict().items()})


def data(net: nn.Module) -> None:
    for p in net.parameters():
        p.data.fill_(0.5)


@pytest.mark.parametrize(
    "change",
    [lambda net: net.apply(normal), noise, training, ones, data],
    ids=["init", "noise", "training", "loading", "data"],
)
def test_masks_hold_whatever_is_written_to_the_weights(change: Callable[[nn.Module], Any]) -> None:
    net = made(hidden=(16, 16))
    change(net)
    on_x, _ = dependence(net, 0)
    assert on_x.any()
    assert not on_x.triu().any()
    x = torch.randn(4, DIM, dtype=torch.float64)
    with_gradient = net(x)
    with torch.no_grad():
        assert torch.equal(net(x), with_gradient)
    with_gradient.square().sum().backward()
    for part in net.modules():
        if isinstance(part, MaskedLinear):
            assert part.weight.grad is not None
            assert (part.weight.grad[part.mask == 0] == 0).all()


def test_start_at_zero() -> None:
    assert (MADE(DIM, OUTPUTS, (8, 8), residual=True)(torch.randn(3, DIM)) == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": ()}, "one or more hidden layers"),
        ({"hidden": (8, 9), "residual": True}, "equal width"),
        ({"hidden": (8,), "activation": "cosh"}, "unknown activation"),
        ({"hidden": (8,), "order": (0, 1, 1, 2, 3)}, "each of the 5 dimensions once"),
        ({"hidden": (2,), "degrees": [[1, 5]]}, "must lie in 0..4"),
        ({"hidden": (2, 2), "degrees": [[1, 2]]}, "one list per hidden layer"),
        ({"hidden": (2, 2), "degrees": [[1, 2], [2, 2]], "residual": True}, "same degrees"),
        ({"hidden": (2,), "degrees": "descending"}, "'sequential', 'random'"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MADE(DIM, OUTPUTS, **settings)
