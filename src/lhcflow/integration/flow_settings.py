"""Settings of a flow and of its training on an integrand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from .divergences import Divergence


@dataclass(frozen=True)
class FlowSettings:
    """The flow and its training.

    Attributes
    ----------
    layers, hidden, bins, bound : of the rational-quadratic coupling flow. ``bins`` None takes 16 up to three
        dimensions and 10 beyond.
    domain : "real", with a learnable rotation in front of every second layer; or "unit", which has no
        rotations and follows densities better that end at the edges of the cube without vanishing there.
    divergence : name, or sum of names, see :mod:`lhcflow.integration.divergences`.
    share, most : of the calls, but at most so many or a twentieth of them, go into the training; the rest
        make the estimate.
    stages : batches of points in which the training calls are spent, after the first.
    growth : calls of the last stage over those of the second; they grow by equal factors. Above 1, early
        stages, whose points are spread widely, are short.
    first : share of the training calls that are drawn before the flow knows anything.
    effective : share of effective points that the temperature keeps in the buffer.
    steps : optimiser steps in each stage, and four times as many in the last one; more with more than
        200,000 points. None takes 150 up to eight dimensions and 300 beyond.
    batch : points per step; a pair goes from its first to its second number by equal factors from stage to
        stage.
    rate : the largest learning rate of Adam.
    defensive : share of the sampler's points that come from the flow as it was half-way through the training,
        when the target was broader: it bounds the largest weights. The integral does without.
    zeros : fit to the points at which the integrand vanishes, too. The flow then ends sharply at edges, which
        helps the integral, but is also too low on their inner side, where the largest weights come from:
        without them events are unweighted more efficiently.
    clip : largest norm of a gradient.
    device : where the flow is fitted: "cpu", "cuda", or "auto" for a GPU if there is one. Points are drawn
        and weighed on the CPU in any case.
    decay : of the moving average of the weights over the steps of a stage, which keeps the flow from
        fitting single points: what the largest weights, and so unweighting, suffer from.
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
        if not 0 <= self.defensive < 1:
            raise InputError(f"defensive is a share, 0 <= share < 1, got {self.defensive}")
        if not self.growth > 0:
            raise InputError(f"growth must be positive, got {self.growth}")
        if self.domain not in ("real", "unit"):
            raise InputError(f"the domain of a flow is 'real' or 'unit', got {self.domain!r}")
        if min(np.ravel(self.batch)) < 1:
            raise InputError(f"batch must be at least 1, got {self.batch}")

    def batch_size(self, progress: float) -> int:
        """Points per step when a share ``progress`` of the stages is done."""
        if isinstance(self.batch, int):
            return self.batch
        first, last = self.batch
        return round(first * (last / first) ** min(progress, 1.0))
