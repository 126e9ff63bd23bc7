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


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of ``w v`` over the rows of a batch, in which nothing is broadcast.

    Parameters
    ----------
    values : Tensor
        One value per row, (n,).
    weights : Tensor or None
        One weight per row, (n,) or a column (n, 1).

    Returns
    -------
    Tensor
        A scalar: the sum of ``w v`` over n, not over the sum of the weights.

    Raises
    ------
    InputError
        If the shapes are others.
    """
    if values.ndim != 1:
        raise InputError(f"a loss needs one value per row, got the shape {_shape(values)}")
    if weights is None:
        return values.mean()
    if weights.shape not in ((len(values),), (len(values), 1)):
        raise InputError(f"weights must be shaped ({len(values)},), one per row; got {_shape(weights)}")
    return (weights.reshape(-1) * values).mean()


def negative_log_likelihood(model: Any, batch: Batch) -> Tensor:
    """Maximum likelihood: the mean of ``-w log p(x | context)``.

    Parameters
    ----------
    model : object
        Anything with ``log_prob(x, context)``.
    batch : Batch
        ``(x,)``, ``(x, context)`` or ``(x, context, weights)`` of shapes (n, dim), (n, context) or None, and
        (n,) or (n, 1). Weights may be negative; they should average to one over the data, since the loss is
        not divided by their sum (which could be zero, and would bias small batches).
    """
    x, context, weights = (*batch, None, None)[:3]
    return -weighted_mean(model.log_prob(x, context), weights)


def squared_error(model: Any, batch: Batch) -> Tensor:
    """Regression: the mean of ``w |model(x) - y|^2``, averaged over the components of ``y``.

    ``batch`` is ``(x, y)`` or ``(x, y, weights)``; ``model(x)`` has the shape of ``y``, (n, ...). A column
    (n, 1) and (n,) are the same there, and weights are (n,) or (n, 1).
    """
    x, y, weights = (*batch, None)[:3]
    output = model(x)
    if y is not None and {output.shape, y.shape} == {(len(output),), (len(output), 1)}:
        output, y = output.reshape(-1), y.reshape(-1)
    if y is None or output.shape != y.shape:
        raise InputError(f"the model returns {tuple(output.shape)}, the targets are {_shape(y)}")
    error = (output - y).square()
    return weighted_mean(error.flatten(1).mean(1) if error.ndim > 1 else error, weights)


class Distillation:
    """Distil a teacher flow into a student by following its map (CaloFlow II, 2110.11377).

    Half the mean squared error of data that go through the teacher to latent and through the student back,
    and half that of latent points that go through the student to data and through the teacher back. Both
    flows run in one direction only: a teacher fast in density (MAF) makes a student fast in sampling (IAF).

    Parameters
    ----------
    teacher : object
        A trained flow; it is copied, and not changed.

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
