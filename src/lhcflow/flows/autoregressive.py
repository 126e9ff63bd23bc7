"""Masked autoregressive flows: MAF (1705.07057) and IAF (1606.04934), with splines or affine maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from ..arguments import whole, whole_numbers
from ..errors import InputError
from .bijection import Bijection, angles_of, in_functorch
from .elements import AffineElement, AngleElement, Element, SplineElement
from .incremental import PlanCache, known, solve, solve_naive
from .made import MADE
from .native import differentiate
from .spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, check_spline, parameter_count

Fast = Literal["density", "sampling"]
Degrees = str | Sequence[Sequence[int]]


class Autoregressive(Bijection):
    """A monotone map in each dimension, given the dimensions before it in ``order`` and the context.

    Subclasses give the elementwise map; see `AutoregressiveSpline`, `AutoregressiveAffine`.

    Notes
    -----
    In the fast direction one pass of the network serves all dimensions. In the other one dimension
    follows from the ones before it; `incremental` does that for the price of about one pass.
    Its gradient comes from the inverse function theorem: the backward pass makes one differentiable pass at
    the solution and solves a triangular system by at most ``dim`` vector-Jacobian products (in practice
    until they change nothing, which takes far fewer). A gradient that is to be differentiated again
    (``create_graph=True``), ``torch.func`` transforms (vmap, jvp, ...) and networks with parts of other
    classes take one full pass per dimension instead.
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
        inputs: Sequence[int] | None = None,
    ) -> None:
        super().__init__(dim, context)
        if fast not in ("density", "sampling"):
            raise InputError(f"fast must be 'density' or 'sampling', got {fast!r}")
        self.fast: Fast = fast
        self.hidden = whole_numbers(hidden, "hidden", 1)
        self.degrees = degrees if isinstance(degrees, str) else [[int(d) for d in layer] for layer in degrees]
        self.seed = whole(seed, "seed", 0)
        self.net = MADE(
            dim,
            outputs,
            hidden,
            context=context,
            residual=residual,
            activation=activation,
            degrees=degrees,
            order=order,
            inputs=inputs,
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
            return self._solve_naive(value, context, inverse)
        run = _solve_outside_graph if torch.compiler.is_compiling() else Autoregressive._solve
        return run(self, value, context, inverse)

    def _solve(self, value: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        """The slow direction, with a gradient where one is wanted."""
        if not torch.is_grad_enabled():
            return solve(self.net, self.element, self._plans, value, context, inverse)
        names, weights = zip(*self.named_parameters(), strict=True)
        if not any(t is not None and t.requires_grad for t in (value, context, *weights)):
            return solve(self.net, self.element, self._plans, value, context, inverse)
        if not known(self.net):
            return self._solve_naive(value, context, inverse)
        return _Solution.apply(self, inverse, names, value, context, *weights)  # type: ignore[return-value]

    def _solve_naive(self, value: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        return solve_naive(self.net, self.element, value, context, inverse)

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


# What torch.compiler.disable makes, but without importing torch._dynamo before something is compiled.
_solve_outside_graph: Any = torch._compile._disable_dynamo(Autoregressive._solve)  # pyright: ignore[reportAttributeAccessIssue]


class _Solution(torch.autograd.Function):
    """The solution v of pass(v) = value and the log-determinant of value -> v."""

    @staticmethod
    def forward(
        ctx: Any,
        layer: Autoregressive,
        inverse: bool,
        names: tuple[str, ...],
        value: Tensor,
        context: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        result, log_det = solve(layer.net, layer.element, layer._plans, value, context, inverse)
        ctx.layer, ctx.inverse, ctx.names = layer, inverse, names
        ctx.save_for_backward(value, context, result, *weights)
        return result, log_det

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        value, context, result, *weights = ctx.saved_tensors
        functions = _Functions(ctx.layer, ctx.inverse, ctx.names)
        if torch.is_grad_enabled():  # create_graph=True
            return None, None, None, *differentiate(functions.solve, (value, context, *weights), grad_outputs)
        needed = ctx.needs_input_grad[4:]  # of context and weights
        grad_result, grad_log_det = grad_outputs
        with torch.enable_grad():
            point = result.detach().requires_grad_()
            others = [
                t if t is None else t.detach().requires_grad_(need)
                for t, need in zip((context, *weights), needed, strict=True)
            ]
            image, slope = functions.fast(point, *others)  # pyright: ignore[reportArgumentType]
        # log_det = -sum(slope), which depends on v too.
        grad_slope = -grad_log_det[:, None].expand_as(slope)
        (through_slope,) = torch.autograd.grad(slope, point, grad_slope, retain_graph=True)
        u = _transposed_solution(point, image, slope.detach().exp(), grad_result + through_slope)
        # pass(v; others) = value: J dv = d value - d pass|v.
        wanted = [t for t in others if t is not None and t.requires_grad]
        found = iter(
            torch.autograd.grad((image, slope), wanted, (-u, grad_slope), allow_unused=True) if wanted else ()
        )
        grads = [next(found) if t is not None and t.requires_grad else None for t in others]
        return None, None, None, u, *grads


def _transposed_solution(point: Tensor, image: Tensor, diagonal: Tensor, gradient: Tensor) -> Tensor:
    """Solve J^T u = gradient for the triangular Jacobian J of ``image`` with respect to ``point``.

    The iteration on the off-diagonal part ends exactly after ``dim`` steps, and as soon as nothing is left.
    """
    tolerance = 4 * torch.finfo(gradient.dtype).eps * gradient.abs().amax(-1, keepdim=True)
    u = gradient / diagonal
    for _ in range(point.shape[1] - 1):
        rest = gradient - torch.autograd.grad(image, point, u, retain_graph=True)[0]
        if bool((rest.abs() <= tolerance).all()):
            break
        u = u + rest / diagonal
    return u


class _Functions:
    """The maps of a layer as functions of values, context and weights."""

    def __init__(self, layer: Autoregressive, inverse: bool, names: tuple[str, ...]) -> None:
        self.layer, self.inverse, self.names = layer, inverse, names

    def fast(self, value: Tensor, context: Tensor | None, *weights: Tensor) -> tuple[Tensor, Tensor]:
        return self._call("_pass", weights, value, context, not self.inverse)

    def solve(self, value: Tensor, context: Tensor | None, *weights: Tensor) -> tuple[Tensor, Tensor]:
        return self._call("_solve_naive", weights, value, context, self.inverse)

    def _call(self, method: str, weights: tuple[Tensor, ...], *arguments: Any) -> tuple[Tensor, Tensor]:
        given = {f"layer.{name}": weight for name, weight in zip(self.names, weights, strict=True)}
        return functional_call(_Method(self.layer, method), given, arguments)


class _Method(nn.Module):
    """A method of a layer as ``forward``, which is what ``functional_call`` calls."""

    def __init__(self, layer: Autoregressive, method: str) -> None:
        super().__init__()
        self.layer, self.method = layer, method

    def forward(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        return getattr(self.layer, self.method)(*arguments)


class AutoregressiveSpline(Autoregressive):
    """Masked autoregressive rational-quadratic splines (1906.04032, section 3).

    Parameters
    ----------
    dim : int
        Number of dimensions.
    context : int
        Number of context features.
    hidden : sequence of int
        Widths of the hidden layers of the masked network.
    bins : int
        Number of bins of each spline.
    fast : {"density", "sampling"}
        "density" (MAF: data to latent in one pass of the network) or "sampling" (IAF: latent to data in one
        pass).
    domain : str
        "unit" (data and latent in [0, 1]) or "real" (the identity outside [-bound, bound]).
    bound : float
        Half the width of the splines' interval in the domain "real".
    circular : sequence of int or int
        Dimensions that are angles, with the period 1 ("unit") or 2 bound ("real"). Their splines are periodic
        and followed by a rotation, and the network sees them as cosine and sine. The slow direction then
        takes one pass of the network for each dimension.
    residual : bool
        Of the network, see `MADE`.
    activation : str
        Of the network, see `MADE`.
    degrees : Degrees
        Of the network, see `MADE`.
    order : sequence of int, optional
        Of the network, see `MADE`.
    seed : int
        Of the network, see `MADE`.
    min_bin, min_derivative : float
        See `rational_quadratic`.

    Raises
    ------
    InputError
        Settings that allow no such layer.

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
        circular: Sequence[int] | int = (),
        residual: bool = False,
        activation: str = "relu",
        degrees: Degrees = "sequential",
        order: Sequence[int] | None = None,
        seed: int = 0,
        min_bin: float = MIN_BIN,
        min_derivative: float = MIN_DERIVATIVE,
    ) -> None:
        bins = whole(bins, "bins", 1)
        check_spline(bins, min_bin, min_derivative)
        if domain not in ("unit", "real"):
            raise InputError(f"domain must be 'unit' or 'real', got {domain!r}")
        if not bound > 0:
            raise InputError(f"bound must be positive, got {bound}")
        tails: Tails = None if domain == "unit" else "linear"
        angles = angles_of(circular, dim)
        low, high = (0.0, 1.0) if domain == "unit" else (-float(bound), float(bound))
        element: Element = SplineElement(bins, low, high, tails, min_bin, min_derivative)
        outputs, inputs = parameter_count(bins, tails), None
        if angles:
            element = AngleElement(dim, angles, element)  # type: ignore[arg-type]
            outputs, inputs = element.count(), element.inputs
        super().__init__(
            dim,
            outputs,
            context=context,
            hidden=hidden,
            fast=fast,
            residual=residual,
            activation=activation,
            degrees=degrees,
            order=order,
            seed=seed,
            inputs=inputs,
        )
        self.bins, self.domain, self.bound = bins, domain, float(bound)
        self.min_bin, self.min_derivative = min_bin, min_derivative
        self.circular, self.element = angles, element

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "bins": self.bins,
            "domain": self.domain,
            "bound": self.bound,
            "circular": list(self.circular),
            "min_bin": self.min_bin,
            "min_derivative": self.min_derivative,
        }

    def extra_repr(self) -> str:
        bound = f", bound={self.bound:g}" if self.domain == "real" else ""
        angles = f", circular={self.circular}" if self.circular else ""
        return f"{super().extra_repr()}, bins={self.bins}, domain={self.domain}{bound}{angles}"


class AutoregressiveAffine(Autoregressive):
    """Masked autoregressive affine maps z = x scale + shift on the real line (1705.07057, 1606.04934).

    Parameters
    ----------
    dim, context : int
        See `AutoregressiveSpline`.
    hidden : sequence of int
        See `AutoregressiveSpline`.
    fast : {"density", "sampling"}
        See `AutoregressiveSpline`.
    residual : bool
        See `AutoregressiveSpline`.
    activation : str
        See `AutoregressiveSpline`.
    degrees : Degrees
        See `AutoregressiveSpline`.
    order : sequence of int, optional
        See `AutoregressiveSpline`.
    seed : int
        See `AutoregressiveSpline`.
    scale : str
        "softplus" (scale 1 at the start, unbounded) or "sigmoid" (between ``min_scale`` and 1 +
        ``min_scale``, 0.88 at the start).
    min_scale : float
        Smallest scale.
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
