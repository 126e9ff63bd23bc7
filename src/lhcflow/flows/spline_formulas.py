"""Monotone rational-quadratic splines (1906.04032) in plain torch.

`reference` is the twin of the native kernel (`native_spline`) and of the one for CUDA
(`triton_spline`), and what runs under ``torch.compile`` and ``torch.func.vmap``, without indexing by
booleans and without control flow that depends on the data.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ..arguments import whole
from ..errors import InputError

Tails = Literal["linear", "circular"] | None

MIN_BIN = 1e-3
MIN_DERIVATIVE = 1e-3


def parameter_count(bins: int, tails: Tails) -> int:
    """Raw parameters per dimension: ``bins`` widths, ``bins`` heights and the derivatives at the knots."""
    if tails not in (None, "linear", "circular"):
        raise InputError(f"tails must be None, 'linear' or 'circular', got {tails!r}")
    return 2 * bins + {None: bins + 1, "linear": bins - 1, "circular": bins}[tails]


def check_spline(bins: int, min_bin: float, min_derivative: float) -> None:
    """Raise `InputError` where no spline of these settings exists."""
    whole(bins, "bins", 1)
    if not 0 < min_bin * bins < 1:
        raise InputError(f"min_bin must lie between 0 and 1 / bins = {1 / bins:.3g}, got {min_bin}")
    if not 0 < min_derivative < 1:
        raise InputError(f"min_derivative must lie between 0 and 1, got {min_derivative}")


def reference(
    x: Tensor,
    params: Tensor,
    inverse: bool,
    bins: int,
    low: float,
    high: float,
    tails: Tails,
    min_bin: float,
    min_derivative: float,
) -> tuple[Tensor, Tensor]:
    """`spline.rational_quadratic` in operations of torch, without the checks."""
    if tails == "circular":
        x = (low + torch.remainder(x - low, high - low)).clamp(low, high)  # rounding may go a step too far
    inside = (x >= low) & (x <= high)
    clamped = x.clamp(low, high)

    xs = knots(params[..., :bins], low, high, min_bin)
    ys = knots(params[..., bins : 2 * bins], low, high, min_bin)
    ds = derivatives(params[..., 2 * bins :], tails, min_derivative)

    edges = ys if inverse else xs
    index = (clamped[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True)
    x0, x1 = _at(xs, index), _at(xs, index + 1)
    y0, y1 = _at(ys, index), _at(ys, index + 1)
    d0, d1 = _at(ds, index), _at(ds, index + 1)
    width, height = x1 - x0, y1 - y0
    slope = height / width

    theta = _solve((clamped - y0) / height, slope, d0, d1) if inverse else (clamped - x0) / width
    # A sum of terms >= 0 of which slope * (1 - 2 cross) >= slope / 2 is positive, so it can't vanish.
    cross = theta * (1 - theta)
    denominator = slope * (1 - 2 * cross) + (d0 + d1) * cross
    derivative = d1 * theta.square() + 2 * slope * cross + d0 * (1 - theta).square()
    log_det = 2 * (slope.log() - denominator.log()) + derivative.log()
    if inverse:
        y = x0 + width * theta
        log_det = -log_det
    else:
        y = y0 + height * (slope * theta.square() + d0 * cross) / denominator
    y = torch.where(inside, y.clamp(low, high), x)
    return y, torch.where(inside, log_det, torch.zeros_like(log_det))


def knots(raw: Float[Tensor, "*shape bins"], low: float, high: float, min_bin: float) -> Tensor:
    """The bins + 1 knots of raw widths or heights; the first is exactly ``low``, the last ``high``."""
    bins = raw.shape[-1]
    sizes = min_bin + (1 - bins * min_bin) * raw.softmax(-1)
    inner = low + (high - low) * sizes[..., :-1].cumsum(-1)
    edge = torch.zeros_like(raw[..., :1])
    return torch.cat([edge + low, inner, edge + high], -1)


def derivatives(raw: Tensor, tails: Tails, min_derivative: float) -> Tensor:
    """The bins + 1 derivatives at the knots from the raw ones."""
    shift = math.log(math.expm1(1 - min_derivative))
    ds = min_derivative + functional.softplus(raw + shift)
    if tails == "linear":
        return functional.pad(ds, (1, 1), value=1.0)
    if tails == "circular":
        return torch.cat([ds, ds[..., :1]], -1)
    return ds


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(-1, index).squeeze(-1)


def _solve(eta: Tensor, slope: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    """The root in [0, 1] of the quadratic that inverts a bin at relative height ``eta``.

    Divided by the bin's height, eqs. 6 to 8 read a = slope - b, b = d0 - eta (d0 + d1 - 2 slope) and
    c = -slope eta; then b^2 - 4ac = (b - 2 slope eta)^2 + 4 slope^2 eta (1 - eta), a sum of squares
    that is positive for eta in [0, 1]. For b >= 0 the root is 2c / (-b - sqrt(disc)), for b < 0 the
    other form of the same root; neither cancels.
    """
    b = d0 - eta * (d0 + d1 - 2 * slope)
    root = ((b - 2 * slope * eta).square() + 4 * slope.square() * eta * (1 - eta)).sqrt()
    positive = b >= 0
    numerator = torch.where(positive, 2 * slope * eta, root - b)
    denominator = torch.where(positive, root + b, 2 * (slope - b))
    return (numerator / denominator).clamp(0, 1)
