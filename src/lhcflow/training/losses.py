"""Losses: functions ``loss(model, batch)`` that return a scalar, the mean over the batch."""

from __future__ import annotations

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
    """Probability density distillation of a flow: fit the student to a teacher's map (2110.11377, sec. 3).

    Half the mean squared error of the student's latent points for the teacher's samples, and half that
    of the student's samples for the teacher's latent points: the teacher is only ever run in its fast
    direction on the way there, and the student in its own.

    Parameters
    ----------
    teacher : a trained flow, with ``forward`` and ``inverse``; it is not changed.

    Notes
    -----
    The batch is ``(x,)`` or ``(x, context)``, data in the teacher's space. Both flows need the same base.
    """

    def __init__(self, teacher: nn.Module) -> None:
        self.teacher: Any = teacher

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        x, context = (*batch, None)[:2]
        with torch.no_grad():
            z, _ = self.teacher.forward(x, context)
        student_x, _ = model.inverse(z, context)
        student_z, _ = model.forward(x, context)
        return 0.5 * ((student_z - z).square().mean() + (student_x - x).square().mean())


def _shape(y: Tensor | None) -> tuple[int, ...] | None:
    return None if y is None else tuple(y.shape)
