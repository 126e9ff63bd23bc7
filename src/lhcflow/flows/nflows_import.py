"""Flows of the package nflows, turned into flows of this one: same densities, fast samples.

Works on the objects' attributes and class names, so that nflows itself is not needed here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from .affine import Affine
from .autoregressive import Autoregressive, AutoregressiveAffine, AutoregressiveSpline
from .bases import StandardNormal
from .bijection import Bijection
from .flow import Flow
from .inverse import Inverse
from .made import ACTIVATIONS
from .native import plain
from .permutations import Permutation
from .residual_coupling import ResidualCoupling


def from_nflows(source: nn.Module, dim: int | None = None) -> Flow | list[Bijection]:
    """Turn an nflows flow into a `Flow`, or an nflows transform into a list of bijections.

    Parameters
    ----------
    source : nn.Module
        ``nflows.flows.Flow`` with a ``StandardNormal`` or ``DiagonalNormal`` base and without embedding
        network, or a transform: ``CompositeTransform``, ``InverseTransform``,
        ``MaskedPiecewiseRationalQuadraticAutoregressiveTransform``, ``MaskedAffineAutoregressiveTransform``,
        ``PiecewiseRationalQuadraticCouplingTransform``, ``AffineCouplingTransform``,
        ``AdditiveCouplingTransform`` (with a ``ResidualNet``), permutations, ``PointwiseAffineTransform``,
        ``BatchNorm`` (with its running averages, as in ``eval()``) and ``IdentityTransform``.
    dim : int, optional
        Number of dimensions; only needed for a bare transform that does not know it.

    Returns
    -------
    Flow or list of Bijection
        A flow with the same ``log_prob`` and the same map from latent to data, or the bijections in the order
        data to latent. Weights are copies, in the dtype of ``source``. Dropout is not kept.

        In double precision both agree to 1e-6. In single precision both round: ``log_prob`` of four spline
        layers is 1e-4 from the double-precision result in nflows as it is here, where the mean square
        deviation is no larger than that of nflows.

    Raises
    ------
    InputError
        If a part of ``source`` has no counterpart; the message names it.
    """
    dtype = next((p.dtype for p in source.parameters()), torch.get_default_dtype())
    with torch.no_grad():
        if not hasattr(source, "_distribution"):
            size = _dim(source) if dim is None else dim
            if size is None:
                raise InputError("this nflows transform does not know its number of dimensions: pass dim")
            return [b.to(dtype) for b in _bijections(source, size)]
        _check_methods(source)
        transform: Any = source._transform
        base: Any = source._distribution
        embedding = source._embedding_net
        if type(embedding).__name__ != "Identity":
            raise _unknown(embedding, "apply the embedding network to the context yourself")
        if type(base).__name__ not in ("StandardNormal", "DiagonalNormal"):
            raise _unknown(base)
        size = int(torch.Size(base._shape).numel())
        bijections = _bijections(transform, size)
        if type(base).__name__ == "DiagonalNormal":
            bijections.append(_affine(size, base.mean_.flatten(), base.log_std_.flatten().exp()))
        return Flow(bijections, StandardNormal(size)).to(dtype)


def _check_methods(source: nn.Module) -> None:
    """Refuse a subclass of an nflows class that computes something of its own."""
    for kind in type(source).__mro__:
        if "nflows" in kind.__module__.split("."):
            return
        own = OWN_METHODS & vars(kind).keys()
        if own:
            name = f"{kind.__module__}.{kind.__qualname__}"
            raise InputError(
                f"from_nflows can't turn {name} into a flow: it overrides {', '.join(sorted(own))}"
            )


def _check_parts(net: nn.Module) -> None:
    """Refuse a network of which a linear layer was replaced by one of another class, or has hooks."""
    for name, part in net.named_modules():
        known = type(part) is nn.Linear or "nflows" in type(part).__module__.split(".")
        if isinstance(part, nn.Linear) and not (known and plain(part, type(part))):
            raise _unknown(part, f"as the layer {name}, or its hooks")


OWN_METHODS = {
    *("forward", "inverse", "log_prob", "_log_prob", "sample", "_sample", "sample_and_log_prob"),
    *("transform_to_noise", "_sample_and_log_prob", "__call__"),
}
"""Methods of nflows' flows and transforms that say what density or map they are."""


def _unknown(part: Any, hint: str = "") -> InputError:
    name = getattr(part, "__name__", f"{type(part).__module__}.{type(part).__qualname__}")
    return InputError(f"from_nflows knows no counterpart of {name}" + (f": {hint}" if hint else ""))


def _dim(transform: Any) -> int | None:
    """The number of dimensions, where a transform knows it."""
    for name in ("_transforms", "_transform"):
        if hasattr(transform, name):
            inner = getattr(transform, name)
            sizes = (_dim(t) for t in (inner if name == "_transforms" else [inner]))
            return next((size for size in sizes if size is not None), None)
    if hasattr(transform, "autoregressive_net"):
        return int(transform.autoregressive_net.initial_layer.in_features)
    for name in ("_permutation", "running_mean"):
        if hasattr(transform, name):
            return len(getattr(transform, name))
    return getattr(transform, "features", None)


def _bijections(transform: Any, dim: int) -> list[Bijection]:
    name = type(transform).__name__
    if "nflows" not in type(transform).__module__.split("."):
        raise _unknown(transform)
    if name == "CompositeTransform":
        return [b for t in transform._transforms for b in _bijections(t, dim)]
    if name == "InverseTransform":
        return [_inverted(b) for b in reversed(_bijections(transform._transform, dim))]
    if name == "IdentityTransform":
        return []
    if name in ("Permutation", "RandomPermutation", "ReversePermutation"):
        if transform._dim != 1:
            raise _unknown(transform, f"it permutes axis {transform._dim}, not 1")
        return [Permutation(dim, transform._permutation.tolist())]
    if name in ("PointwiseAffineTransform", "AffineTransform", "AffineScalarTransform"):
        scale = 1 / transform._scale
        return [_affine(dim, -transform._shift * scale, scale)]
    if name == "BatchNorm":
        scale = (transform.running_var + transform.eps).sqrt() / transform.weight
        return [_affine(dim, transform.running_mean - transform.bias * scale, scale)]
    if name == "MaskedPiecewiseRationalQuadraticAutoregressiveTransform":
        return [_autoregressive_spline(transform, dim)]
    if name == "MaskedAffineAutoregressiveTransform":
        return [_autoregressive_affine(transform, dim)]
    if name in (
        "PiecewiseRationalQuadraticCouplingTransform",
        "AffineCouplingTransform",
        "AdditiveCouplingTransform",
    ):
        return [_coupling(transform, dim)]
    raise _unknown(transform)


def _inverted(bijection: Bijection) -> Bijection:
    if isinstance(bijection, Permutation):
        return Permutation(bijection.dim, bijection.inverse_order.tolist())
    return bijection.bijection if isinstance(bijection, Inverse) else Inverse(bijection)


def _affine(dim: int, shift: Tensor, scale: Tensor) -> Affine:
    """The map (x - shift) / scale, in the precision of its arguments."""
    affine = Affine(dim, shift, scale).to(shift.dtype)
    affine.shift.copy_(shift)
    affine.scale.copy_(scale)
    return affine


FUNCTIONS: dict[Any, str] = {
    torch.relu: "relu",
    functional.relu: "relu",
    functional.leaky_relu: "leaky_relu",
    functional.silu: "silu",
    functional.elu: "elu",
    torch.tanh: "tanh",
    functional.tanh: "tanh",
}


def _activation(function: Any) -> str:
    """The name of an activation: one that torch has, or one of the same values from 1e-6 to 1e8."""
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    size = torch.logspace(-6, 8, 2801, dtype=torch.float64)
    points = torch.cat([-size, torch.zeros(1, dtype=torch.float64), size])
    for name, kind in ACTIVATIONS.items():
        try:
            values = function(points)
        except Exception:  # whatever the function raises, it is none that is known
            break
        if isinstance(values, Tensor) and torch.allclose(values, kind()(points), rtol=1e-9, atol=1e-12):
            return name
    raise _unknown(function, f"as an activation; known are {', '.join(ACTIVATIONS)}")


def _copy(target: Any, weight: Tensor, bias: Tensor) -> None:
    target.to(weight.dtype)
    target.weight.copy_(weight)
    target.bias.copy_(bias)


def _spline_settings(transform: Any) -> dict[str, Any]:
    if transform.min_bin_width != transform.min_bin_height:
        raise _unknown(transform, "min_bin_width and min_bin_height differ")
    return {
        "bins": transform.num_bins,
        "domain": "unit" if transform.tails is None else "real",
        "bound": transform.tail_bound,
        "min_bin": transform.min_bin_width,
        "min_derivative": transform.min_derivative,
    }


def _spline_rows(weight: Tensor, bias: Tensor, element: Any, outputs: int, net: Any) -> tuple[Tensor, Tensor]:
    """A last layer that gives nflows' spline parameters, rewritten to give ours.

    nflows divides widths and heights by sqrt(hidden_features) where the network has that attribute (its
    MADE has not), and its raw derivative 0 is not 1.
    """
    bins = element.settings["bins"]
    width = getattr(net, "hidden_features", getattr(net, "hidden_channels", 1))
    weight, bias = weight.unflatten(0, (-1, outputs)).clone(), bias.unflatten(0, (-1, outputs)).clone()
    weight[:, : 2 * bins] /= width**0.5
    bias[:, : 2 * bins] /= width**0.5
    bias[:, 2 * bins :] -= element.native()["shift"]
    return weight.flatten(0, 1), bias.flatten()


def _made_settings(made: Any) -> dict[str, Any]:
    """The arguments that give our MADE the masks of an nflows one."""
    _check_parts(made)
    residual = bool(made.use_residual_blocks)
    for block in made.blocks:
        if getattr(block, "use_batch_norm", False) or getattr(block, "batch_norm", None) is not None:
            raise _unknown(block, "batch norm inside the network")
    degrees = [made.initial_layer.degrees, *(block.degrees for block in made.blocks)]
    return {
        "context": made.context_layer.in_features if hasattr(made, "context_layer") else 0,
        "hidden": [len(layer) for layer in degrees],
        "residual": residual,
        "activation": _activation(made.activation),
        "degrees": [layer.tolist() for layer in degrees],
    }


def _fill_made(bijection: Autoregressive, made: Any, last: tuple[Tensor, Tensor]) -> None:
    """Copy the weights of an nflows MADE, of which ``last`` replaces the last layer."""
    net = bijection.net.to(last[0].dtype)
    layers = [made.initial_layer]
    contexts = [made.context_layer] if hasattr(made, "context_layer") else []
    for block in made.blocks:
        if made.use_residual_blocks:
            layers.extend(block.linear_layers)
            contexts.extend([block.context_layer] if contexts else [])
        else:
            layers.append(block.linear)
    for index, (target, layer) in enumerate(zip(net.layers, layers, strict=True)):
        weight, bias = layer.weight * layer.mask, layer.bias
        if index == 0:  # ours sees slope x + offset
            element = bijection.element
            weight = weight / element.slope
            bias = bias - element.offset * weight.sum(1)
        _copy(target, weight, bias)
    for target, layer in zip(net.context_layers, contexts, strict=True):
        _copy(target, layer.weight, layer.bias)
    _copy(net.final, *last)


def _autoregressive_spline(transform: Any, dim: int) -> Bijection:
    made = transform.autoregressive_net
    bijection = AutoregressiveSpline(dim, **_made_settings(made), **_spline_settings(transform))
    last = made.final_layer
    weight, bias = _spline_rows(
        last.weight * last.mask, last.bias, bijection.element, bijection.net.outputs, made
    )
    _fill_made(bijection, made, (weight, bias))
    return bijection


def _autoregressive_affine(transform: Any, dim: int) -> Bijection:
    made = transform.autoregressive_net
    last = made.final_layer
    # Versions of nflows differ in the scale of raw 0: softplus(raw) or sigmoid(raw + 2), plus epsilon.
    like = last.bias.new_zeros(1, dim)
    unit = transform._elementwise_forward(like + 1, last.bias.new_zeros(1, 2 * dim))[0][0, 0]
    minimum = float(transform._epsilon)
    raw = float(unit) - minimum
    scale = next((s for s, v in (("softplus", 0.693147), ("sigmoid", 0.880797)) if abs(raw - v) < 1e-4), None)
    if scale is None:
        raise _unknown(transform, "unknown form of its scale")
    bijection = AutoregressiveAffine(dim, scale=scale, min_scale=minimum, **_made_settings(made))
    bias = last.bias.unflatten(0, (dim, 2)).clone()
    if scale == "softplus":
        bias[:, 0] -= bijection.element.native()["shift"]
    _fill_made(bijection, made, (last.weight * last.mask, bias.flatten()))
    return bijection


def _coupling(transform: Any, dim: int) -> Bijection:
    net = transform.transform_net
    if type(net).__name__ != "ResidualNet":
        raise _unknown(net, "coupling layers need nflows' ResidualNet")
    _check_parts(net)
    if transform.unconditional_transform is not None:
        raise _unknown(transform.unconditional_transform, "unconditional transform in a coupling layer")
    if any(block.use_batch_norm for block in net.blocks):
        raise _unknown(net.blocks[0], "batch norm inside the network")
    kind = type(transform).__name__
    is_spline = kind.startswith("Piecewise")
    name = "spline" if is_spline else "affine" if kind.startswith("Affine") else "additive"
    mask = [False] * dim
    for i in transform.transform_features.tolist():
        mask[i] = True
    bijection = ResidualCoupling(
        dim,
        mask,
        context=net.context_features or 0,
        hidden=net.hidden_features,
        blocks=len(net.blocks),
        activation=_activation(net.blocks[0].activation) if len(net.blocks) else "relu",
        transform=name,
        **(_spline_settings(transform) if is_spline else {}),
    )
    target = bijection.conditioner
    _copy(target.first, net.initial_layer.weight, net.initial_layer.bias)
    for index, block in enumerate(net.blocks):
        for k, layer in enumerate(block.linear_layers):
            _copy(target.inner[2 * index + k], layer.weight, layer.bias)
        if bijection.context:
            _copy(target.gates[index], block.context_layer.weight, block.context_layer.bias)
    weight, bias = net.final_layer.weight, net.final_layer.bias
    if is_spline:
        weight, bias = _spline_rows(weight, bias, bijection.element, bijection.outputs, net)
    elif name == "affine":  # nflows: all shifts, then all raw scales
        rows = torch.arange(len(bias), device=bias.device).unflatten(0, (2, -1)).flip(0).T.flatten()
        weight, bias = weight[rows], bias[rows]
    _copy(target.last, weight, bias)
    return bijection
