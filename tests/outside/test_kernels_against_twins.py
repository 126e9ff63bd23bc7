"""Native kernels against torch twins for flows of random settings: values and derivatives of all orders.

``make test`` tries a few settings, ``make test-all`` some hundred more.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lhcflow import _native
from lhcflow.flows import Flow, autoregressive_spline, coupling_spline, fused, native, native_spline
from randomized import randomized

pytestmark = pytest.mark.skipif(_native.core is None, reason="without native kernels")

FLOWS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["coupling", "density", "sampling"]),
        "dim": st.integers(1, 5),
        "context": st.integers(0, 2),
        "layers": st.integers(1, 3),
        "hidden": st.lists(st.integers(1, 20), min_size=1, max_size=3),
        "bins": st.integers(1, 9),
        "domain": st.sampled_from(["unit", "real"]),
        "activation": st.sampled_from(["relu", "silu", "leaky_relu"]),
        "permutation": st.sampled_from(["none", "reverse", "random", "soft"]),
        "residual": st.booleans(),
        "seed": st.integers(0, 100),
        "rows": st.integers(1, 40),
        "size": st.sampled_from([0.1, 0.5]),
    }
)


def build(choice: dict) -> tuple[Flow, Tensor, Tensor | None]:
    """A flow with random weights, points of its domain, and a context that depends on nothing."""
    rest = dict(choice)
    kind, rows, size = rest.pop("kind"), rest.pop("rows"), rest.pop("size")
    if rest["residual"]:
        rest["hidden"] = [rest["hidden"][0]] * len(rest["hidden"])
    if kind != "coupling":
        rest["fast"] = kind
    make: Callable[..., Flow] = coupling_spline if kind == "coupling" else autoregressive_spline
    flow = randomized(make(**rest), size=size).double()
    generator = torch.Generator().manual_seed(rest["seed"])
    unit = rest["domain"] == "unit"
    x = (torch.rand if unit else torch.randn)(rows, flow.dim, generator=generator, dtype=torch.float64)
    context = torch.randn(rows, flow.context, generator=generator, dtype=torch.float64)
    return flow, x if unit else 2 * x, context if flow.context else None


def results(flow: Flow, x: Tensor, context: Tensor | None) -> list[Tensor]:
    """Values, first derivatives with and without a graph, and second ones, in both directions."""
    weights = list(flow.parameters())
    found: list[Tensor] = []
    for direction in (flow.forward, flow.inverse):
        point = x.clone().requires_grad_()
        # A context that is a function of the point: one more path for the gradient.
        given = None if context is None else context + point.mean(1, keepdim=True)
        y, log_det = direction(point, given)
        value = y.sin().sum() + log_det.sum()
        found += [y, log_det]
        grads = torch.autograd.grad(value, [point, *weights], allow_unused=True, materialize_grads=True)
        found += grads
        point = x.clone().requires_grad_()
        given = None if context is None else context + point.mean(1, keepdim=True)
        y, log_det = direction(point, given)
        value = y.sin().sum() + log_det.sum()
        (slope,) = torch.autograd.grad(value, point, create_graph=True)
        found.append(slope)
        if slope.requires_grad:
            second = torch.autograd.grad(
                slope.square().sum() + value, [point, *weights], allow_unused=True, materialize_grads=True
            )
            found += second
    return [t.detach() for t in found]


def compare(choice: dict) -> None:
    flow, x, context = build(choice)
    ours = results(flow, x, context)
    with pytest.MonkeyPatch.context() as patch:
        for module in (_native, native, native_spline, fused):
            patch.setattr(module, "core", None)
        patch.setattr(native, "warn_once", lambda: None)
        twin, x, context = build(choice)
        theirs = results(twin, x, context)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        # Relative to the largest number of its kind; steep splines amplify rounding.
        scale = 1 + float(other.abs().max()) if other.numel() else 1.0
        torch.testing.assert_close(one / scale, other / scale, rtol=0, atol=1e-7)


@given(FLOWS)
@settings(max_examples=6)
def test_a_few_flows(choice: dict) -> None:
    compare(choice)


@pytest.mark.slow
@given(FLOWS)
@settings(max_examples=400)
def test_many_flows(choice: dict) -> None:
    compare(choice)
