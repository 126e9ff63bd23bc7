"""Masked autoregressive layers: directions, gradients of the slow one, transforms of torch.func."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lhcflow import InputError
from lhcflow.flows import AutoregressiveAffine, AutoregressiveSpline, build, describe
from lhcflow.flows.autoregressive import Autoregressive

DIM, CONTEXT = 4, 2
Randomize = Callable[..., nn.Module]


def layers() -> dict[str, Callable[[str], Autoregressive]]:
    return {
        "unit": lambda fast: AutoregressiveSpline(DIM, hidden=(12, 12), bins=4, fast=fast, context=CONTEXT),  # type: ignore
        "real": lambda fast: AutoregressiveSpline(
            DIM,
            hidden=(12, 12),
            bins=4,
            fast=fast,
            domain="real",
            bound=4.0,
            context=CONTEXT,
            residual=True,
            activation="tanh",
            order=(1, 3, 0, 2),
        ),  # type: ignore
        "affine": lambda fast: AutoregressiveAffine(
            DIM, hidden=(12,), fast=fast, context=CONTEXT, activation="silu"
        ),  # type: ignore
    }


def make(kind: str, fast: str, randomize: Randomize, size: float = 0.3) -> Autoregressive:
    torch.manual_seed(0)
    bijection = layers()[kind](fast)
    randomize(bijection, size=size)
    return bijection.double()


def points(kind: str, n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    y = torch.rand(n, DIM, generator=generator, dtype=torch.float64)
    if kind != "unit":
        y = 4 * y - 2
    return y, torch.randn(n, CONTEXT, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("fast", ["density", "sampling"])
@pytest.mark.parametrize("kind", layers())
def test_slow_gradients_with_respect_to_everything(kind: str, fast: str, randomize: Randomize) -> None:
    """Implicit gradients against finite differences: input, context and all weights."""
    bijection = make(kind, fast, randomize)
    slow = bijection.inverse if fast == "density" else bijection.forward
    y, c = points(kind, 3)
    assert torch.autograd.gradcheck(slow, (y.clone().requires_grad_(), c.clone().requires_grad_()), atol=1e-6)

    # Weights: the derivative along one random direction for all of them at once.
    start = {name: p.detach().clone() for name, p in bijection.named_parameters()}
    direction = {name: torch.randn_like(p) for name, p in start.items()}

    def loss(t: float) -> Tensor:
        with torch.no_grad():
            for name, p in bijection.named_parameters():
                p.copy_(start[name] + t * direction[name])
        x, log_det = slow(y, c)
        return 0.7 * x.square().sum() - 1.3 * (x.sin().sum() + log_det.sum())

    h = 1e-5
    numeric = float((loss(h) - loss(-h)).detach() / (2 * h))
    loss(0.0).backward()
    exact = sum(float((p.grad * direction[name]).sum()) for name, p in bijection.named_parameters())  # type: ignore
    assert exact == pytest.approx(numeric, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", layers())
def test_slow_gradients_equal_those_of_the_differentiated_loop(kind: str, randomize: Randomize) -> None:
    bijection = make(kind, "density", randomize)
    y, c = points(kind, 50)

    def loop(y: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        v, log_det = torch.zeros_like(y), torch.zeros_like(y)
        for _ in range(DIM):
            params = bijection.net(bijection.element.features(v), c)
            v, log_det = bijection.element(y, params, True)
        return v, log_det.sum(-1)

    gradients = []
    for solve in (bijection.inverse, loop):
        a, b = y.clone().requires_grad_(), c.clone().requires_grad_()
        bijection.zero_grad()
        x, log_det = solve(a, b)
        (x.sin().sum() + (log_det * x[:, 0]).sum()).backward()
        gradients.append([a.grad, b.grad, *(p.grad for p in bijection.parameters())])
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-8)


def test_gradients_in_many_dimensions(randomize: Randomize) -> None:
    """The iteration of the backward pass, where it stops early, against the Jacobian's own inverse."""
    torch.manual_seed(0)
    bijection = AutoregressiveSpline(30, hidden=(64, 64), domain="real")
    randomize(bijection, size=0.1)
    bijection.double()
    y = torch.randn(1, 30, dtype=torch.float64, requires_grad=True)
    x, _ = bijection.inverse(y)
    weights = torch.randn(30, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((x * weights).sum(), y)
    jacobian = torch.autograd.functional.jacobian(lambda v: bijection(v[None])[0][0], x.detach()[0])
    torch.testing.assert_close(gradient[0], torch.linalg.solve(jacobian.T, weights), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fast", ["density", "sampling"])
def test_the_jacobian_is_triangular_in_the_given_order(fast: str, randomize: Randomize) -> None:
    bijection = make("real", fast, randomize)
    y, c = points("real", 1)
    for direction in (bijection.forward, bijection.inverse):
        jacobian = torch.autograd.functional.jacobian(lambda v, f=direction: f(v[None], c)[0][0], y[0])
        order = list(bijection.net.order)
        assert (jacobian[order][:, order].triu(1) == 0).all()
        log_det = torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(direction(y, c)[1][0], log_det, rtol=0, atol=1e-10)


def test_fast_direction_depends_on_its_input_only(randomize: Randomize) -> None:
    """MAF and IAF of the same weights differ in what conditions what."""
    maf, iaf = make("real", "density", randomize), make("real", "sampling", randomize)
    iaf.load_state_dict(maf.state_dict())
    y, c = points("real", 20)
    with torch.no_grad():
        z, _ = maf(y, c)
        params = maf.net(y, c)
        x, _ = iaf.inverse(y, c)
        torch.testing.assert_close(z, maf.element(y, params, False)[0])
        torch.testing.assert_close(x, iaf.element(y, params, True)[0])


# torch compiles its own formulas at the first jvp.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_torch_func(randomize: Randomize) -> None:
    """vmap over an ensemble, jvp and grad go through both directions."""
    members = [make("real", "density", randomize, size) for size in (0.1, 0.2, 0.3)]
    params, buffers = torch.func.stack_module_state(list(members))
    y, c = points("real", 6)

    class Slow(nn.Module):
        def __init__(self, layer: Autoregressive) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, y: Tensor, c: Tensor) -> Any:
            return self.layer.inverse(y, c)

    for wrap, prefix in ((lambda m: m, ""), (Slow, "layer.")):
        model = wrap(members[0])

        def call(p: dict[str, Tensor], b: dict[str, Tensor], model: Any = model, prefix: str = prefix) -> Any:
            state = {prefix + k: v for k, v in {**p, **b}.items()}
            return torch.func.functional_call(model, state, (y, c))

        with torch.no_grad():
            together = torch.func.vmap(call)(params, buffers)
            for index, member in enumerate(members):
                expected = wrap(member)(y, c)
                torch.testing.assert_close(together[0][index], expected[0])
                torch.testing.assert_close(together[1][index], expected[1])
    member = members[0]
    tangent = torch.ones_like(y)
    _, moved = torch.func.jvp(lambda v: member.inverse(v, c)[0], (y,), (tangent,))
    h = 1e-6
    with torch.no_grad():
        numeric = (member.inverse(y + h * tangent, c)[0] - member.inverse(y - h * tangent, c)[0]) / (2 * h)
    torch.testing.assert_close(moved, numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", layers())
def test_configuration_rebuilds_the_layer(kind: str, randomize: Randomize) -> None:
    bijection = make(kind, "sampling", randomize)
    twin = build(describe(bijection)).double()
    twin.load_state_dict(bijection.state_dict())
    y, c = points(kind, 5)
    assert torch.equal(twin(y, c)[0], bijection(y, c)[0])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fast": "both"}, "'density' or 'sampling'"),
        ({"domain": "half"}, "'unit' or 'real'"),
        ({"domain": "real", "bound": 0.0}, "bound must be positive"),
        ({"bins": 0}, "bins must be >= 1"),
        ({"hidden": (0,)}, "hidden must be >= 1"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AutoregressiveSpline(DIM, **settings)


def test_wrong_affine_settings_and_context() -> None:
    with pytest.raises(InputError, match="'softplus' or 'sigmoid'"):
        AutoregressiveAffine(DIM, scale="exp")
    with pytest.raises(InputError, match="min_scale"):
        AutoregressiveAffine(DIM, min_scale=1.0)
    with pytest.raises(InputError, match="context=2"):
        AutoregressiveAffine(DIM, context=2)(torch.zeros(1, DIM))
