"""Flows from latent to data as ONNX operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import InputError
from ...flows import AutoregressiveSpline, Flow, Permutation
from ...flows.made import MADE, MaskedLinear
from .graph import Graph

UNROLLED = 64
"""Most passes of one network that a graph may hold for the slow direction of a masked layer."""


def invert(graph: Graph, flow: Flow, z: str, context: str) -> str:
    """Latent variables (n, dim) to data (n, dim).

    Raises
    ------
    InputError
        If a layer has no translation, or takes more passes than fit in a graph.
    """
    for layer in reversed(list(flow.bijections)):
        if isinstance(layer, Permutation):
            z = graph.columns(z, layer.inverse_order.cpu().numpy())
        elif isinstance(layer, AutoregressiveSpline) and layer.domain == "real" and not layer.net.residual:
            z = _masked(graph, layer, z, context)
        else:
            raise InputError(f"{type(layer).__name__}({layer.extra_repr()}) can't be exported to ONNX")
    return z


def _masked(graph: Graph, layer: AutoregressiveSpline, z: str, context: str) -> str:
    if layer.fast == "sampling":
        return _inverse_spline(graph, layer, z, _made(graph, layer.net, z, context))
    if layer.circular:
        raise InputError("a flow with circular dimensions has no ONNX form here")
    if layer.dim > UNROLLED:
        raise InputError(
            f"this flow would need {layer.dim} passes of each of its networks in a graph: "
            "distil the model first (lhcflow calo distill), or export it with --format cpp"
        )
    # Pass number k makes the k-th dimension right; it needs nothing of the others.
    x = graph.op("Mul", z, 0.0)
    for _ in range(layer.dim):
        x = _inverse_spline(graph, layer, z, _made(graph, layer.net, x, context))
    return x


def _made(graph: Graph, net: MADE, x: str, context: str) -> str:
    """Parameters (n, dim, outputs)."""
    h = _linear(graph, net.layers[0], x)
    if net.context:
        h = graph.op("Add", h, _activate(graph, net, _linear(graph, net.context_layers[0], context)))
    h = _activate(graph, net, h)
    for layer in list(net.layers)[1:]:
        h = _activate(graph, net, _linear(graph, layer, h))
    return graph.op("Reshape", _linear(graph, net.final, h), graph.integers(-1, net.dim, net.outputs))


def _linear(graph: Graph, layer: Any, x: str) -> str:
    used = layer.masked_weight if isinstance(layer, MaskedLinear) else layer.weight
    weight, bias = (p.detach().cpu().numpy() for p in (used, layer.bias))
    return graph.op("Gemm", x, weight, bias, transB=1)


def _activate(graph: Graph, net: MADE, x: str) -> str:
    # In what ONNX Runtime 1.15 has for float64 too; its fused Gemm with Relu or Tanh is float32 only.
    op, double = graph.op, graph.dtype == np.float64
    match net.activation_name:
        case "silu":
            return op("Mul", x, op("Sigmoid", x))
        case "leaky_relu":
            return op("Max", x, op("Mul", x, 0.01))
        case "elu":
            return op("Max", x, op("Add", op("Exp", op("Min", x, 0.0)), -1.0))
        case "relu":
            return op("Max", x, 0.0) if double else op("Relu", x)
        case _:  # tanh
            if not double:
                return op("Tanh", x)
            return op("Sub", 1.0, op("Div", 2.0, op("Add", op("Exp", op("Mul", x, 2.0)), 1.0)))


def _inverse_spline(graph: Graph, layer: AutoregressiveSpline, z: str, params: str) -> str:
    """The inverse of `lhcflow.flows.spline_formulas.reference` with linear tails, line by line."""
    op, bins, bound = graph.op, layer.bins, layer.bound
    widths, heights, raw = graph.ops("Split", 3, params, graph.integers(bins, bins, bins - 1), axis=-1)
    (xs, widths), (ys, heights) = (_knots(graph, w, layer) for w in (widths, heights))
    shift = math.log(math.expm1(1 - layer.min_derivative))
    ds = op("Add", _softplus(graph, op("Add", raw, shift)), layer.min_derivative)
    ds = op("Pad", ds, graph.integers(0, 0, 1, 0, 0, 1), 1.0)

    clamped = op("Clip", z, -bound, bound)
    column = op("Unsqueeze", clamped, graph.integers(-1))
    inner = op("Slice", ys, graph.integers(1), graph.integers(bins), graph.integers(-1))
    above = graph.number(op("GreaterOrEqual", column, inner))
    # The bin as a row of zeros and a one: products with it pick a bin without gathering.
    ones = op("Add", op("Mul", column, 0.0), 1.0)
    left = op("Concat", ones, above, axis=-1)
    right = op("Concat", above, op("Mul", ones, 0.0), axis=-1)
    chosen = op("Sub", left, right)

    def at(values: str, first: int) -> str:
        part = op("Slice", values, graph.integers(first), graph.integers(first + bins), graph.integers(-1))
        return op("ReduceSum", op("Mul", part, chosen), graph.integers(-1), keepdims=0)

    # Sizes of bins are not differences of knots, which float32 knows to 1e-6 only.
    x0, y0, width, height = (at(v, 0) for v in (xs, ys, widths, heights))
    d0, d1 = at(ds, 0), at(ds, 1)
    slope = op("Div", height, width)
    eta = op("Div", op("Sub", clamped, y0), height)
    curvature = op("Sub", op("Add", d0, d1), op("Mul", slope, 2.0))
    b = op("Sub", d0, op("Mul", eta, curvature))
    twice = op("Mul", op("Mul", slope, eta), 2.0)
    square = op("Sub", b, twice)
    rest = op("Mul", op("Mul", op("Mul", slope, slope), op("Mul", eta, op("Sub", 1.0, eta))), 4.0)
    root = op("Sqrt", op("Add", op("Mul", square, square), rest))
    positive = op("GreaterOrEqual", b, 0.0)
    numerator = op("Where", positive, twice, op("Sub", root, b))
    denominator = op("Where", positive, op("Add", root, b), op("Mul", op("Sub", slope, b), 2.0))
    theta = op("Clip", op("Div", numerator, denominator), 0.0, 1.0)
    x = op("Clip", op("Add", x0, op("Mul", width, theta)), -bound, bound)
    return op("Where", op("Greater", op("Abs", z), bound), z, x)


def _softplus(graph: Graph, x: str) -> str:
    if graph.dtype == np.float32:
        return graph.op("Softplus", x)  # in float64 only the newest ONNX Runtimes have it
    small = graph.op("Log", graph.op("Add", graph.op("Exp", graph.op("Neg", graph.op("Abs", x))), 1.0))
    return graph.op("Add", graph.op("Relu", x), small)


def _knots(graph: Graph, raw: str, layer: AutoregressiveSpline) -> tuple[str, str]:
    """All knots but the last (n, dim, bins), and sizes of the bins, of equal shape."""
    op, bins, bound = graph.op, layer.bins, layer.bound
    share = op("Softmax", raw, axis=-1)
    sizes = op("Add", op("Mul", share, 1 - bins * layer.min_bin), layer.min_bin)
    # Sums up to each inner knot as a product with a triangle: quicker than CumSum.
    triangle = np.triu(np.ones((bins, bins - 1)))
    inner = op("Add", op("Mul", op("MatMul", sizes, triangle), 2 * bound), -bound)
    edge = op("Mul", op("Slice", raw, graph.integers(0), graph.integers(1), graph.integers(-1)), 0.0)
    return op("Concat", op("Add", edge, -bound), inner, axis=-1), op("Mul", sizes, 2 * bound)
