"""Bipartite coupling layers: splines and affine maps (1410.8516, 1605.08803, 1906.04032)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..arguments import whole, whole_numbers
from ..errors import InputError
from .bijection import Bijection, angles_of
from .conditioner import Conditioner
from .spline import rational_quadratic
from .spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, check_spline, parameter_count


class Coupling(Bijection):
    """Transforms the dimensions chosen by ``mask``, given the others and the context.

    Subclasses give ``_transform``; see `CouplingSpline` and `CouplingAffine`.
    """

    order: Tensor
    passed: Tensor
    transformed: Tensor

    def __init__(self, dim: int, mask: Sequence[bool], context: int = 0) -> None:
        super().__init__(dim, context)
        self.mask = tuple(bool(chosen) for chosen in mask)
        if len(self.mask) != dim:
            raise InputError(
                f"a coupling layer of dim={dim} needs a mask of that length, got {len(self.mask)}"
            )
        if not any(self.mask):
            raise InputError("the mask of a coupling layer must choose at least one dimension")
        passed = [i for i, chosen in enumerate(self.mask) if not chosen]
        transformed = [i for i, chosen in enumerate(self.mask) if chosen]
        self._indices("passed", passed)
        self._indices("transformed", transformed)
        self._indices("order", torch.tensor(passed + transformed).argsort().tolist())

    def _indices(self, name: str, values: list[int]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.long), persistent=False)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self._apply_map(x, context, inverse=False)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self._apply_map(z, context, inverse=True)

    def _apply_map(self, x: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        if (context is None) != (self.context == 0):
            raise InputError(f"this layer was built with context={self.context}; pass it (only) then")
        passed = x.index_select(-1, self.passed)
        y, log_det = self._transform(x.index_select(-1, self.transformed), passed, context, inverse)
        return torch.cat([passed, y], -1).index_select(-1, self.order), log_det.sum(-1)

    def _transform(
        self, x: Tensor, passed: Tensor, context: Tensor | None, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class CouplingSpline(Coupling):
    """Rational-quadratic coupling layer (1906.04032).

    Parameters
    ----------
    dim : int
        Number of dimensions.
    mask : sequence of bool
        ``dim`` booleans, True where a dimension is transformed.
    context : int
        Number of context features.
    hidden : sequence of int
        See `Conditioner`.
    activation : str
        See `Conditioner`.
    residual : bool
        See `Conditioner`.
    bins : int
        Number of bins of each spline.
    domain : str
        "unit" (data and latent in [0, 1]) or "real" (the identity outside [-bound, bound]).
    bound : float
        Half the width of the splines' interval in the domain "real".
    circular : sequence of int or int
        Dimensions that are angles, with the period 1 ("unit") or 2 bound ("real"); their splines are
        periodic, are followed by a learned rotation, and enter conditioners as cos and sin.
    min_bin, min_derivative : float
        See `rational_quadratic`.
    """

    plain_passed: Tensor
    circular_passed: Tensor
    plain: Tensor
    turning: Tensor
    spline_order: Tensor

    def __init__(
        self,
        dim: int,
        mask: Sequence[bool],
        *,
        context: int = 0,
        hidden: Sequence[int] = (64, 64, 64),
        bins: int = 16,
        domain: str = "unit",
        bound: float = 5.0,
        circular: Sequence[int] | int = (),
        activation: str = "relu",
        residual: bool = False,
        min_bin: float = MIN_BIN,
        min_derivative: float = MIN_DERIVATIVE,
    ) -> None:
        super().__init__(dim, mask, context)
        check_spline(bins, min_bin, min_derivative)
        if domain not in ("unit", "real"):
            raise InputError(f"domain must be 'unit' or 'real', got {domain!r}")
        if not bound > 0:
            raise InputError(f"bound must be positive, got {bound}")
        self.circular = angles_of(circular, dim)
        self.hidden, self.bins = whole_numbers(hidden, "hidden", 1), whole(bins, "bins", 1)
        self.domain, self.bound = domain, float(bound)
        self.activation, self.residual = activation, residual
        self.min_bin, self.min_derivative = min_bin, min_derivative
        self.low, self.high = (0.0, 1.0) if domain == "unit" else (-self.bound, self.bound)
        self.tails: Tails = None if domain == "unit" else "linear"

        passed, transformed = self.passed.tolist(), self.transformed.tolist()
        circular_passed = [k for k, i in enumerate(passed) if i in self.circular]
        self._indices("circular_passed", circular_passed)
        self._indices("plain_passed", [k for k in range(len(passed)) if k not in circular_passed])
        turning = [k for k, i in enumerate(transformed) if i in self.circular]
        plain = [k for k in range(len(transformed)) if k not in turning]
        self._indices("plain", plain)
        self._indices("turning", turning)
        self._indices("spline_order", torch.tensor(plain + turning).argsort().tolist())
        self.shift = nn.Parameter(torch.zeros(len(turning))) if turning else None

        self.plain_outputs = len(plain) * parameter_count(bins, self.tails)
        outputs = self.plain_outputs + len(turning) * parameter_count(bins, "circular")
        features = len(passed) + len(circular_passed)
        self.conditioner = Conditioner(features, outputs, hidden, context, activation, residual)

    def config(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "mask": list(self.mask),
            "context": self.context,
            "hidden": list(self.hidden),
            "bins": self.bins,
            "domain": self.domain,
            "bound": self.bound,
            "circular": list(self.circular),
            "activation": self.activation,
            "residual": self.residual,
            "min_bin": self.min_bin,
            "min_derivative": self.min_derivative,
        }

    def extra_repr(self) -> str:
        angles = f", circular={self.circular}" if self.circular else ""
        bound = f", bound={self.bound:g}" if self.domain == "real" else ""
        mask = "".join("x" if chosen else "." for chosen in self.mask)
        return f"dim={self.dim}, mask={mask}, bins={self.bins}, domain={self.domain}{bound}{angles}"

    def _features(self, passed: Tensor) -> Tensor:
        """What the conditioner sees: the unit cube as [-1, 1], angles as cos and sin."""
        features = 2 * passed - 1 if self.domain == "unit" else passed
        if len(self.circular_passed) == 0:
            return features
        angle = passed.index_select(-1, self.circular_passed) * (2 * torch.pi / (self.high - self.low))
        return torch.cat([features.index_select(-1, self.plain_passed), angle.cos(), angle.sin()], -1)

    def _transform(
        self, x: Tensor, passed: Tensor, context: Tensor | None, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        params = self.conditioner(self._features(passed), context)
        if self.shift is None:
            return self._spline(x, params, inverse, self.tails)
        raw = params.tensor_split([self.plain_outputs], -1)
        plain, plain_log_det = self._spline(x.index_select(-1, self.plain), raw[0], inverse, self.tails)
        angle = x.index_select(-1, self.turning)
        if inverse:
            angle = angle - self.shift
        angle, angle_log_det = self._spline(angle, raw[1], inverse, "circular")
        if not inverse:
            angle = self.low + torch.remainder(angle + self.shift - self.low, self.high - self.low)
        y = torch.cat([plain, angle], -1).index_select(-1, self.spline_order)
        return y, torch.cat([plain_log_det, angle_log_det], -1)

    def _spline(self, x: Tensor, params: Tensor, inverse: bool, tails: Tails) -> tuple[Tensor, Tensor]:
        return rational_quadratic(
            x,
            params.reshape(*x.shape, parameter_count(self.bins, tails)),
            inverse,
            bins=self.bins,
            low=self.low,
            high=self.high,
            tails=tails,
            min_bin=self.min_bin,
            min_derivative=self.min_derivative,
        )


class CouplingAffine(Coupling):
    """Affine coupling layer z = x exp(s) + t on the real line (Real NVP, 1605.08803, eq. 7).

    Parameters
    ----------
    dim : int
        See `CouplingSpline`.
    mask : sequence of bool
        See `CouplingSpline`.
    context : int
        See `CouplingSpline`.
    hidden : sequence of int
        See `Conditioner`.
    activation : str
        See `Conditioner`.
    residual : bool
        See `Conditioner`.
    limit : float
        s is kept in (-limit, limit) by ``limit tanh(raw / limit)``.
    """

    def __init__(
        self,
        dim: int,
        mask: Sequence[bool],
        *,
        context: int = 0,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        residual: bool = False,
        limit: float = 3.0,
    ) -> None:
        super().__init__(dim, mask, context)
        if not limit > 0:
            raise InputError(f"limit must be positive, got {limit}")
        self.hidden = whole_numbers(hidden, "hidden", 1)
        self.activation, self.residual, self.limit = activation, residual, limit
        outputs = 2 * len(self.transformed)
        self.conditioner = Conditioner(len(self.passed), outputs, hidden, context, activation, residual)

    def config(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "mask": list(self.mask),
            "context": self.context,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "residual": self.residual,
            "limit": self.limit,
        }

    def extra_repr(self) -> str:
        mask = "".join("x" if chosen else "." for chosen in self.mask)
        return f"dim={self.dim}, mask={mask}, limit={self.limit:g}"

    def _transform(
        self, x: Tensor, passed: Tensor, context: Tensor | None, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        raw, shift = self.conditioner(passed, context).chunk(2, -1)
        log_scale = self.limit * torch.tanh(raw / self.limit)
        if inverse:
            return (x - shift) * torch.exp(-log_scale), -log_scale
        return x * torch.exp(log_scale) + shift, log_scale
