"""Fit a model to data in memory."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ..arguments import whole
from ..errors import InputError, RunError
from . import distributed
from .averaging import AverageName, swapped
from .batches import GLOBAL, Batches, Data, Transform, seeds
from .history import History
from .identity import content, identity
from .losses import Batch, Loss, negative_log_likelihood
from .progress import progress_bar
from .schedules import Schedule
from .trainer import OptimizerFactory, Trainer


def fit(
    model: nn.Module,
    data: Data,
    loss: Loss = negative_log_likelihood,
    *,
    validation: Data | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | Callable[[int], int] = 256,
    transform: Transform | None = None,
    optimizer: Literal["adamw", "adam"] | OptimizerFactory = "adamw",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str | Schedule = "cosine",
    clip: float | None = None,
    patience: int | None = None,
    average: AverageName | None = None,
    decay: float = 0.999,
    best: int = 1,
    seed: int = 0,
    device: str | torch.device | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    progress: bool = True,
) -> History:
    """Train ``model`` in place.

    Started by ``torchrun``, it trains data-parallel: every rank calls it with the same data, ``batch_size``
    counts the rows of all ranks together, and the result is that of one process up to rounding.

    Parameters
    ----------
    model : nn.Module
        A flow, or whatever the loss knows how to use.
    data : Data
        ``x`` (n, dim), or ``(x, context, weights)`` with None for what there is not: what the loss takes as
        its batch. Tensors, left on their device (batches are moved to the model's); arrays, which are
        converted to the model's precision; data frames and ``TensorDataset``.
    loss : Loss
        ``loss(model, batch)`` returns the mean over the batch as a scalar tensor. It may draw from torch's
        global generator, which is seeded here and put back at the end.
    validation : Data, optional
        As ``data``; its loss is measured after every epoch.
    epochs, steps : int, optional
        How long to train; give one of them. A finished training is extended by ``resume=True`` with a larger
        number; its schedule is then that of the new length from the step reached on, so that only with
        ``schedule="constant"`` (and whole epochs) the result is that of one long training.
    batch_size : int or callable
        Rows per step, or a function of the epoch; the last batch of an epoch may be smaller.
    transform : Transform, optional
        ``transform(batch, generator)``, applied to every batch (dequantisation noise, say) and to the
        validation data with the same noise each time.
    optimizer : {"adamw", "adam"} or OptimizerFactory
        See `Trainer`.
    learning_rate, weight_decay : float
        See `Trainer`.
    schedule : str or Schedule
        See `Trainer`.
    clip : float, optional
        See `Trainer`.
    decay : float
        See `Trainer`.
    best : int
        See `Trainer`.
    patience : int, optional
        Stop after so many epochs without a better validation loss.
    average : {"none", "ema", "best"}, optional
        "none", "ema" (validated and returned: the moving average over steps) or "best" (the mean over the
        ``best`` epochs with the lowest validation loss). Default: "best" with ``patience``.
    seed : int
        Of the order of the data, the transform and torch's global generator during the training.
    device : str or torch.device, optional
        Where to train; "auto" for a GPU if there is one; None for where the model is.
    checkpoint : path, optional
        File to write every ``checkpoint_seconds``, when interrupted, and at the end.
    resume : bool
        Go on from ``checkpoint`` if it exists, bit for bit; data, loss and the other arguments must be the
        same, but for a larger number of epochs or steps.
    progress : bool
        Show a bar on a terminal, a line now and then elsewhere.

    Returns
    -------
    History
        One row per epoch: epoch (from 1), step, loss (mean over the epoch), validation, learning_rate,
        gradient_norm (of the last step) and seconds.

    Raises
    ------
    InputError
        If the arguments do not fit together, or the checkpoint is of another training.
    RunError
        If the loss or its gradient is not finite. Model and checkpoint hold the last good weights.
    KeyboardInterrupt, SystemExit
        After Ctrl-C or SIGTERM, once the step is finished and the checkpoint written.

    Examples
    --------
    >>> import torch
    >>> from lhcflow.flows import coupling_spline
    >>> x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1)).cumsum(1)
    >>> flow = coupling_spline(2, layers=2, hidden=(16,), bins=4, domain="real", seed=0)
    >>> history = fit(flow, x[:900], validation=x[900:], epochs=5, learning_rate=1e-2, patience=3)
    >>> bool(history["validation"][-1] < history["validation"][0])
    True
    """
    if (epochs is None) == (steps is None):
        raise InputError("say how long to train: give either epochs or steps")
    epochs = None if epochs is None else whole(epochs, "epochs", 1)
    steps = None if steps is None else whole(steps, "steps", 1)
    seed = whole(seed, "seed", 0)
    if not callable(loss):
        raise InputError(f"loss must be a function loss(model, batch), got {loss!r}")
    if isinstance(validation, float | int):
        raise InputError("validation is held-out data, such as x[900:] beside x[:900], not a share of them")
    if validation is None and (patience is not None or average == "best"):
        raise InputError("patience and average='best' need validation data")
    if resume and checkpoint is None:
        raise InputError("resume needs the checkpoint to resume from")
    average = average or ("none" if patience is None else "best")
    own = next((p.device for p in model.parameters()), torch.device("cpu"))
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    target = distributed.initialize(own if device is None else device)
    batches = Batches(data, batch_size, seed, transform, dtype)
    held_out = None if validation is None else Batches(validation, batch_size, seed, transform, dtype)
    model.to(target)
    total = steps or sum(batches.count(epoch) for epoch in range(epochs or 0))
    trainer = Trainer(
        model,
        steps=total,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        schedule=schedule,
        clip=clip,
        average=average,
        decay=decay,
        best=best,
    )
    trainer.settings |= {
        "loss": identity(loss),
        "data": [None if t is None else list(t.shape) for t in batches.tensors],
        "batch_size": identity(batch_size),
        "transform": identity(transform),
        "seed": seed,
        "patience": patience,
    }
    if checkpoint is not None:
        trainer.settings |= {
            "content of the data": content(batches.tensors),
            "content of the validation": None if held_out is None else content(held_out.tensors),
        }
    loop = _Loop(trainer, batches, loss, held_out, patience, checkpoint, checkpoint_seconds)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        trainer.load(checkpoint, loop=loop)
        loop.finished = loop.exhausted or trainer.done >= total  # total may have grown
    training = model.training
    try:
        with _own_randomness(target):
            loop.run(total, progress)
    finally:
        trainer.finish()
        model.train(training)
    return trainer.history


class _Loop:
    """Epochs over a trainer; its state is the position in the data and the record of the validation."""

    def __init__(
        self,
        trainer: Trainer,
        batches: Batches,
        loss: Loss,
        validation: Batches | None,
        patience: int | None,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_seconds: float,
    ) -> None:
        self.trainer = trainer
        self.batches = batches
        self.loss = loss
        self.validation = validation
        self.patience = patience
        self.checkpoint = checkpoint
        self.checkpoint_seconds = checkpoint_seconds
        self.epoch = 0
        self.batch = 0  # of the epoch, the next to train on
        self.sum = 0.0  # of the losses of the epoch's rows so far
        self.rows = 0
        self.lowest = math.inf
        self.since = 0  # epochs since the lowest validation loss
        self.finished = False
        self.before = 0.0  # seconds before the last resume
        self.start = self.saved = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        names = ("epoch", "batch", "sum", "rows", "lowest", "since", "finished")
        return {**{name: getattr(self, name) for name in names}, "before": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    @property
    def exhausted(self) -> bool:
        """Whether the patience with the validation loss is over."""
        return self.patience is not None and self.since >= self.patience

    def run(self, total: int, progress: bool) -> None:
        with self.trainer.interruptions as interruptions, progress_bar(total, show=progress) as update:
            try:
                while not self.finished:
                    self._train(total, update)
                    self._close_epoch(total)
            except RunError:
                self._save()  # the step before the failed one
                raise
            self._save()
        interruptions.raise_pending()  # a signal in the last validation

    def _train(self, total: int, update: Callable[[int, str], None]) -> None:
        trainer, epoch = self.trainer, self.epoch
        trainer.model.train()
        trainer.epoch = epoch + 1
        random = seeds(self.batches.seed, GLOBAL + distributed.rank(), epoch, self.batches.count(epoch))
        for batch in self.batches.epoch(epoch, self.batch):
            if trainer.done >= total:
                return
            _seed(random[self.batch], trainer.device)
            n = distributed.rows(batch)
            mine = self._mine(batch)
            try:
                value = trainer.step(self.loss, mine)
            except RunError:
                self._look_for_points_outside(mine)
                raise
            self.batch += 1
            self.sum += value * n
            self.rows += n
            update(trainer.done, f"loss {value:.4g}")
            if trainer.interruptions.pending:
                self._save()
                trainer.interruptions.raise_pending()
            if time.monotonic() - self.saved > self.checkpoint_seconds:
                self._save()

    def _close_epoch(self, total: int) -> None:
        trainer = self.trainer
        row = {
            "epoch": self.epoch + 1,
            "step": trainer.done,
            "loss": self.sum / self.rows,
            "learning_rate": trainer.optimizer.param_groups[0]["lr"],
            "gradient_norm": trainer.gradient_norm,
        }
        if self.validation is not None:
            row["validation"] = value = self._validate(self.validation)
            trainer.average.after_epoch(trainer.model, value if not math.isnan(value) else math.inf)
            self.since = 0 if value < self.lowest else self.since + 1
            self.lowest = min(value, self.lowest) if value == value else self.lowest
        trainer.history.append(**row, seconds=round(self.seconds, 3))
        self.epoch += 1
        self.batch, self.sum, self.rows = 0, 0.0, 0
        self.finished = self.exhausted or trainer.done >= total

    @torch.no_grad()
    def _validate(self, batches: Batches) -> float:
        """The mean loss over the validation data, of the averaged weights if they stand for the epoch."""
        model, total, rows = self.trainer.model, 0.0, 0
        _seed(seeds(batches.seed, GLOBAL + distributed.rank(), 0, 1)[0], self.trainer.device)
        model.eval()
        with swapped(model, self.trainer.average.epoch_weights()):
            for batch in batches.in_order(4 * batches.size(self.epoch)):
                mine = self._mine(batch)
                if n := distributed.rows(mine):
                    total += float(self.loss(model, mine)) * n
                    rows += n
        return distributed.mean(total, rows)

    def _look_for_points_outside(self, batch: Batch) -> None:
        """Name the most frequent reason of an infinite loss: data where the model has no density."""
        x, context = (*batch, None)[:2]
        if self.loss is not negative_log_likelihood or x is None:
            return
        with torch.no_grad():
            outside = int((self.trainer.model.log_prob(x, context) == -math.inf).sum())  # type: ignore[operator]
        if outside:
            raise InputError(
                f"{outside} of {len(x)} points of a batch lie outside the model's domain (log_prob = -inf):"
                ' a flow with domain="unit" takes data in [0, 1]; scale them, or use domain="real"'
            )

    def _mine(self, batch: Batch) -> Batch:
        """This rank's rows of a batch, on the model's device."""
        device = self.trainer.device
        return tuple(None if t is None else t.to(device) for t in distributed.share(batch))

    def _save(self) -> None:
        if self.checkpoint is not None:
            self.trainer.save(self.checkpoint, loop=self)
            self.saved = time.monotonic()


def _seed(seed: int, device: torch.device) -> None:
    """Seed torch's global generators; ``torch.manual_seed`` asks every backend and is 200 times slower."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Put torch's global generators back when the body is done."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield
