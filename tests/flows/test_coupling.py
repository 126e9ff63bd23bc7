"""Coupling layers: what passes, the fused native stack against the layers one by one, gradients."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lhcflow import InputError
from lhcflow._native import core
from lhcflow.flows import CouplingAffine, CouplingSpline, Flow, Uniform
from lhcflow.flows.bijection import build, describe
from lhcflow.flows.conditioner import Conditioner
from lhcflow.flows.fused import _one_by_one, _run_of_fused, run_stack
from lhcflow.flows.masks import binary_masks, make_masks

native = pytest.mark.skipif(core is None, reason="no native core")
Randomize = Callable[..., nn.Module]

# dim, layers, hidden, bins, context, domain, activation
STACKS: dict[str, dict[str, Any]] = {
    "unit": {"dim": 5, "layers": 6, "hidden": (32, 32), "bins": 8},
    "odd sizes, context, tails": {
        "dim": 3,
        "layers": 4,
        "hidden": (33, 7),
        "bins": 5,
        "context": 2,
        "domain": "real",
        "activation": "leaky_relu",
    },
    "no hidden layer": {"dim": 2, "layers": 2, "hidden": (), "bins": 3},
    "one dimension": {"dim": 1, "layers": 2, "hidden": (9,), "bins": 4, "context": 3},
}


def stack(name: str, randomize: Randomize, dtype: torch.dtype) -> nn.ModuleList:
    settings = dict(STACKS[name])
    dim, layers = settings.pop("dim"), settings.pop("layers")
    list_ = nn.ModuleList(CouplingSpline(dim, mask, **settings) for mask in make_masks("binary", dim, layers))
    randomize(list_.to(dtype), size=0.1)
    return list_


def batch(layers: nn.ModuleList, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(n)
    first = layers[0]
    assert isinstance(first, CouplingSpline)
    x = torch.rand(n, first.dim, generator=generator, dtype=dtype)
    if first.domain == "real":
        x = 12 * x - 6  # some beyond the bound
    context = torch.randn(n, first.context, generator=generator, dtype=dtype) if first.context else None
    return x, context


@native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("n", [0, 1, 7, 33, 1000])
@pytest.mark.parametrize("inverse", [False, True])
def test_fused_stack_equals_the_layers(
    dtype: torch.dtype, name: str, n: int, inverse: bool, randomize: Randomize
) -> None:
    layers = stack(name, randomize, dtype)
    x, context = batch(layers, n, dtype)
    assert len(_run_of_fused(list(layers), x, context, inverse)) == len(layers)  # type: ignore[arg-type]
    inputs = [x.requires_grad_(), *([context.requires_grad_()] if context is not None else [])]
    inputs += list(layers.parameters())
    weights = [torch.linspace(-1, 1, n * k, dtype=dtype).reshape(n, k) for k in (x.shape[1], 1)]
    results = []
    for function in (run_stack, _one_by_one):
        y, log_det = function(list(layers), x, context, inverse)  # type: ignore[arg-type]
        gradients = torch.autograd.grad((y, log_det), inputs, (weights[0], weights[1][:, 0]))
        results.append((y, log_det, *gradients))
    with torch.no_grad():
        again = run_stack(list(layers), x, context, inverse)  # type: ignore[arg-type]
    assert torch.equal(again[0], results[0][0])
    assert torch.equal(again[1], results[0][1])
    tolerance = {torch.float32: 1e-4, torch.float64: 1e-11}[dtype]
    for found, expected in zip(*results, strict=True):
        scale = max(1.0, float(expected.detach().abs().max()) if expected.numel() else 1.0)
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


@native
@pytest.mark.parametrize("inverse", [False, True])
def test_gradients_of_the_fused_stack(inverse: bool, randomize: Randomize) -> None:
    layers = stack("odd sizes, context, tails", randomize, torch.float64)
    x, context = batch(layers, 3, torch.float64)
    assert context is not None
    parameters = [layers[1].conditioner.layers[0].bias]  # type: ignore[union-attr,index]

    def function(x: Tensor, context: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        return run_stack(list(layers), x, context, inverse)  # type: ignore[arg-type]

    inputs = (x.requires_grad_(), context.requires_grad_(), *parameters)
    torch.autograd.gradcheck(function, inputs)
    torch.autograd.gradgradcheck(function, inputs[:2])


@native
def test_same_numbers_for_every_number_of_threads(randomize: Randomize) -> None:
    layers = stack("unit", randomize, torch.float32)
    x, _ = batch(layers, 3000, torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            y, log_det = run_stack(list(layers), x)  # type: ignore[arg-type]
            gradients = torch.autograd.grad(log_det.sum() + y.square().sum(), list(layers.parameters()))
            results.append((y, log_det, *gradients))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


BASELINE = """
import torch
from lhcflow._native import core
from lhcflow.flows import coupling_spline
from lhcflow.flows.fused import _one_by_one, run_stack
assert core.instruction_set() == "baseline", core.instruction_set()
flow = coupling_spline(3, layers=4, hidden=(11, 6), bins=5).double()
torch.manual_seed(0)
for p in flow.parameters():
    torch.nn.init.normal_(p, std=0.2)
x = torch.rand(100, 3, dtype=torch.float64)
results = []
for function in (run_stack, _one_by_one):
    y, log_det = function(list(flow.bijections), x, None, False)
    grads = torch.autograd.grad(log_det.sum() + y.square().sum(), list(flow.parameters()))
    results.append((y, log_det, *grads))
for a, b in zip(*results):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
"""


@native
def test_baseline_instruction_set() -> None:
    environment = {**os.environ, "LHCFLOW_ISA": "baseline"}
    subprocess.run([sys.executable, "-c", BASELINE], env=environment, check=True)


def test_layers_the_kernel_does_not_know_run_as_themselves(randomize: Randomize) -> None:
    mask = (False, True, True)
    layers = [
        CouplingSpline(3, mask, bins=4),
        CouplingSpline(3, mask, bins=4, hidden=(8, 8), residual=True),
        CouplingSpline(3, mask, bins=4, activation="silu"),
        CouplingSpline(3, mask, bins=4, circular=(0, 2)),
        CouplingSpline(3, mask, bins=4),
        CouplingSpline(3, (True, False, False), bins=4),
    ]
    flow = randomize(Flow(layers, Uniform(3)).double(), size=0.1)
    x = torch.rand(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z, log_det = flow(x)
    torch.testing.assert_close((z, log_det), _one_by_one(layers, x, None, False))
    back, back_log_det = flow.inverse(z)  # type: ignore[operator]
    torch.testing.assert_close(back, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(back_log_det, -log_det, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "layer",
    [
        CouplingSpline(4, (True, False, True, False), bins=4),
        CouplingSpline(4, (True, False, True, False), bins=4, circular=(0, 1), domain="real"),
        CouplingAffine(4, (True, False, True, False)),
    ],
    ids=["spline", "circular", "affine"],
)
def test_only_the_mask_is_transformed_given_only_the_rest(layer: nn.Module, randomize: Randomize) -> None:
    layer = randomize(copy.deepcopy(layer).double(), size=0.2)
    x = torch.rand(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    z, _ = layer(x)
    assert torch.equal(z[:, [1, 3]], x[:, [1, 3]])
    assert (z[:, [0, 2]] != x[:, [0, 2]]).all()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: layer(row[None])[0][0]))(x)
    assert (jacobian[:, 0, 2] == 0).all()
    assert (jacobian[:, 2, 0] == 0).all()
    assert (jacobian[:, 0, 1] != 0).any()


def test_new_layers_are_the_identity() -> None:
    x = torch.rand(10, 3, generator=torch.Generator().manual_seed(2))
    for layer in (CouplingSpline(3, (True, False, True)), CouplingAffine(3, (True, False, True))):
        z, log_det = layer(x)
        torch.testing.assert_close(z, x, rtol=0, atol=1e-6)
        torch.testing.assert_close(log_det, torch.zeros(10), rtol=0, atol=1e-5)


def test_an_angle_is_seen_with_its_period_and_turned(randomize: Randomize) -> None:
    layer = CouplingSpline(2, (True, False), bins=4, domain="real", bound=torch.pi, circular=(0, 1))
    randomize(layer.double(), size=0.2)
    x = torch.tensor([[0.5, -torch.pi], [0.5, torch.pi]], dtype=torch.float64)
    z, log_det = layer(x)
    torch.testing.assert_close(z[0, 0], z[1, 0])
    torch.testing.assert_close(log_det[0], log_det[1])
    assert layer.shift is not None
    with torch.no_grad():
        layer.shift.add_(0.3)
    moved = (layer(x)[0][0, 0] - z[0, 0]).detach()
    assert float(torch.remainder(moved - 0.3 + 1, 2 * torch.pi)) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["deepcopy", "config"])
def test_copies_compute_the_same(kind: str, randomize: Randomize) -> None:
    layer = CouplingSpline(3, (True, False, True), context=1, bins=4, circular=(2,), residual=True)
    randomize(layer)
    if kind == "deepcopy":
        other = copy.deepcopy(layer)
    else:
        other = build(describe(layer))
        other.load_state_dict(layer.state_dict())
    x, context = torch.rand(5, 3), torch.randn(5, 1)
    assert all(torch.equal(a, b) for a, b in zip(layer(x, context), other(x, context), strict=True))


def test_hooks_are_not_skipped() -> None:
    layers = [CouplingSpline(2, mask, bins=4) for mask in binary_masks(2)]
    calls = []
    layers[0].register_forward_hook(lambda *_: calls.append(1))
    run_stack(layers, torch.rand(3, 2))
    assert calls == [1]


def test_conditioner() -> None:
    network = Conditioner(2, 3, hidden=(5, 5), context=1, activation="silu", residual=True)
    assert torch.equal(network(torch.rand(4, 2), torch.rand(4, 1)), torch.zeros(4, 3))
    constant = Conditioner(0, 3)
    assert constant(torch.empty(4, 0)).shape == (4, 3)
    assert sum(p.numel() for p in constant.parameters()) == 3


def test_wrong_input() -> None:
    with pytest.raises(InputError, match="mask of that length"):
        CouplingSpline(3, (True, False))
    with pytest.raises(InputError, match="at least one"):
        CouplingSpline(2, (False, False))
    with pytest.raises(InputError, match="domain must be"):
        CouplingSpline(2, (True, False), domain="cube")
    with pytest.raises(InputError, match="circular dimensions"):
        CouplingSpline(2, (True, False), circular=(2,))
    with pytest.raises(InputError, match="unknown activation"):
        CouplingAffine(2, (True, False), activation="tanh")
    with pytest.raises(InputError, match="equal widths"):
        CouplingAffine(2, (True, False), hidden=(4, 5), residual=True)
    with pytest.raises(InputError, match="context=1"):
        CouplingSpline(2, (True, False), context=1)(torch.rand(3, 2))
