"""Losses: functions ``loss(model, batch)`` that return a scalar, the mean over the batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError

Batch = tuple[Tensor | None, ...]
"""Rows of the training data: tensors with the same first axis, None where there is none."""

Loss = Callable[[Any, Batch], Tensor]
"""``loss(model, batch)``: a scalar tensor, the mean of something over the rows of the batch."""


def negative_log_likelihood(model: Any, batch: Batch) -> Tensor:
    """Maximum likelihood: the mean of ``-w log p(x | context)``.

    Parameters
    ----------
    model : anything with ``log_prob(x, context)``.
    batch : ``(x,)``, ``(x, context)`` or ``(x, context, weights)`` of shapes (n, dim), (n, context) or
        None, and (n,). Weights may be negative; they should average to one over the data, since the
        loss is not divided by their sum (which could be zero, and would bias small batches).
    """
    x, context, weights = (*batch, None, None)[:3]
    log_prob = model.log_prob(x, context)
    return -(log_prob if weights is None else weights * log_prob).mean()


def squared_error(model: Any, batch: Batch) -> Tensor:
    """Regression: the mean of ``w |model(x) - y|^2``, averaged over the components of ``y``.

    ``batch`` is ``(x, y)`` or ``(x, y, weights)``; ``model(x)`` has the shape of ``y``, (n, ...).
    """
    x, y, weights = (*batch, None)[:3]
    output = model(x)
    if y is None or output.shape != y.shape:
        raise InputError(f"the model returns {tuple(output.shape)}, the targets are {_shape(y)}")
    error = (output - y).square().flatten(1).mean(1) if y.ndim > 1 else (output - y).square()
    return (error if weights is None else weights * error).mean()


class Distillation:
    """Distil a teacher flow into a student by following its map (CaloFlow II, 2110.11377).

    Half the mean squared error of data that go through the teacher to latent and through the student back,
    and half that of latent points that go through the student to data and through the teacher back. Both
    flows run in one direction only: a teacher fast in density (MAF) makes a student fast in sampling (IAF).

    Parameters
    ----------
    teacher : a trained flow; it is copied, and not changed.

    Notes
    -----
    The batch is ``(x,)`` or ``(x, context)``, data of the teacher. Both flows need the same base.
    """

    def __init__(self, teacher: nn.Module) -> None:
        # Frozen: the gradient goes through the teacher, but not into it.
        self.teacher: Any = copy.deepcopy(teacher).eval().requires_grad_(False)

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        x, context = (*batch, None)[:2]
        if x is None:
            raise InputError("distillation needs the data of the teacher")
        with torch.no_grad():
            latent, _ = self.teacher.forward(x, context)
            z = self.teacher.base.sample(x.shape[0])
        data, _ = model.inverse(latent, context)
        back, _ = self.teacher.forward(model.inverse(z, context)[0], context)
        return 0.5 * ((data - x).square().mean() + (back - z).square().mean())


def _shape(y: Tensor | None) -> tuple[int, ...] | None:
    return None if y is None else tuple(y.shape)
