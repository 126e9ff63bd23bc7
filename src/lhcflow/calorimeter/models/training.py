"""What the trainings of all shower models share: their settings, held-out showers and a limit on time."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...arguments import whole
from ...errors import InputError
from ...training import Graphed, History, Loss, fit, negative_log_likelihood
from ...training.batches import Batch, Transform
from .reflections import Reflections

Preparation = Callable[[tuple[Tensor, ...], torch.Generator], Batch]
"""Raw rows of a batch, and a generator for the noise, to what the loss takes."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a shower model is trained.

    Attributes
    ----------
    epochs : int
        At most; the weights of the epoch with the lowest validation loss are kept.
    batch_size : int
        See `lhcflow.training.fit`.
    learning_rate, weight_decay : float
        See `lhcflow.training.fit`.
    schedule : str
        See `lhcflow.training.fit`.
    patience : int or None
        See `lhcflow.training.fit`.
    validation : float
        Share of the showers that is held out for the choice of the epoch.
    seed : int
        Of the held-out showers, the order of the data, the noise and the weights.
    seconds : float or None
        Stop after so long, as if interrupted; None for no limit.
    device : str or None
        As of `lhcflow.training.fit`.
    progress : bool
        Show a bar.
    reflections : Reflections or None
        Of the geometry, to reflect every shower at random on every access; None for none.
    """

    epochs: int = 100
    batch_size: int = 200
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    patience: int | None = None
    validation: float = 0.1
    seed: int = 0
    seconds: float | None = None
    device: str | None = None
    progress: bool = True
    reflections: Reflections | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            whole(getattr(self, name), name, least)


class TimeIsUp(Exception):
    """A training stopped at its limit on time; its checkpoint is written."""


def train(
    model: nn.Module,
    data: tuple[Tensor, ...],
    transform: Preparation,
    settings: TrainingSettings,
    *,
    loss: Loss = negative_log_likelihood,
    average: Any = "best",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    deadline: Deadline | None = None,
) -> History:
    """Fit ``model`` to rows of ``data`` with a part of them held out; it then is where it was before.

    Parameters
    ----------
    model : nn.Module
        What the loss takes.
    data : tuple of Tensor
        Tensors with one row per shower, raw.
    transform : Preparation
        Raw rows to what the loss takes, with new noise on every access.
    settings : TrainingSettings
        See `lhcflow.training.fit`.
    average : object
        See `lhcflow.training.fit`.
    checkpoint : path, optional
        See `lhcflow.training.fit`.
    resume : bool
        See `lhcflow.training.fit`.
    loss : Loss
        As there; on a GPU as a graph, see `lhcflow.training.Graphed`.
    deadline : Deadline, optional
        When to stop; the model then has its best weights so far.

    Raises
    ------
    TimeIsUp
        At the deadline.
    """
    kept, held = split(len(data[0]), settings.validation, settings.seed)
    deadline = deadline or Deadline(settings.seconds)
    if settings.reflections is not None:
        transform = _reflected(transform, settings.reflections)
    home = next(model.parameters()).device
    try:
        return fit(
            model,
            tuple(t[kept] for t in data),
            Graphed(loss),
            validation=tuple(t[held] for t in data),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            transform=deadline.watched(transform),
            optimizer="adamw" if settings.weight_decay else "adam",
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            schedule=settings.schedule,
            patience=settings.patience,
            average=average,
            seed=settings.seed,
            device=settings.device,
            checkpoint=checkpoint,
            checkpoint_seconds=300.0,  # some hundred MB
            resume=resume,
            progress=settings.progress,
        )
    except KeyboardInterrupt:
        if deadline.over:
            raise TimeIsUp("the limit on time is reached") from None
        raise
    finally:
        model.to(home)


def _reflected(transform: Preparation, reflections: Reflections) -> Preparation:
    """``transform`` of incident energies, reflected voxels, and whatever else a row holds."""

    def prepare(batch: tuple[Tensor, ...], generator: torch.Generator) -> Batch:
        incident, voxels, *others = batch
        return transform((incident, reflections(voxels, generator), *others), generator)

    return prepare


class Deadline:
    """A limit on time that stops a training like Ctrl-C: after a step, with a checkpoint."""

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise InputError(f"a limit on time must be positive, got {seconds} s")
        self.end = None if seconds is None else time.monotonic() + seconds
        self.over = False

    def watched(self, transform: Preparation) -> Transform:
        """``transform``, which looks at the clock on every batch.

        It is one function with and without a limit, as checkpoints know it by its name: a training that
        stopped at its limit goes on without one.
        """
        end = math.inf if self.end is None else self.end
        if self.end is not None and threading.current_thread() is not threading.main_thread():
            raise InputError("a limit on time works in the main thread only")

        def watching(batch: Batch, generator: torch.Generator) -> Batch:
            if time.monotonic() > end and not self.over:
                self.over = True
                signal.raise_signal(signal.SIGINT)
            return transform(_whole(batch), generator)

        return watching


def _whole(batch: Batch) -> tuple[Tensor, ...]:
    return tuple(t for t in batch if t is not None)


def split(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows to hold out, both in their order; at least one of each."""
    if not 0 < share < 1 or n < 2:
        raise InputError(
            f"can't hold out a share of {share} of {n} showers: need 2 or more and 0 < share < 1"
        )
    held = min(max(round(share * n), 1), n - 1)
    order = np.random.default_rng(np.random.SeedSequence((seed, 17))).permutation(n)
    return torch.from_numpy(np.sort(order[held:])), torch.from_numpy(np.sort(order[:held]))


def checkpoint_in(folder: str | os.PathLike[str] | None, name: str) -> Path | None:
    """The checkpoint of one of a model's flows."""
    return None if folder is None else Path(folder) / f"{name}.safetensors"
