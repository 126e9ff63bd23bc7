"""Rational-quadratic splines in the native kernels for the CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .._native import core
from .native import differentiate
from .spline_formulas import Tails, reference


@lru_cache(maxsize=256)
def native_settings(
    bins: int, low: float, high: float, tails: Tails, min_bin: float, min_derivative: float
) -> Any:
    """The same settings as an object of the native core."""
    assert core is not None
    code = {None: 0, "linear": 1, "circular": 2}[tails]
    return core.SplineSettings(bins, code, low, high, min_bin, min_derivative)


class NativeSpline(torch.autograd.Function):
    """The native kernel with its gradient; gradients of the gradient are the reference's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, params: Tensor, inverse: bool, settings: tuple) -> tuple[Tensor, Tensor]:
        assert core is not None
        ctx.save_for_backward(x, params)
        ctx.inverse, ctx.settings = inverse, settings
        x, params = x.contiguous(), params.contiguous()
        y, log_det = torch.empty_like(x), torch.empty_like(x)
        arrays = [t.numpy() for t in (x, params, y, log_det)]
        core.spline_apply(native_settings(*settings), inverse, *arrays, torch.get_num_threads())
        return y, log_det

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        assert core is not None
        x, params = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            twin = lambda x, params: reference(x, params, ctx.inverse, *ctx.settings)  # noqa: E731
            return *differentiate(twin, (x, params), grad_outputs), None, None
        tensors = [t.detach().contiguous() for t in (x, params, *grad_outputs)]
        grad_x, grad_params = torch.empty_like(tensors[0]), torch.empty_like(tensors[1])
        arrays = [t.numpy() for t in (*tensors, grad_x, grad_params)]
        core.spline_gradient(native_settings(*ctx.settings), ctx.inverse, *arrays, torch.get_num_threads())
        return grad_x, grad_params, None, None
