"""Coupling layers in one native call: conditioners and splines on tiles of samples that stay in cache.

The twin is the layers' own ``forward`` and ``inverse``. A call with gradient keeps only its input and
computes everything else again in the backward pass, tile by tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from .._native import core
from .bijection import Bijection
from .conditioner import ACTIVATIONS, Conditioner
from .coupling import CouplingSpline
from .native import differentiate, plain, usable
from .native_spline import native_settings

NEGATIVE_SLOPE = {"relu": 0.0, "leaky_relu": nn.LeakyReLU().negative_slope}


def run_stack(
    layers: Sequence[Bijection],
    x: Float[Tensor, "n dim"],
    context: Float[Tensor, "n context"] | None = None,
    inverse: bool = False,
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
    """Apply ``layers``, listed from data to latent, one after the other (backwards for the inverse).

    Equal to calling their ``forward`` or ``inverse`` in turn; neighbours that the native kernel knows run
    in one call. Returns the result and the sum of the log-determinants (n,).
    """
    if core is None or not usable(x, context):
        return _one_by_one(layers, x, context, inverse)
    log_det = x.new_zeros(x.shape[0])
    rest = list(layers)
    while rest:
        run = _run_of_fused(rest, x, context, inverse)
        if run:
            x, term = _apply(run, x, context if run[0].context else None, inverse)
        else:
            layer = rest[-1] if inverse else rest[0]
            x, term = _one_by_one([layer], x, context, inverse)
        log_det = log_det + term
        count = max(len(run), 1)
        rest = rest[:-count] if inverse else rest[count:]
    return x, log_det


def _one_by_one(
    layers: Sequence[Bijection], x: Tensor, context: Tensor | None, inverse: bool
) -> tuple[Tensor, Tensor]:
    log_det = x.new_zeros(x.shape[0])
    for layer in reversed(layers) if inverse else layers:
        given = context if layer.context else None
        x, term = layer.inverse(x, given) if inverse else layer(x, given)
        log_det = log_det + term
    return x, log_det


def _run_of_fused(
    layers: list[Bijection], x: Tensor, context: Tensor | None, inverse: bool
) -> list[CouplingSpline]:
    """The layers, from the one that comes next on, that one native call can do; in the order given."""
    run: list[CouplingSpline] = []
    for layer in reversed(layers) if inverse else layers:
        if not isinstance(layer, CouplingSpline) or not _fits(layer, x):
            break
        if run and layer.context != run[0].context:
            break
        run.append(layer)
    return run[::-1] if inverse else run


def _fits(layer: CouplingSpline, x: Tensor) -> bool:
    return (
        plain(layer, CouplingSpline)
        and not layer.circular
        and not layer.residual
        and layer.activation in NEGATIVE_SLOPE
        and _known(layer)
        and usable(x, *_parameters(layer))
    )


def _known(layer: CouplingSpline) -> bool:
    """Whether the conditioner is the network that the kernel computes, part by part."""
    net = layer.conditioner
    linears: list[nn.Linear] = list(net.layers)  # pyright: ignore[reportAssignmentType]
    if not plain(net, Conditioner) or net.constant is not None or net.residual:
        return False
    if not plain(net.activation, ACTIVATIONS[layer.activation]):
        return False
    features = net.features + layer.context
    for linear in linears:
        if not plain(linear, nn.Linear) or linear.bias is None or linear.weight.shape[1] != features:
            return False
        features = linear.weight.shape[0]
    return features == layer.plain_outputs


def _parameters(layer: CouplingSpline) -> list[Tensor]:
    found: list[Tensor] = []
    for linear in layer.conditioner.layers:
        found += [linear.weight, linear.bias]  # type: ignore[list-item]
    return found


class _Twin(nn.Module):
    """Layers one by one, with whatever weights ``torch.func.functional_call`` puts into them."""

    def __init__(self, layers: list[CouplingSpline]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        return _one_by_one(list(self.layers), x, context, inverse)  # pyright: ignore[reportArgumentType]

    def names(self) -> list[str]:
        """Where the tensors of ``_parameters`` lie, in the same order."""
        layers: list[CouplingSpline] = list(self.layers)  # pyright: ignore[reportAssignmentType]
        first = [layers.index(layer) for layer in layers]  # a layer may stand in the stack more than once
        return [
            f"layers.{i}.conditioner.layers.{j}.{part}"
            for i, layer in zip(first, layers, strict=True)
            for j in range(len(layer.conditioner.layers))
            for part in ("weight", "bias")
        ]


def _apply(
    layers: list[CouplingSpline], x: Tensor, context: Tensor | None, inverse: bool
) -> tuple[Tensor, Tensor]:
    parameters = [p for layer in layers for p in _parameters(layer)]
    conditions = x.new_empty(x.shape[0], 0) if context is None else context
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, conditions, *parameters)):
        return _Fused.apply(layers, inverse, x, conditions, *parameters)  # type: ignore[return-value]
    return _run(layers, inverse, x, conditions, parameters)


def _run(
    layers: list[CouplingSpline], inverse: bool, x: Tensor, conditions: Tensor, parameters: list[Tensor]
) -> tuple[Tensor, Tensor]:
    y, log_det = torch.empty(x.shape, dtype=x.dtype), torch.empty(x.shape[0], dtype=x.dtype)
    parameters = [p.contiguous() for p in parameters]
    addresses = [p.data_ptr() for p in parameters]
    arrays = [_array(t) for t in (x, conditions, y, log_det)]
    _plan(tuple(_spec(layer) for layer in layers)).apply(inverse, addresses, *arrays, torch.get_num_threads())
    return y, log_det


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layers: list[CouplingSpline],
        inverse: bool,
        x: Tensor,
        conditions: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.layers, ctx.inverse = layers, inverse
        ctx.save_for_backward(x, conditions, *parameters)
        return _run(layers, inverse, x, conditions, list(parameters))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, conditions, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            twin = _Twin(ctx.layers)
            names = twin.names()

            def again(x: Tensor, conditions: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
                arguments = (x, conditions if conditions.shape[1] else None, ctx.inverse)
                return functional_call(twin, dict(zip(names, weights, strict=True)), arguments)

            return None, None, *differentiate(again, (x, conditions, *parameters), grad_outputs)
        parameters = [p.contiguous() for p in parameters]
        grad_x, grad_conditions = (
            torch.empty(x.shape, dtype=x.dtype),
            torch.empty(conditions.shape, dtype=x.dtype),
        )
        grads = [torch.zeros(p.shape, dtype=p.dtype) for p in parameters]
        _plan(tuple(_spec(layer) for layer in ctx.layers)).gradient(
            ctx.inverse,
            [p.data_ptr() for p in parameters],
            *(_array(t) for t in (x, conditions, *grad_outputs, grad_x, grad_conditions)),
            [g.data_ptr() for g in grads],
            torch.get_num_threads(),
        )
        return None, None, grad_x, grad_conditions, *grads


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _spec(layer: CouplingSpline) -> tuple:
    """What the kernel has to know of a layer besides its parameters."""
    linears: list[nn.Linear] = list(layer.conditioner.layers)  # pyright: ignore[reportAssignmentType]
    sizes = (linears[0].weight.shape[1], *(linear.weight.shape[0] for linear in linears))
    spline = (layer.bins, layer.low, layer.high, layer.tails, layer.min_bin, layer.min_derivative)
    return layer.mask, layer.context, sizes, spline, layer.domain, layer.activation


@lru_cache(maxsize=256)
def _plan(specs: tuple[tuple, ...]) -> Any:
    assert core is not None
    mask, context = specs[0][:2]
    stack = core.CouplingStack(len(mask), context)
    for mask, _, sizes, spline, domain, activation in specs:
        passed = [i for i, chosen in enumerate(mask) if not chosen]
        transformed = [i for i, chosen in enumerate(mask) if chosen]
        scale, offset = (2.0, -1.0) if domain == "unit" else (1.0, 0.0)
        settings = native_settings(*spline)
        stack.add(passed, transformed, list(sizes), settings, scale, offset, NEGATIVE_SLOPE[activation])
    return stack
