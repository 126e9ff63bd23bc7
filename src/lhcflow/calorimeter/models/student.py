"""The student of CaloFlow II: a flow fast in sampling that follows the teacher (2110.11377)."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...flows import AutoregressiveSpline, Flow
from ...flows.bijection import Bijection
from ...training import History
from ...training.losses import Batch
from .caloflow import CaloFlow
from .model import showers_for
from .training import Deadline, TrainingSettings, checkpoint_in, train
from .voxels import VoxelFlow


@dataclass(frozen=True)
class Walk:
    """The way of points through the blocks of a flow.

    Attributes
    ----------
    data : Tensor
        (n, dim) at the data's end.
    points : list of Tensor
        (n, dim) on the latent side of each block; the last are the latent points.
    outputs : list of Tensor
        (n, dim, numbers) of each block's masked network.
    log_det : Tensor
        (n,) of the map that was applied.
    """

    data: Tensor
    points: list[Tensor]
    outputs: list[Tensor]
    log_det: Tensor


def walk(flow: Flow, value: Tensor, context: Tensor, inverse: bool) -> Walk:
    """Send points through a flow in the direction in which its masked networks need one pass each."""
    layers: list[Bijection] = list(flow.bijections)  # type: ignore[arg-type]
    start, points, outputs, log_det = value, [], [], value.new_zeros(len(value))
    for layer in reversed(layers) if inverse else layers:
        if not isinstance(layer, AutoregressiveSpline):
            value = layer.inverse(value)[0] if inverse else layer(value)[0]
            continue
        outputs.append(layer.net(layer.element.features(value), context))
        before = value
        value, log = layer.element(before, outputs[-1], inverse)
        points.append(before if inverse else value)
        log_det = log_det + log.sum(-1)
    if inverse:
        return Walk(value, points[::-1], outputs[::-1], log_det)
    return Walk(start, points, outputs, log_det)


class GuidedDistillation:
    """The fully guided loss of 2110.11377 (section III B): half the z-loss and half the x-loss.

    x-loss: data go through the teacher to latent and through the student back; z-loss: latent points go
    through the student to data and through the teacher back. Each is the mean squared difference of the
    ends, plus the mean over the blocks of that of the points between them, plus that of the outputs of the
    masked networks.

    In evaluation mode the loss is KL(student || teacher) instead, in nats: what a validation monitors.

    A batch is data and conditions as the teacher was trained on, and latent points.

    Parameters
    ----------
    teacher : Flow
        A flow of masked splines fast in density; it is copied, and not changed.
    """

    def __init__(self, teacher: Flow) -> None:
        self.teacher = copy.deepcopy(teacher).eval().requires_grad_(False)

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        x, context, z = batch
        if x is None or context is None or z is None:
            raise InputError("distillation needs data of the teacher, their conditions and latent points")
        self.teacher.to(x.device)
        made = walk(model, z, context, inverse=True)
        taught = walk(self.teacher, made.data, context, inverse=False)
        if not model.training:
            # log s(x) - log t(x) at the student's own points
            base = self.teacher.base
            return (
                base.log_prob(z) - made.log_det - taught.log_det - base.log_prob(taught.points[-1])
            ).mean()
        with torch.no_grad():
            truth = walk(self.teacher, x, context, inverse=False)
        followed = walk(model, truth.points[-1], context, inverse=True)
        z_loss = _distance(taught.points[-1], z) + _distances(taught, made)
        x_loss = _distance(followed.data, x) + _distances(followed, truth)
        return 0.5 * (z_loss + x_loss)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


def _distances(a: Walk, b: Walk) -> Tensor:
    """Over what lies between the ends, and the outputs of the networks."""
    between = [_distance(p, q) for p, q in zip(a.points[:-1], b.points[:-1], strict=True)]
    outputs = [_distance(p, q) for p, q in zip(a.outputs, b.outputs, strict=True)]
    return sum(between, a.data.new_zeros(())) / max(len(between), 1) + sum(outputs) / len(outputs)


def new_student(teacher: CaloFlow, hidden: Sequence[int] | None = None, seed: int = 0) -> CaloFlow:
    """An untrained student: the teacher's flow I, and a flow II with its blocks turned round.

    Parameters
    ----------
    teacher : CaloFlow
        A trained CaloFlow.
    hidden : sequence of int, optional
        Widths of the student's hidden layers; the teacher's if None.
    seed : int
        Of the weights.
    """
    layers: list[Bijection] = []
    for layer in teacher.voxels.flow.bijections:
        if not isinstance(layer, AutoregressiveSpline):
            layers.append(copy.deepcopy(layer))  # type: ignore[arg-type]
            continue
        if layer.fast != "density":
            raise InputError("the teacher is fast in sampling already: it needs no student")
        changes = {"fast": "sampling"} | ({} if hidden is None else {"hidden": list(hidden)})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * seed + len(layers))
            layers.append(AutoregressiveSpline(**{**layer.config(), **changes}))
    flow = Flow(layers, copy.deepcopy(teacher.voxels.flow.base))
    shares = teacher.voxels.shares
    voxels = VoxelFlow(
        teacher.layers.sizes, noise=shares.noise, threshold=shares.threshold, alpha=shares.alpha, flow=flow
    )
    voxels.brightest.copy_(teacher.voxels.brightest)
    return CaloFlow(copy.deepcopy(teacher.energies), voxels)


def distill(
    teacher: CaloFlow,
    incident: NDArray[np.floating[Any]],
    voxels: NDArray[np.floating[Any]],
    settings: TrainingSettings | None = None,
    *,
    hidden: Sequence[int] | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    student: CaloFlow | None = None,
) -> tuple[CaloFlow, History]:
    """Train a student by probability density distillation.

    Parameters
    ----------
    teacher : CaloFlow
        A trained CaloFlow.
    incident, voxels : ndarray
        Showers (n,) and (n, V) in MeV, where the student shall follow the teacher.
    settings : TrainingSettings, optional
        Of the training; its seed is also that of the student's weights.
    hidden : sequence of int, optional
        Widths of the student's hidden layers; the teacher's if None.
    folder : path, optional
        For the checkpoint ``student.safetensors``.
    resume : bool
        Go on from that checkpoint.
    student : CaloFlow, optional
        To go on with, in place of a new one.

    Returns
    -------
    (CaloFlow, History)
        The student and the history of the loss; "validation" is KL(student || teacher) in nats.

    Raises
    ------
    InputError
        If the showers do not fit the teacher, or it is no teacher.
    TimeIsUp
        At the limit on time; ``student`` has the best weights so far.
    """
    settings = settings or TrainingSettings()
    if student is None:
        student = new_student(teacher, hidden, settings.seed)
    data = showers_for(teacher, incident, voxels)

    def batch(rows: tuple[Tensor, ...], generator: torch.Generator) -> Batch:
        x, context = teacher.voxels.batch(rows, generator)
        return x, context, torch.randn(x.shape, generator=generator, dtype=x.dtype)

    history = train(
        student.voxels.flow,
        data,
        batch,
        settings,
        loss=GuidedDistillation(teacher.voxels.flow),
        checkpoint=checkpoint_in(folder, "student"),
        resume=resume,
        deadline=Deadline(settings.seconds),
    )
    return student, history
