"""Masked autoregressive flows: MAF (1705.07057) and IAF (1606.04934), with splines or affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional

from ..errors import InputError
from .bijection import Bijection, in_functorch
from .incremental import Element, PlanCache, solve, solve_naive
from .made import MADE
from .spline import rational_quadratic
from .spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, check_spline, parameter_count

Fast = Literal["density", "sampling"]
Degrees = str | Sequence[Sequence[int]]


_solve_outside_graph: Any = torch.compiler.disable(solve)


class Autoregressive(Bijection):
    """A monotone map in each dimension, given the dimensions before it in ``order`` and the context.

    Subclasses give the elementwise map; see :class:`AutoregressiveSpline`, :class:`AutoregressiveAffine`.

    Notes
    -----
    In the fast direction one pass of the network serves all dimensions. In the other one dimension
    follows from the ones before it; :mod:`.incremental` does that for the price of about one pass.
    Its gradient comes from the inverse function theorem: one differentiable pass at the solution, and
    in the backward pass the solution of a triangular system by at most ``dim`` vector-Jacobian products
    (in practice until they change nothing, which takes far fewer). There are no second derivatives.
    Under ``torch.func`` transforms (vmap, jvp, ...) it runs one full pass per dimension instead.
    """

    element: Element

    def __init__(
        self,
        dim: int,
        outputs: int,
        *,
        context: int,
        hidden: Sequence[int],
        fast: Fast,
        residual: bool,
        activation: str,
        degrees: Degrees,
        order: Sequence[int] | None,
        seed: int,
    ) -> None:
        super().__init__(dim, context)
        if fast not in ("density", "sampling"):
            raise InputError(f"fast must be 'density' or 'sampling', got {fast!r}")
        self.fast: Fast = fast
        self.hidden = tuple(hidden)
        self.degrees = degrees if isinstance(degrees, str) else [[int(d) for d in layer] for layer in degrees]
        self.seed = seed
        self.net = MADE(
            dim,
            outputs,
            hidden,
            context=context,
            residual=residual,
            activation=activation,
            degrees=degrees,
            order=order,
            seed=seed,
        )
        self._plans = PlanCache()

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self._map(x, context, inverse=False)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self._map(z, context, inverse=True)

    def train(self, mode: bool = True) -> Autoregressive:
        self._plans.clear()
        return super().train(mode)

    def _map(self, value: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        if (context is None) != (self.context == 0):
            raise InputError(f"this layer was built with context={self.context}; pass it (only) then")
        if inverse == (self.fast == "sampling"):
            result, log_det = self._pass(value, context, inverse)
            return result, log_det.sum(-1)
        if in_functorch() or forward_ad._current_level >= 0:
            return solve_naive(self.net, self.element, value, context, inverse)
        run = _solve_outside_graph if torch.compiler.is_compiling() else solve
        with torch.no_grad():
            result, log_det = run(self.net, self.element, self._plans, value, context, inverse)
        if not torch.is_grad_enabled():
            return result, log_det
        inputs = (value, *self.parameters(), *(() if context is None else (context,)))
        if not any(tensor.requires_grad for tensor in inputs):
            return result, log_det
        # The result v solves pass(v) = value: dv = J^-1 (d value - d pass|v).
        point = result.detach().requires_grad_()
        image, slope = self._pass(point, context, not inverse)
        result = _Solution.apply(value - image, result, (point, image, slope.detach().exp()))  # type: ignore
        return result, -self._pass(result, context, not inverse)[1].sum(-1)

    def _pass(self, value: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        """The fast direction, conditioned on its own input; log-derivatives are (n, dim)."""
        params = self.net(self.element.features(value), context)
        return self.element(value, params, inverse)

    def config(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "context": self.context,
            "hidden": list(self.hidden),
            "fast": self.fast,
            "residual": self.net.residual,
            "activation": self.net.activation_name,
            "degrees": self.degrees,
            "order": list(self.net.order),
            "seed": self.seed,
        }

    def extra_repr(self) -> str:
        blocks = ", residual" if self.net.residual else ""
        return f"dim={self.dim}, context={self.context}, hidden={self.hidden}{blocks}, fast={self.fast!r}"


class _Solution(torch.autograd.Function):
    """The solution v of pass(v) = value, as a function of the residual value - pass(v) at fixed v."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, solution: Tensor, graph: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        ctx.graph = graph
        return solution.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        # J^T u = gradient; J is triangular, so that this iteration on its off-diagonal part ends exactly
        # after `dim` steps, and as soon as nothing is left.
        point, image, diagonal = ctx.graph
        tolerance = 4 * torch.finfo(gradient.dtype).eps * gradient.abs().amax(-1, keepdim=True)
        u = gradient / diagonal
        for _ in range(point.shape[1] - 1):
            rest = gradient - torch.autograd.grad(image, point, u, retain_graph=True)[0]
            if bool((rest.abs() <= tolerance).all()):
                break
            u = u + rest / diagonal
        return u, None, None


class SplineElement(Element):
    """Rational-quadratic splines, parameters as in :mod:`.spline`."""

    def __init__(
        self, bins: int, low: float, high: float, tails: Tails, min_bin: float, min_derivative: float
    ) -> None:
        self.settings: dict[str, Any] = {
            "bins": bins,
            "low": low,
            "high": high,
            "tails": tails,
            "min_bin": min_bin,
            "min_derivative": min_derivative,
        }
        # The network sees the unit cube as [-1, 1].
        self.slope, self.offset = (2.0, -1.0) if tails is None else (1.0, 0.0)

    def __call__(self, value: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        return rational_quadratic(value, params, inverse, **self.settings)

    def native(self) -> dict[str, Any]:
        s = self.settings
        return {
            "element": "spline",
            "bins": s["bins"],
            "tails": s["tails"] == "linear",
            "low": s["low"],
            "high": s["high"],
            "min_bin": s["min_bin"],
            "minimum": s["min_derivative"],
            "shift": math.log(math.expm1(1 - s["min_derivative"])),
        }


class AffineElement(Element):
    """z = x scale + shift with the raw parameters (scale, shift)."""

    def __init__(self, scale: str, min_scale: float) -> None:
        self.scale, self.min_scale = scale, min_scale
        self.raw_shift = 2.0 if scale == "sigmoid" else math.log(math.expm1(1 - min_scale))

    def __call__(self, value: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        raw, shift = params.unbind(-1)
        raw = raw + self.raw_shift
        positive = torch.sigmoid(raw) if self.scale == "sigmoid" else functional.softplus(raw)
        scale = self.min_scale + positive
        if inverse:
            return (value - shift) / scale, -scale.log()
        return value * scale + shift, scale.log()

    def native(self) -> dict[str, Any]:
        return {
            "element": self.scale,
            "bins": 1,
            "tails": True,
            "low": 0.0,
            "high": 1.0,
            "min_bin": 0.0,
            "minimum": self.min_scale,
            "shift": self.raw_shift,
        }


class AutoregressiveSpline(Autoregressive):
    """Masked autoregressive rational-quadratic splines (1906.04032, section 3).

    Parameters
    ----------
    dim : number of dimensions.
    context : number of context features.
    hidden : widths of the hidden layers of the masked network.
    bins : number of bins of each spline.
    fast : "density" (MAF: data to latent in one pass of the network) or "sampling" (IAF: latent to data
        in one pass).
    domain : "unit" (data and latent in [0, 1]) or "real" (the identity outside [-bound, bound]).
    bound : half the width of the splines' interval in the domain "real".
    residual, activation, degrees, order, seed : of the network, see :class:`MADE`.
    min_bin, min_derivative : see :func:`rational_quadratic`.

    Raises
    ------
    InputError : settings that allow no such layer.

    Examples
    --------
    >>> import torch
    >>> from lhcflow.flows import AutoregressiveSpline
    >>> layer = AutoregressiveSpline(3, hidden=(16,), bins=4, domain="real")
    >>> z, log_det = layer(torch.zeros(5, 3))
    >>> z.shape, log_det.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        dim: int,
        *,
        context: int = 0,
        hidden: Sequence[int] = (128, 128),
        bins: int = 8,
        fast: Fast = "density",
        domain: str = "unit",
        bound: float = 5.0,
        residual: bool = False,
        activation: str = "relu",
        degrees: Degrees = "sequential",
        order: Sequence[int] | None = None,
        seed: int = 0,
        min_bin: float = MIN_BIN,
        min_derivative: float = MIN_DERIVATIVE,
    ) -> None:
        check_spline(bins, min_bin, min_derivative)
        if domain not in ("unit", "real"):
            raise InputError(f"domain must be 'unit' or 'real', got {domain!r}")
        if not bound > 0:
            raise InputError(f"bound must be positive, got {bound}")
        tails: Tails = None if domain == "unit" else "linear"
        super().__init__(
            dim,
            parameter_count(bins, tails),
            context=context,
            hidden=hidden,
            fast=fast,
            residual=residual,
            activation=activation,
            degrees=degrees,
            order=order,
            seed=seed,
        )
        self.bins, self.domain, self.bound = bins, domain, float(bound)
        self.min_bin, self.min_derivative = min_bin, min_derivative
        low, high = (0.0, 1.0) if domain == "unit" else (-self.bound, self.bound)
        self.element = SplineElement(bins, low, high, tails, min_bin, min_derivative)

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "bins": self.bins,
            "domain": self.domain,
            "bound": self.bound,
            "min_bin": self.min_bin,
            "min_derivative": self.min_derivative,
        }

    def extra_repr(self) -> str:
        bound = f", bound={self.bound:g}" if self.domain == "real" else ""
        return f"{super().extra_repr()}, bins={self.bins}, domain={self.domain}{bound}"


class AutoregressiveAffine(Autoregressive):
    """Masked autoregressive affine maps z = x scale + shift on the real line (1705.07057, 1606.04934).

    Parameters
    ----------
    dim, context, hidden, fast, residual, activation, degrees, order, seed : see
        :class:`AutoregressiveSpline`.
    scale : "softplus" (scale 1 at the start, unbounded) or "sigmoid" (between ``min_scale`` and
        1 + ``min_scale``, 0.88 at the start).
    min_scale : smallest scale.
    """

    def __init__(
        self,
        dim: int,
        *,
        context: int = 0,
        hidden: Sequence[int] = (128, 128),
        fast: Fast = "density",
        scale: str = "softplus",
        min_scale: float = 1e-3,
        residual: bool = False,
        activation: str = "relu",
        degrees: Degrees = "sequential",
        order: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        if scale not in ("softplus", "sigmoid"):
            raise InputError(f"scale must be 'softplus' or 'sigmoid', got {scale!r}")
        if not 0 < min_scale < 1:
            raise InputError(f"min_scale must lie between 0 and 1, got {min_scale}")
        super().__init__(
            dim,
            2,
            context=context,
            hidden=hidden,
            fast=fast,
            residual=residual,
            activation=activation,
            degrees=degrees,
            order=order,
            seed=seed,
        )
        self.scale, self.min_scale = scale, min_scale
        self.element = AffineElement(scale, min_scale)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "scale": self.scale, "min_scale": self.min_scale}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, scale={self.scale!r}"
