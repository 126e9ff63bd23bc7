"""Settings of a flow and of its training on an integrand."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import torch

from ..arguments import positive, whole
from ..errors import InputError
from .divergences import Divergence, divergence_named


@dataclass(frozen=True)
class FlowSettings:
    """The flow and its training.

    Attributes
    ----------
    layers : int
        Of the rational-quadratic coupling flow. ``bins`` None takes 16 up to three dimensions and 10 beyond;
        ``hidden`` may be one width for a single hidden layer.
    hidden : tuple of int
        Of the rational-quadratic coupling flow. ``bins`` None takes 16 up to three dimensions and 10 beyond;
        ``hidden`` may be one width for a single hidden layer.
    bins : int or None
        Of the rational-quadratic coupling flow. ``bins`` None takes 16 up to three dimensions and 10 beyond;
        ``hidden`` may be one width for a single hidden layer.
    bound : float
        Of the rational-quadratic coupling flow. ``bins`` None takes 16 up to three dimensions and 10 beyond;
        ``hidden`` may be one width for a single hidden layer.
    domain : {"real", "unit"}
        "real", with a learnable rotation in front of every second layer; or "unit", which has no rotations
        and follows densities better that end at the edges of the cube without vanishing there.
    divergence : str or Divergence
        Name, or sum of names, see `lhcflow.integration.divergences`.
    share : float
        Of the calls, but at most so many or a twentieth of them, go into the training; the rest make the
        estimate.
    most : int
        Of the calls, but at most so many or a twentieth of them, go into the training; the rest make the
        estimate.
    stages : int
        Batches of points in which the training calls are spent, after the first.
    growth : float
        Calls of the last stage over those of the second; they grow by equal factors. Above 1, early stages,
        whose points are spread widely, are short.
    first : float
        Share of the training calls that are drawn before the flow knows anything.
    effective : float
        Share of effective points that the temperature keeps in the buffer.
    steps : int or None
        Optimiser steps in each stage, and four times as many in the last one; more with more than 200,000
        points. None takes 150 up to eight dimensions and 300 beyond.
    batch : int or (int, int)
        Points per step; a pair goes from its first to its second number by equal factors from stage to stage.
    rate : float
        The largest learning rate of Adam.
    defensive : float
        Share of the sampler's points that come from the flow as it was half-way through the training, when
        the target was broader: it bounds the largest weights. The integral does without.
    zeros : bool
        Fit to the points at which the integrand vanishes, too. The flow then ends sharply at edges, which
        helps the integral, but is also too low on their inner side, where the largest weights come from:
        without them events are unweighted more efficiently.
    clip : float
        Largest norm of a gradient.
    device : str
        Where the flow is fitted: "cpu", "cuda", or "auto" for a GPU if there is one. Points are drawn and
        weighed on the CPU in any case.
    decay : float
        Of the moving average of the weights over the steps of a stage, which keeps the flow from fitting
        single points: what the largest weights, and so unweighting, suffer from.
    """

    layers: int = 6
    hidden: tuple[int, ...] = (64, 64)
    bins: int | None = None
    bound: float = 4.0
    domain: Literal["real", "unit"] = "real"
    divergence: str | Divergence = "kl+exponential"
    share: float = 0.4
    most: int = 200_000
    stages: int = 8
    growth: float = 1.0
    first: float = 0.05
    effective: float = 0.2
    steps: int | None = None
    batch: int | tuple[int, int] = 512
    rate: float = 2e-3
    defensive: float = 0.0
    zeros: bool = True
    clip: float = 5.0
    decay: float = 0.995
    device: str = "cpu"

    def __post_init__(self) -> None:
        widths = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        for name, values, least in (
            ("layers", (self.layers,), 1),
            ("hidden", widths, 1),
            ("bins", () if self.bins is None else (self.bins,), 2),
            ("most", (self.most,), 1),
            ("stages", (self.stages,), 1),
            ("steps", () if self.steps is None else (self.steps,), 1),
            ("batch", np.ravel(self.batch).tolist(), 1),
        ):
            for value in values:
                whole(value, name, least)
        object.__setattr__(self, "hidden", tuple(int(width) for width in widths))
        for name, value in (
            ("bound", self.bound),
            ("growth", self.growth),
            ("rate", self.rate),
            ("clip", self.clip),
        ):
            if value is None or positive(value, name) is None:
                raise InputError(f"{name} must be a positive number, got {value!r}")
        for name in ("share", "first", "effective", "defensive", "decay"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) < 1:
                raise InputError(f"{name} is a share, 0 <= share < 1, got {value!r}")
        if not self.share > 0 or not self.effective > 0:
            raise InputError(f"share and effective must be positive, got {self.share} and {self.effective}")
        if self.domain not in ("real", "unit"):
            raise InputError(f"the domain of a flow is 'real' or 'unit', got {self.domain!r}")
        divergence_named(self.divergence)
        self.torch_device()

    def torch_device(self) -> torch.device | None:
        """The device that was asked for; None for "auto".

        Raises
        ------
        InputError
            If there is no such kind of device.
        """
        if self.device == "auto":
            return None
        try:
            device = torch.device(self.device)
        except (RuntimeError, TypeError):
            device = None
        if device is None or device.type not in ("cpu", "cuda"):
            raise InputError(f'device must be "cpu", "cuda" or "auto", got {self.device!r}')
        return device

    def require_device(self) -> None:
        """Refuse a GPU that is not there before any work is done.

        Raises
        ------
        InputError
            If there is none.
        """
        device = self.torch_device()
        if device is not None and device.type == "cuda" and _number(device) >= torch.cuda.device_count():
            raise InputError(f'no device {self.device!r} here: use device="auto" or "cpu"')

    def batch_size(self, progress: float) -> int:
        """Points per step when a share ``progress`` of the stages is done."""
        if isinstance(self.batch, int):
            return self.batch
        first, last = self.batch
        return round(first * (last / first) ** min(progress, 1.0))


def _number(device: torch.device) -> int:
    return 0 if device.index is None else device.index
