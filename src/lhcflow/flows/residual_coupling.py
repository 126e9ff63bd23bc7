"""Coupling layers with a gated residual network, the form that nflows gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from .coupling import Coupling
from .elements import AffineElement, Element, SplineElement
from .made import ACTIVATIONS
from .spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, check_spline, parameter_count


class ResidualNet(nn.Module):
    """Pre-activation residual blocks h + W2 a(W1 a(h)), gated by the context (a GLU, 1612.08083).

    The context is also concatenated to the input.
    """

    def __init__(
        self, features: int, outputs: int, hidden: int, blocks: int, context: int, activation: str
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]()
        self.first = nn.Linear(features + context, hidden)
        self.inner = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2 * blocks))
        self.gates = nn.ModuleList(nn.Linear(context, hidden) for _ in range(blocks if context else 0))
        self.last = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, x: Float[Tensor, "n features"], context: Float[Tensor, "n context"] | None = None
    ) -> Float[Tensor, "n outputs"]:
        h = self.first(x if context is None else torch.cat([x, context], -1))
        for block in range(len(self.inner) // 2):
            change = self.inner[2 * block](self.activation(h))
            change = self.inner[2 * block + 1](self.activation(change))
            if context is not None:
                change = functional.glu(torch.cat([change, self.gates[block](context)], -1), -1)
            h = h + change
        return self.last(h)


class AdditiveElement(Element):
    """z = x + shift."""

    def __call__(self, value: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        shift = params.squeeze(-1)
        return (value - shift if inverse else value + shift), torch.zeros_like(value)


class ResidualCoupling(Coupling):
    """A coupling layer whose network is a `ResidualNet`; made by `from_nflows`.

    Parameters
    ----------
    dim : int
        See `CouplingSpline`.
    mask : sequence of bool
        See `CouplingSpline`.
    context : int
        See `CouplingSpline`.
    hidden, blocks : int
        Width, number of blocks and activation of the network.
    activation : str
        Width, number of blocks and activation of the network.
    transform : "spline" (1906.04032), "affine" (z = x scale + shift with scale = 0.001 + sigmoid(raw + 2),
        a bounded form of 1605.08803) or "additive" (z = x + shift, 1410.8516).
    bins : int
        Of splines, see `CouplingSpline`.
    domain : str
        Of splines, see `CouplingSpline`.
    bound, min_bin, min_derivative : float
        Of splines, see `CouplingSpline`.
    """

    def __init__(
        self,
        dim: int,
        mask: Sequence[bool],
        *,
        context: int = 0,
        hidden: int = 64,
        blocks: int = 2,
        activation: str = "relu",
        transform: str = "spline",
        bins: int = 8,
        domain: str = "unit",
        bound: float = 5.0,
        min_bin: float = MIN_BIN,
        min_derivative: float = MIN_DERIVATIVE,
    ) -> None:
        super().__init__(dim, mask, context)
        if transform not in ("spline", "affine", "additive"):
            raise InputError(f"transform must be 'spline', 'affine' or 'additive', got {transform!r}")
        if activation not in ACTIVATIONS:
            raise InputError(f"unknown activation {activation!r}; known are {', '.join(ACTIVATIONS)}")
        if domain not in ("unit", "real"):
            raise InputError(f"domain must be 'unit' or 'real', got {domain!r}")
        self._settings: dict[str, Any] = {
            "hidden": hidden,
            "blocks": blocks,
            "activation": activation,
            "transform": transform,
            "bins": bins,
            "domain": domain,
            "bound": bound,
            "min_bin": min_bin,
            "min_derivative": min_derivative,
        }
        self.element: Element
        if transform == "spline":
            check_spline(bins, min_bin, min_derivative)
            tails: Tails = None if domain == "unit" else "linear"
            low, high = (0.0, 1.0) if domain == "unit" else (-bound, bound)
            self.element = SplineElement(bins, low, high, tails, min_bin, min_derivative)
            self.outputs = parameter_count(bins, tails)
        elif transform == "affine":
            self.element, self.outputs = AffineElement("sigmoid", 1e-3), 2
        else:
            self.element, self.outputs = AdditiveElement(), 1
        outputs = self.outputs * len(self.transformed)
        self.conditioner = ResidualNet(len(self.passed), outputs, hidden, blocks, context, activation)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "mask": list(self.mask), "context": self.context, **self._settings}

    def extra_repr(self) -> str:
        mask = "".join("x" if chosen else "." for chosen in self.mask)
        s = self._settings
        return f"dim={self.dim}, mask={mask}, {s['transform']}, hidden={s['hidden']}, blocks={s['blocks']}"

    def _transform(
        self, x: Tensor, passed: Tensor, context: Tensor | None, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        params = self.conditioner(passed, context)
        return self.element(x, params.unflatten(-1, (x.shape[-1], self.outputs)), inverse)
