"""Flows as users of other packages take them: faults that were found from outside, with the right values."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lhcflow import InputError
from lhcflow.flows import (
    Affine,
    AutoregressiveCategorical,
    Flow,
    MixedFlow,
    StandardNormal,
    autoregressive_spline,
    build,
    coupling_spline,
    describe,
    load,
    save,
)
from lhcflow.flows.autoregressive import AutoregressiveSpline
from lhcflow.flows.coupling import CouplingSpline
from randomized import randomized

N = 40


class LowRank(nn.Linear):
    """A layer with a low-rank correction (LoRA, 2106.09685)."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__(base.in_features, base.out_features)
        self.load_state_dict(base.state_dict())
        generator = torch.Generator().manual_seed(1)
        self.down = nn.Parameter(torch.randn(rank, base.in_features, generator=generator))
        self.up = nn.Parameter(torch.randn(base.out_features, rank, generator=generator))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + input @ self.down.T @ self.up.T


def coupling() -> Flow:
    return randomized(coupling_spline(4, layers=2, hidden=(16,), bins=4, domain="real", seed=1)).double()


def maf() -> Flow:
    flow = autoregressive_spline(4, layers=2, hidden=(16,), bins=4, domain="real", seed=1)
    return randomized(flow).double()


def data(n: int = N) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def by_torch(flow: Flow, x: Tensor) -> Tensor:
    """log_prob under vmap, where no kernel works."""
    return torch.func.vmap(lambda row: flow.log_prob(row[None])[0])(x)


def subclass(net: nn.Module) -> None:
    net.layers[0] = LowRank(net.layers[0]).double()  # type: ignore[index, operator]


def hook(net: nn.Module) -> None:
    net.layers[0].register_forward_hook(lambda module, inputs, output: 0.5 * output)  # type: ignore[index, operator]


def weight_norm(net: nn.Module) -> None:
    nn.utils.parametrizations.weight_norm(net.layers[0])  # type: ignore[index, operator]
    with torch.no_grad():
        for p in net.layers[0].parametrizations.parameters():  # type: ignore[index, operator, union-attr]
            p.mul_(1.5)


def activation(net: nn.Module) -> None:
    net.activation = nn.Hardtanh()


def replaced_forward(net: nn.Module) -> None:
    layer = net.layers[0]  # type: ignore[index, operator]
    layer.forward = lambda x: nn.functional.linear(x, 2 * layer.weight, layer.bias)


CHANGES = [subclass, hook, weight_norm, activation, replaced_forward]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_conditioner_is_used(change: Callable[[nn.Module], None]) -> None:
    """Values and gradients of a coupling flow, of which a part was replaced, are those of plain torch."""
    flow, x = coupling(), data()
    before = flow.log_prob(x).detach()
    for layer in flow.bijections:
        if isinstance(layer, CouplingSpline):
            change(layer.conditioner)
    expected = by_torch(flow, x)
    assert float((expected.detach() - before).abs().max()) > 0.1
    torch.testing.assert_close(flow.log_prob(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(flow.log_prob(x), expected)
    flow.log_prob(x).sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in flow.parameters())


@pytest.mark.parametrize("change", [activation, hook])
def test_a_changed_masked_network_is_used_in_both_directions(change: Callable[[nn.Module], None]) -> None:
    flow, x = maf(), data()
    with torch.no_grad():
        flow.inverse(x)  # packs the weights
    for layer in flow.bijections:
        if isinstance(layer, AutoregressiveSpline):
            change(layer.net)
    z, log_det = flow.forward(x)
    back, back_log_det = flow.inverse(z)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(back_log_det, -log_det)
    torch.testing.assert_close(flow.log_prob(x), by_torch(flow, x))
    back.square().sum().backward()
    assert all(p.grad is not None for p in flow.parameters())


@pytest.mark.parametrize("make", [coupling, maf])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_functional_call_with_gradients_of_gradients(make: Callable[[], Flow], direction: str) -> None:
    """Second derivatives are those of the weights that were swapped in, as meta-learning does."""
    flow, x = make(), data(5)
    weights = {name: (1.3 * p).detach().requires_grad_() for name, p in flow.named_parameters()}

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flow = flow

        def forward(self, x: Tensor) -> Tensor:
            y, log_det = getattr(self.flow, direction)(x)
            return y.square().sum() + log_det.sum()

    def slope(x: Tensor, create_graph: bool) -> Tensor:
        x = x.clone().requires_grad_()
        value = functional_call(Both(), {f"flow.{name}": w for name, w in weights.items()}, (x,))
        return torch.autograd.grad(value, x, create_graph=create_graph)[0]

    torch.testing.assert_close(slope(x, True), slope(x, False))
    swapped = make()
    with torch.no_grad():
        for p in swapped.parameters():
            p.mul_(1.3)
    y = x.clone().requires_grad_()
    z, log_det = getattr(swapped, direction)(y)
    expected = torch.autograd.grad(z.square().sum() + log_det.sum(), y, create_graph=True)[0]
    torch.testing.assert_close(slope(x, True), expected)
    ours = torch.autograd.grad(slope(x, True).square().sum(), list(weights.values()), allow_unused=True)
    theirs = torch.autograd.grad(expected.square().sum(), list(swapped.parameters()), allow_unused=True)
    torch.testing.assert_close(ours, theirs)


def test_a_layer_that_stands_in_a_flow_twice() -> None:
    once = coupling()
    twice = Flow([*once.bijections, *once.bijections], once.base)  # type: ignore[misc]
    x = data(5).requires_grad_()
    weights = list(twice.parameters())
    plain = torch.autograd.grad(twice.log_prob(x).sum(), [x, *weights])
    graph = torch.autograd.grad(twice.log_prob(x).sum(), [x, *weights], create_graph=True)
    torch.testing.assert_close(graph, plain)
    expected = torch.autograd.grad(by_torch(twice, x).sum(), [x, *weights])
    torch.testing.assert_close(plain, expected)


def halve(flow: Flow) -> None:
    for name, p in flow.named_parameters():
        if name.endswith("weight"):
            p.data.mul_(0.5)


def clamp(flow: Flow) -> None:
    for p in flow.parameters():
        p.data.clamp_(-0.2, 0.2)


def swap_columns(flow: Flow) -> None:
    for p in flow.parameters():
        p.data.copy_(p.data.flip(-1))


def fused_adam(flow: Flow) -> None:
    for layer in flow.bijections:
        if isinstance(layer, AutoregressiveSpline):
            layer.net.final.bias.requires_grad_(False)
    optimiser = torch.optim.Adam([p for p in flow.parameters() if p.requires_grad], lr=1e-2, fused=True)
    for _ in range(5):
        optimiser.zero_grad()
        (-flow.log_prob(data()).mean()).backward()
        optimiser.step()


@pytest.mark.parametrize("change", [halve, clamp, swap_columns, fused_adam])
@pytest.mark.parametrize("rows", [5, 1024])
@pytest.mark.parametrize("training", [True, False])
def test_the_slow_direction_follows_weights_that_change_behind_autograd(
    change: Callable[[Flow], None], rows: int, training: bool
) -> None:
    flow, z = maf().train(training), data(rows)
    with torch.no_grad():
        before = flow.inverse(z)[0]
    change(flow)
    if not training and rows < 1024 and change is not fused_adam:
        flow.eval()  # as the documentation of PlanCache asks for
    with torch.no_grad():
        after = flow.inverse(z)[0]
        assert not torch.equal(after, before)
        torch.testing.assert_close(flow.forward(after)[0], z)


@pytest.mark.slow
def test_score_matching_finds_a_gaussian() -> None:
    """Implicit score matching (Hyvarinen 2005) needs second derivatives and their gradients.

    The optimum is the data's own Gaussian, with a mean NLL of 2.31. After 150 steps right gradients come
    to 2.8 (the score of a spline has steps, which slow it down); wrong ones had come to 12.5.
    """
    mixing = torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)) @ mixing
    flow = autoregressive_spline(2, layers=2, hidden=(32,), bins=6, domain="real", activation="silu", seed=1)
    optimiser = torch.optim.Adam(flow.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(150):
        batch = x[torch.randint(len(x), (256,), generator=generator)].requires_grad_()
        score = torch.autograd.grad(flow.log_prob(batch).sum(), batch, create_graph=True)[0]
        rows = [torch.autograd.grad(score[:, j].sum(), batch, create_graph=True)[0] for j in range(2)]
        loss = (rows[0][:, 0] + rows[1][:, 1] + 0.5 * score.square().sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimiser.step()
    with torch.no_grad():
        nll = float(-flow.log_prob(x).mean())
    covariance = x.T.cov()
    exact = 1 + math.log(2 * math.pi) + 0.5 * float(torch.logdet(covariance))
    assert nll - exact < 0.8


RECIPES: list[Callable[..., Flow]] = [coupling_spline, autoregressive_spline]


def grid(low: float, high: float, n: int) -> tuple[Tensor, float]:
    """The middles of n x n cells of the square, and their area."""
    step = (high - low) / n
    line = low + step * (torch.arange(n, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(line, line), step**2


@pytest.mark.parametrize("make", RECIPES)
@pytest.mark.parametrize("permutation", ["none", "reverse"])
def test_bounds_and_angles_of_each_dimension(make: Callable[..., Flow], permutation: str) -> None:
    """The density is one over the plane, periodic in the angle, and normal beyond the bound of the other."""
    settings = {"layers": 3, "hidden": 16, "bins": 4, "domain": "real", "seed": 1}
    flow = make(2, **settings, circular=1, bound=(2.0, math.pi), permutation=permutation)
    randomized(flow).double()
    x, _ = grid(-math.pi, math.pi, 400)
    x[:, 0] *= 8 / math.pi
    with torch.no_grad():
        density = flow.log_prob(x).exp()
        assert float(density.mean()) * 16 * 2 * math.pi == pytest.approx(1, abs=4e-3)  # of the sum over cells
        turned = x + torch.tensor([0.0, 2 * math.pi])
        torch.testing.assert_close(flow.log_prob(turned).exp(), density, rtol=1e-6, atol=1e-9)
        far = flow.forward(torch.tensor([[2.5, 0.3], [-7.0, -2.0]], dtype=torch.float64))[0]
        samples = flow.sample(500)
        torch.testing.assert_close(flow.inverse(flow.forward(samples)[0])[0], samples)
    assert float(samples[:, 1].abs().max()) <= math.pi
    # The identity, up to the order, outside [-2, 2].
    assert {round(float(v), 6) for v in far.flatten()} >= {2.5, -7.0}
    assert torch.equal(load_again(flow).log_prob(x[:9]), flow.log_prob(x[:9]))


def load_again(flow: Flow) -> Flow:
    copy = build(json.loads(json.dumps(describe(flow)))).double()
    copy.load_state_dict(flow.state_dict())
    return copy


@pytest.mark.parametrize("make", RECIPES)
def test_standardize(make: Callable[..., Flow]) -> None:
    """A new flow of a sample is the normal distribution of its mean and width; arrays and lists will do."""
    sample = np.random.default_rng(0).normal([100.0, -3.0], [20.0, 0.1], (5000, 2))
    flow = make(2, layers=2, hidden=8, domain="real", standardize=sample)
    x = sample[:7].tolist()
    expected = scipy.stats.norm(sample.mean(0), sample.std(0)).logpdf(x).sum(1)
    np.testing.assert_allclose(flow.log_prob(x).detach().numpy(), expected, rtol=1e-4)
    also = Flow([Affine.standardize(sample), *flow.bijections[1:]], flow.base)
    assert torch.equal(also.log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: coupling_spline("2"), "dim must be a whole number, got '2'"),  # type: ignore[arg-type]
        (lambda: coupling_spline(2.5), "dim must be a whole number"),  # type: ignore[arg-type]
        (lambda: coupling_spline(2, seed=-1), "seed must be >= 0"),
        (lambda: coupling_spline(2, seed=1.5), "seed must be a whole number"),  # type: ignore[arg-type]
        (lambda: coupling_spline(2, bound=(1, 2)), 'domain="real"'),
        (lambda: coupling_spline(2, standardize=np.zeros((3, 2))), 'domain="real"'),
        (lambda: coupling_spline(2, standardize=np.zeros((3, 2)), domain="real"), "constant"),
        (lambda: coupling_spline(2, circular=0, permutation="soft"), "soft"),
        (lambda: coupling().log_prob(None), "x is missing"),  # type: ignore[arg-type]
        (lambda: coupling().log_prob("x"), "must hold numbers"),  # type: ignore[arg-type]
        (lambda: coupling().log_prob(data().to_sparse()), "to_dense"),
        (lambda: coupling().sample((5, 2)), "a number of points"),  # type: ignore[arg-type]
        (lambda: coupling().sample(2.5), "whole number"),  # type: ignore[arg-type]
        (lambda: coupling().sample(2, generator=1), "torch.Generator"),  # type: ignore[arg-type]
        (lambda: Flow([nn.Linear(2, 2)], StandardNormal(2)), "made of bijections"),  # type: ignore[list-item]
        (lambda: Flow([Affine(2)], torch.distributions.Normal(0, 1)), "base"),  # type: ignore[arg-type]
        (lambda: load(None), "must be a path"),  # type: ignore[arg-type]
        (lambda: load("x", device="gpu"), "no device 'gpu'"),
        (lambda: save(nn.Linear(2, 2), "x"), "not a Linear"),  # type: ignore[arg-type]
    ],
)
def test_one_line_for_what_has_no_meaning(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        wrong()
    assert "\n" not in str(error.value)


def test_what_has_one_meaning_is_taken() -> None:
    flow = coupling_spline(2.0, context=1, layers=2, hidden=8, bins=4.0, domain="real", seed=1)  # type: ignore
    randomized(flow)
    x = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    expected = flow.log_prob(x, torch.full((2, 1), 0.5))
    for points in (x, x.numpy(), x.double().numpy(), x.tolist()):
        for context in (0.5, [0.5], np.array([0.5]), torch.tensor([0.5])):
            assert torch.equal(flow.log_prob(points, context), expected)
    assert flow.sample((3,), 0.5).shape == flow.sample(np.int64(3), 0.5).shape == (3, 2)  # type: ignore


def test_mixed_flow_takes_categories_of_any_whole_type_and_either_order() -> None:
    categories = AutoregressiveCategorical(3)  # type: ignore[arg-type]
    flow = MixedFlow(categories, coupling_spline(2, context=3, layers=2, hidden=8, domain="real"))
    randomized(flow)
    c, x = torch.tensor([[0], [2]]), torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    expected = flow.log_prob(c, x)
    for given in (c.int(), c.float(), c[:, 0]):
        assert torch.equal(flow.log_prob(given, x), expected)
    assert torch.equal(flow.log_prob(x, c), expected)
    with pytest.raises(InputError, match="not whole"):
        flow.log_prob(c + 0.5, x)


def test_importing_flows_does_not_import_the_compiler() -> None:
    code = "import lhcflow.flows, sys; print([m for m in ('torch._dynamo', 'sympy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
