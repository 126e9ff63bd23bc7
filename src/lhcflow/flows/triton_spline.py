"""Rational-quadratic splines on CUDA in one Triton kernel: the GPU twin of ``_native/spline_simd.hpp``.

A program takes some elements, each with its parameters in the columns of a tile, so that every parameter
is read once; the backward pass computes the bin again instead of keeping it.

Its numbers are tested against its twin in `spline_formulas` by Triton's interpreter on the CPU, and by
the same tests on a CUDA device where there is one. The size of the tiles is not tuned.
"""

# Kernels are no Python to a type checker.
# pyright: reportMissingImports=false, reportOptionalMemberAccess=false, reportInvalidTypeForm=false
# pyright: reportPossiblyUnboundVariable=false, reportCallIssue=false

from __future__ import annotations

import inspect
import math
import os
import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .native import differentiate
from .spline_formulas import parameter_count, reference

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = tl = None

MAX_BINS = 64
TILE = 512  # parameters of one kind (widths, heights) per program; with twice as many, registers spill


def _jit(function: Any) -> Any:
    # One program for all sizes of a batch. Triton reads source and globals of the function itself, not those
    # of a checker of types around it.
    return function if triton is None else triton.jit(inspect.unwrap(function), do_not_specialize=("n",))


@_jit
def _softmax(at, valid):
    raw = tl.load(at, mask=valid, other=float("-inf"))
    e = tl.exp(raw - tl.max(raw, 1)[:, None])
    return e / tl.sum(e, 1)[:, None]


@_jit
def _upper_edges(share, k, low, high, MIN_BIN: tl.constexpr, K: tl.constexpr):
    sizes = MIN_BIN + (1 - K * MIN_BIN) * share
    edges = low[:, None] + (high - low)[:, None] * tl.cumsum(sizes, 1)
    return tl.where(k == K - 1, high[:, None], edges)


@_jit
def _at(values, k, index):
    return tl.sum(tl.where(k == index[:, None], values, 0.0), 1)


@_jit
def _clamp(x, low, high):
    # Comparisons that NaN passes through.
    return tl.where(x < low, low, tl.where(x > high, high, x))


@_jit
def _softplus(x):
    # log1p(e) as log(u) e / (u - 1) with u = 1 + e, whose rounding errors cancel.
    e = tl.exp(-tl.abs(x))
    u = 1 + e
    log1p = tl.where(u == 1, e, tl.log(u) * (e / tl.where(u == 1, 1.0, u - 1)))
    return tl.where(x > 0, x, 0.0) + log1p


@_jit
def _softmax_gradient(share, k, index, g_edge, g_size, SCALE: tl.constexpr):
    # The lower edge of the bin depends on all sizes before it.
    at_bin = tl.where(k == index[:, None], g_size[:, None], 0.0)
    g = tl.where(k < index[:, None], g_edge[:, None], at_bin)
    return SCALE * share * (g - tl.sum(g * share, 1)[:, None])


@_jit
def _spline(
    x_at, params_at, grad_y_at, grad_log_det_at, first_at, second_at, n,
    INVERSE: tl.constexpr, GRADIENT: tl.constexpr, K: tl.constexpr, COUNT: tl.constexpr,
    TAILS: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr, MIN_BIN: tl.constexpr,
    MIN_DERIVATIVE: tl.constexpr, SHIFT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    # Writes the result and log_det, or with GRADIENT the gradients with respect to x and params.
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    mine = row < n
    row = tl.minimum(row, n - 1)  # programs past the end repeat the last element and don't store it
    k = tl.arange(0, COLUMNS)[None, :]
    given = tl.load(x_at + row)
    low, high = tl.full([ROWS], LOW, given.dtype), tl.full([ROWS], HIGH, given.dtype)
    zero, one = tl.full([ROWS], 0, given.dtype), tl.full([ROWS], 1, given.dtype)
    x = _clamp(given, low, high)
    inside = (given >= low) & (given <= high)

    params = params_at + row * COUNT
    tile = params[:, None] + k
    widths, heights = _softmax(tile, k < K), _softmax(tile + K, k < K)
    xs, ys = _upper_edges(widths, k, low, high, MIN_BIN, K), _upper_edges(heights, k, low, high, MIN_BIN, K)
    edges = ys if INVERSE else xs
    index = tl.sum(((x[:, None] >= edges) & (k < K - 1)).to(tl.int32), 1)
    x0 = tl.where(index == 0, low, _at(xs, k, index - 1))
    y0 = tl.where(index == 0, low, _at(ys, k, index - 1))
    width, height = _at(xs, k, index) - x0, _at(ys, k, index) - y0
    slope = height / width

    # Raw derivatives at the bin's edges; at a border whose derivative is 1 there is none.
    left, right = index, index + 1
    if TAILS == "linear":
        left, right = index - 1, index
    elif TAILS == "circular":
        right = tl.where(right == K, 0, right)
    raw0 = tl.load(params + 2 * K + left, mask=left >= 0, other=0.0) + SHIFT
    raw1 = tl.load(params + 2 * K + right, mask=2 * K + right < COUNT, other=0.0) + SHIFT
    d0 = tl.where(left >= 0, MIN_DERIVATIVE + _softplus(raw0), one)
    d1 = tl.where(2 * K + right < COUNT, MIN_DERIVATIVE + _softplus(raw1), one)

    if INVERSE:
        eta = _clamp((x - y0) / height, zero, one)
        b = d0 - eta * (d0 + d1 - 2 * slope)
        half = b - 2 * slope * eta
        root = tl.sqrt(half * half + 4 * slope * slope * eta * (1 - eta))
        numerator = tl.where(b >= 0, 2 * slope * eta, root - b)
        theta = numerator / tl.where(b >= 0, root + b, 2 * (slope - b))
    else:
        theta = (x - x0) / width
    theta = _clamp(theta, zero, one)
    rest = 1 - theta
    cross = theta * rest
    denominator = slope * (1 - 2 * cross) + (d0 + d1) * cross
    numerator = d1 * theta * theta + 2 * slope * cross + d0 * rest * rest
    fraction = (slope * theta * theta + d0 * cross) / denominator
    derivative = (slope / denominator) * (slope / denominator * numerator)

    if not GRADIENT:
        log_det = -tl.log(derivative) if INVERSE else tl.log(derivative)
        y = x0 + width * theta if INVERSE else y0 + height * fraction
        tl.store(first_at + row, tl.where(inside, _clamp(y, low, high), given), mask=mine)
        tl.store(second_at + row, tl.where(inside, log_det, zero), mask=mine)
    else:
        # Partial derivatives of the forward map y = y0 + height fraction and of its log-derivative.
        grad_y, grad_log_det = tl.load(grad_y_at + row), tl.load(grad_log_det_at + row)
        turn, straight = 1 - 2 * theta, 1 - 2 * cross
        log_theta = 2 * (
            (d1 * theta + slope * turn - d0 * rest) / numerator - (d0 + d1 - 2 * slope) * turn / denominator
        )
        gy, gl = grad_y, grad_log_det
        if INVERSE:  # by the implicit function theorem
            grad_x = (grad_y - grad_log_det * log_theta / width) / derivative
            gy, gl = -grad_x, -grad_log_det
        gy, gl = tl.where(inside, gy, zero), tl.where(inside, gl, zero)
        g_theta = gy * derivative * width + gl * log_theta
        if not INVERSE:
            grad_x = g_theta / width
        scaled = gy * height / denominator
        g_slope = scaled * (theta * theta - fraction * straight)
        g_slope += 2 * gl * (1 / slope - straight / denominator + cross / numerator)
        g_d0 = gl * (rest * rest / numerator - 2 * cross / denominator) + scaled * cross * (1 - fraction)
        g_d1 = gl * (theta * theta / numerator - 2 * cross / denominator) - scaled * cross * fraction
        g_raw0, g_raw1 = g_d0 / (1 + tl.exp(-raw0)), g_d1 / (1 + tl.exp(-raw1))
        g_width = -(g_theta * theta + g_slope * slope) / width
        g_height = gy * fraction + g_slope / width
        SCALE: tl.constexpr = (HIGH - LOW) * (1 - K * MIN_BIN)
        g_widths = _softmax_gradient(widths, k, index, -g_theta / width, g_width, SCALE)
        g_heights = _softmax_gradient(heights, k, index, gy, g_height, SCALE)
        g_ds = tl.where(k == left[:, None], g_raw0[:, None], 0.0)
        g_ds += tl.where(k == right[:, None], g_raw1[:, None], 0.0)

        tl.store(first_at + row, tl.where(inside, grad_x, grad_y), mask=mine)
        out = second_at + row * COUNT
        tile = out[:, None] + k
        tl.store(tile, g_widths, mask=mine[:, None] & (k < K))
        tl.store(tile + K, g_heights, mask=mine[:, None] & (k < K))
        tl.store(tile + 2 * K, g_ds, mask=mine[:, None] & (k < K) & (2 * K + k < COUNT))
        if COUNT == 3 * K + 1:
            tl.store(out + 3 * K, tl.where(right == K, g_raw1, zero), mask=mine)


def _launch(
    x: Tensor, params: Tensor, inverse: bool, settings: tuple, gradients: tuple[Tensor, ...] = ()
) -> tuple[Tensor, Tensor]:
    """The result and log_det, or for ``gradients`` with respect to these the ones for x and params."""
    bins, low, high, tails, min_bin, min_derivative = settings
    if tails == "circular":
        x = (low + torch.remainder(x - low, high - low)).clamp(low, high)
    x, params, *given = (t.detach().contiguous() for t in (x, params, *gradients))
    first, second = torch.empty_like(x), torch.empty_like(params if given else x)
    if x.numel() == 0:
        return first, second
    columns = triton.next_power_of_2(bins)
    rows = min(TILE // columns, 128)
    with torch.cuda.device_of(x):
        _spline[(triton.cdiv(x.numel(), rows),)](
            x, params, *(given or (x, x)), first, second, x.numel(),
            INVERSE=inverse, GRADIENT=bool(given), K=bins, COUNT=parameter_count(bins, tails),
            TAILS=tails, LOW=float(low), HIGH=float(high), MIN_BIN=min_bin, MIN_DERIVATIVE=min_derivative,
            SHIFT=math.log(math.expm1(1 - min_derivative)), ROWS=rows, COLUMNS=columns,
            enable_fp_fusion=True,
        )  # fmt: skip
    return first, second


class TritonSpline(torch.autograd.Function):
    """The kernel with its gradient; gradients of the gradient are the reference's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, params: Tensor, inverse: bool, settings: tuple) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, params)
        ctx.inverse, ctx.settings = inverse, settings
        return _launch(x, params, inverse, settings)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, params = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            twin = lambda x, params: reference(x, params, ctx.inverse, *ctx.settings)  # noqa: E731
            return *differentiate(twin, (x, params), grad_outputs), None, None
        return *_launch(x, params, ctx.inverse, ctx.settings, grad_outputs), None, None


@lru_cache(maxsize=1)
def works() -> bool:
    """Whether a first kernel can be built and run here; says so if not (Triton needs a C compiler).

    False without a word where Triton isn't installed or ``LHCFLOW_NATIVE=0`` asks for the twins.
    """
    if triton is None or os.environ.get("LHCFLOW_NATIVE") == "0":
        return False
    try:
        x = torch.full((1,), 0.5, device="cuda")
        _launch(x, x.new_zeros(1, 4), False, (1, 0.0, 1.0, None, 1e-3, 1e-3))
        torch.cuda.synchronize()
    except Exception as error:  # whatever a compiler or driver may raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        warnings.warn(f"splines on CUDA run without Triton ({lines[-1]})", RuntimeWarning, stacklevel=3)
        return False
    return True
