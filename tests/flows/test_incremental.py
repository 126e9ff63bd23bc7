"""The incremental solution equals the plain loop of one full pass per dimension."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lhcflow import _native
from lhcflow.flows import AutoregressiveAffine, AutoregressiveSpline, Flow, Permutation, StandardNormal
from lhcflow.flows.autoregressive import Autoregressive
from lhcflow.flows.incremental import solve_naive

DIM, CONTEXT = 7, 2
DTYPES = [torch.float32, torch.float64]
BATCHES = [0, 1, 7, 33, 300]
# Single precision: rounding of the two orders of summation, amplified along the dimensions.
TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-10}

Randomize = Callable[..., nn.Module]


def layer(kind: str, dim: int = DIM, **settings: Any) -> Autoregressive:
    torch.manual_seed(0)
    if kind == "affine":
        return AutoregressiveAffine(dim, **settings)
    return AutoregressiveSpline(dim, bins=5, domain=kind, bound=3.0, **settings)


def problem(
    kind: str, n: int, dtype: torch.dtype, context: int, dim: int = DIM
) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(n)
    y = (
        torch.rand(n, dim, generator=generator)
        if kind == "unit"
        else 2 * torch.randn(n, dim, generator=generator)
    )
    c = torch.randn(n, context, generator=generator) if context else None
    return y.to(dtype), None if c is None else c.to(dtype)


def check(bijection: Autoregressive, y: Tensor, c: Tensor | None) -> None:
    """Native kernel and torch twin against the plain loop."""
    inverse = bijection.fast == "density"
    tolerance = {"rtol": TOLERANCE[y.dtype], "atol": TOLERANCE[y.dtype]}
    with torch.no_grad():
        expected = solve_naive(bijection.net, bijection.element, y, c, inverse)
        plan = bijection._plans.get(bijection.net, bijection.element)
        torch.testing.assert_close(plan.solve_torch(y, plan.context_terms(c), inverse), expected, **tolerance)
        if _native.core is not None:
            assert plan.native is not None
        map_ = bijection.inverse if inverse else bijection
        torch.testing.assert_close(map_(y, c), expected, **tolerance)


NETWORKS: list[dict[str, Any]] = [
    {"hidden": (9,)},
    {"hidden": (16, 8), "activation": "silu"},
    {"hidden": (30, 20, 10), "activation": "leaky_relu", "order": (2, 4, 0, 1, 6, 5, 3)},
    {"hidden": (16, 16), "residual": True, "activation": "elu"},
    {"hidden": (12, 12, 12), "residual": True},
    {"hidden": (40, 40), "degrees": "random", "seed": 3, "activation": "tanh"},
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["unit", "real", "affine"])
@pytest.mark.parametrize("fast", ["density", "sampling"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda s: ",".join(str(v) for v in s.values()))
def test_equals_the_plain_loop(
    network: dict[str, Any], fast: str, kind: str, dtype: torch.dtype, randomize: Randomize
) -> None:
    for context, n in itertools.product((0, CONTEXT), BATCHES):
        bijection = layer(kind, context=context, fast=fast, **network)
        randomize(bijection, size=0.2)
        check(bijection.to(dtype), *problem(kind, n, dtype, context))


@pytest.mark.parametrize("dim", [1, 2, 40])
@pytest.mark.parametrize("bins", [1, 2, 16])
def test_dimensions_and_bins(dim: int, bins: int, randomize: Randomize) -> None:
    for domain, context in itertools.product(("unit", "real"), (0, CONTEXT)):
        torch.manual_seed(0)
        bijection = AutoregressiveSpline(dim, bins=bins, domain=domain, context=context, hidden=(50, 45))
        randomize(bijection, size=0.1)
        bijection.double()
        check(bijection, *problem(domain, 33, torch.float64, context, dim))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_extreme_parameters_and_values(dtype: torch.dtype, randomize: Randomize) -> None:
    """Finite results everywhere; values on edges, in tails and far out."""
    for kind, size in itertools.product(("unit", "real"), (1.0, 30.0)):
        bijection = layer(kind, hidden=(16,))
        randomize(bijection, size=size)
        bijection.to(dtype)
        high = 1.0 if kind == "unit" else 3.0
        low = 0.0 if kind == "unit" else -3.0
        values = torch.tensor(
            [low, high, (low + high) / 2, low - 1e-7, high + 1e-7, 1e4, -1e4, 0.1], dtype=dtype
        )
        y = values[torch.randint(len(values), (200, DIM), generator=torch.Generator().manual_seed(0))]
        with torch.no_grad():
            x, log_det = bijection.inverse(y)
            one, one_log_det = bijection.inverse(y[:1])
        for result in (x, log_det, one, one_log_det):
            assert result.isfinite().all()
        outside = (y < low) | (y > high)
        assert torch.equal(x[outside], y[outside])
        assert ((x >= low) & (x <= high))[~outside].all()


def test_bad_numbers_stay_in_their_rows(randomize: Randomize) -> None:
    bijection = layer("real", hidden=(16, 16))
    randomize(bijection)
    y, _ = problem("real", 20, torch.float32, 0)
    with torch.no_grad():
        expected, _ = bijection.inverse(y)
        y[3, 2] = float("nan")
        x, _ = bijection.inverse(y)
    assert x[3, 2:].isnan().any()
    others = torch.arange(20) != 3
    assert torch.equal(x[others], expected[others])


@pytest.mark.skipif(_native.core is None, reason="without native kernels")
def test_threads_and_batches_do_not_change_the_numbers(randomize: Randomize) -> None:
    bijection = layer("real", hidden=(32, 32), context=CONTEXT)
    randomize(bijection)
    y, c = problem("real", 300, torch.float32, CONTEXT)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            with torch.no_grad():
                results.append(bijection.inverse(y, c))
    finally:
        torch.set_num_threads(before)
    for x, log_det in results[1:]:
        assert torch.equal(x, results[0][0])
        assert torch.equal(log_det, results[0][1])
    with torch.no_grad():
        part, _ = bijection.inverse(y[:50], None if c is None else c[:50])
    torch.testing.assert_close(part, results[0][0][:50], rtol=0, atol=1e-5)


@pytest.mark.parametrize("fast", ["density", "sampling"])
def test_flow_with_permutations(fast: str, randomize: Randomize) -> None:
    parts: list[Any] = []
    for index in range(4):
        torch.manual_seed(index)
        parts += [
            AutoregressiveSpline(DIM, hidden=(32, 32), domain="real", fast=fast, context=CONTEXT),  # type: ignore
            Permutation.random(DIM, seed=index),
        ]
    flow = Flow(parts, StandardNormal(DIM))
    randomize(flow, size=0.1)
    flow.double()
    x, c = problem("real", 40, torch.float64, CONTEXT)
    with torch.no_grad():
        z, log_det = flow.forward(x, c)
        back, inverse_log_det = flow.inverse(z, c)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(inverse_log_det, -log_det, rtol=0, atol=1e-9)


def test_the_plan_follows_the_weights(randomize: Randomize) -> None:
    bijection = layer("real", hidden=(16, 16))
    randomize(bijection)
    y, _ = problem("real", 5, torch.float32, 0)

    def solved() -> Tensor:
        with torch.no_grad():
            return bijection.inverse(y)[0]

    first = solved()
    plan = bijection._plans.get(bijection.net, bijection.element)
    assert bijection._plans.get(bijection.net, bijection.element) is plan  # kept between calls
    for settings in ({}, {"foreach": True}, {"fused": True}):
        before = solved()
        step = torch.optim.AdamW(bijection.parameters(), lr=0.05, **settings)
        step.zero_grad()
        bijection(y)[0].square().sum().backward()
        step.step()
        assert not torch.equal(solved(), before)
        check(bijection, y, None)
    bijection.load_state_dict({k: 0.5 * v for k, v in bijection.state_dict().items()})
    check(bijection, y, None)
    bijection.net.final.bias.data.add_(0.3)  # not seen by autograd's counter ...
    bijection.eval()  # ... but this starts anew
    check(bijection, y, None)
    assert not torch.equal(solved(), first)


def test_copies_and_pickles(randomize: Randomize) -> None:
    bijection = layer("real", hidden=(16,))
    randomize(bijection)
    y, _ = problem("real", 5, torch.float32, 0)
    with torch.no_grad():
        expected = bijection.inverse(y)[0]
        for twin in (copy.deepcopy(bijection), pickle.loads(pickle.dumps(bijection))):
            assert torch.equal(twin.inverse(y)[0], expected)
            twin.net.final.bias.add_(1.0)
            assert not torch.equal(twin.inverse(y)[0], expected)
        assert torch.equal(bijection.inverse(y)[0], expected)
        with torch.inference_mode():
            assert torch.equal(bijection.inverse(y)[0], expected)


def test_without_native_kernels(monkeypatch: pytest.MonkeyPatch, randomize: Randomize) -> None:
    monkeypatch.setattr(_native, "core", None)
    bijection = layer("real", hidden=(16, 16), context=CONTEXT)
    randomize(bijection)
    plan = bijection._plans.get(bijection.net, bijection.element)
    assert plan.native is None
    y, c = problem("real", 9, torch.float32, CONTEXT)
    with torch.no_grad():
        expected = solve_naive(bijection.net, bijection.element, y, c, True)
        torch.testing.assert_close(plan.solve(y, c, True), expected, rtol=1e-4, atol=1e-4)


def test_non_contiguous_input(randomize: Randomize) -> None:
    bijection = layer("real", hidden=(16,), context=CONTEXT)
    randomize(bijection)
    y, c = problem("real", 10, torch.float32, CONTEXT)
    assert c is not None
    with torch.no_grad():
        expected = bijection.inverse(y, c[:1].expand(10, -1).contiguous())[0]
        assert torch.equal(bijection.inverse(y.T.contiguous().T, c[:1].expand(10, -1))[0], expected)
