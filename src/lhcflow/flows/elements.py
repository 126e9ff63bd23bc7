"""The monotone map of each dimension, whose parameters a network gives: splines, angles, affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .spline import rational_quadratic
from .spline_formulas import Tails, parameter_count


class Element:
    """A monotone map of each dimension, with its parameters in the last axis of ``params``.

    ``slope`` and ``offset`` make what the network sees of a value: ``slope value + offset``.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, value: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """The mapped ``value`` (...) and the log-derivative (...) for ``params`` (..., outputs)."""
        raise NotImplementedError

    def features(self, value: Tensor) -> Tensor:
        return value if (self.slope, self.offset) == (1.0, 0.0) else self.slope * value + self.offset

    def native(self) -> dict[str, Any]:
        """Arguments of the native plan."""
        raise NotImplementedError


class SplineElement(Element):
    """Rational-quadratic splines, parameters as in `spline`."""

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


class AngleElement(Element):
    """Splines of plain dimensions and of angles, which are periodic and then turned.

    The parameters of an angle are those of a circular spline and how far it is turned, which so depends on
    the dimensions before. The network sees an angle as its cosine and sine.
    """

    def __init__(self, dim: int, circular: Sequence[int], plain: SplineElement) -> None:
        self.plain_element = plain
        self.settings = {**plain.settings, "tails": "circular"}
        self.low, self.period = plain.settings["low"], plain.settings["high"] - plain.settings["low"]
        self.angles = list(circular)
        self.plain = [i for i in range(dim) if i not in self.angles]
        self.back = [(self.plain + self.angles).index(i) for i in range(dim)]
        self.inputs = [i for i in range(dim) for _ in range(1 + (i in self.angles))]
        """The dimension of each feature."""

    def count(self) -> int:
        """Parameters of each dimension; some have more than they need."""
        bins, tails = self.settings["bins"], self.plain_element.settings["tails"]
        return max(parameter_count(bins, tails), parameter_count(bins, "circular") + 1)

    def __call__(self, value: Tensor, params: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        bins, tails = self.settings["bins"], self.plain_element.settings["tails"]
        plain = params[:, self.plain, : parameter_count(bins, tails)]
        y, log_det = self.plain_element(value[:, self.plain], plain, inverse)
        raw, turn = params[:, self.angles].split([parameter_count(bins, "circular"), 1], -1)[:2]
        turn, angle = turn[..., 0], value[:, self.angles]
        if inverse:
            angle = angle - turn
        angle, angle_log_det = rational_quadratic(angle, raw, inverse, **self.settings)
        if not inverse:
            angle = self.low + torch.remainder(angle + turn - self.low, self.period)
        log_det = torch.cat([log_det, angle_log_det], -1)[:, self.back]
        return torch.cat([y, angle], -1)[:, self.back], log_det

    def features(self, value: Tensor) -> Tensor:
        plain = self.plain_element.features(value)
        angle = value * (2 * torch.pi / self.period)
        columns = [
            part[:, i]
            for i in range(value.shape[1])
            for part in ([angle.cos(), angle.sin()] if i in self.angles else [plain])
        ]
        return torch.stack(columns, -1)


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
