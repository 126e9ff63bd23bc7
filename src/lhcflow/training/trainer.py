"""The trainer: one optimisation step, and everything that has to survive between two of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..errors import InputError, RunError
from . import distributed
from .averaging import Average, average_named
from .checkpoints import load_checkpoint, save_checkpoint
from .history import History
from .identity import identity
from .interruptions import Interruptions
from .losses import Batch, Loss
from .schedules import Schedule, schedule_named

OptimizerFactory = Callable[[Iterable[Tensor]], Optimizer] | type[Optimizer] | Optimizer
"""A function from the parameters to an optimiser, an optimiser of the model's parameters, or a class, which
gets ``learning_rate`` and ``weight_decay``."""


class Trainer:
    """Trains a model step by step, for loops that make their own batches; `fit` is such a loop.

    Parameters
    ----------
    model : nn.Module
        The module to train, already on its device; its trainable parameters are those of now.
    steps : int, optional
        Planned number of steps; needed by every schedule except "constant".
    optimizer : str or OptimizerFactory
        "adamw", "adam", a class of ``torch.optim``, or an optimiser or a function from the parameters to one,
        which then bring their own learning rate and weight decay.
    learning_rate, weight_decay : float
        Of the optimiser.
    schedule : str or Schedule
        "constant", "cosine", "warmup-cosine", "one-cycle", or a function ``(step, steps) -> factor`` such as
        `Cosine`.
    clip : float, optional
        Largest allowed norm of the gradient, None for no limit.
    average : Average
        "none", "ema" (over steps, with ``decay``) or "best" (over the ``best`` best epochs; the owner of the
        loop calls ``trainer.average.after_epoch(model, loss)``).

    Attributes
    ----------
    done : int
        Number of steps made.
    gradient_norm : float
        Norm of the last gradient, before clipping.
    history : History
        Rows for the record; the owner of the loop appends them.
    settings : dict of str to object
        What a checkpoint must agree on; the owner of the loop may add to it.
    interruptions : Interruptions
        A context in which Ctrl-C waits for the end of a step; see `Interruptions`.

    Notes
    -----
    Under torchrun every rank calls `step` with its own share of the batch
    (`lhcflow.training.distributed.share`), and all ranks make the step of the whole batch.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(1, 1)
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> trainer = Trainer(model, steps=200, learning_rate=0.1)
    >>> for _ in range(200):
    ...     loss = trainer.step(lambda model, batch: (model(batch[0]) - 2 * batch[0]).square().mean(), (x,))
    >>> bool(abs(model.weight - 2) < 1e-3)
    True
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        steps: int | None = None,
        optimizer: str | OptimizerFactory = "adamw",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: str | Schedule = "cosine",
        clip: float | None = None,
        average: str = "none",
        decay: float = 0.999,
        best: int = 1,
    ) -> None:
        self.model = model
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("the model has no trainable parameters")
        if clip is not None and not clip > 0:
            raise InputError(f"clip must be positive or None, got {clip}")
        self.schedule = schedule_named(schedule)
        if steps is None and schedule != "constant":
            raise InputError("say how many steps are planned, or use schedule='constant'")
        self.steps = steps
        self.clip = clip
        self.average: Average = average_named(average, decay, best)
        self.optimizer = _build_optimizer(optimizer, self.parameters, learning_rate, weight_decay)
        self._base_rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.done = 0
        self.epoch: int | None = None
        self.gradient_norm = math.nan
        self.history = History()
        self.settings: dict[str, Any] = {
            "optimizer": identity(type(optimizer) if isinstance(optimizer, Optimizer) else optimizer),
            "learning_rate": self._base_rates,
            "weight_decay": weight_decay,
            "schedule": identity(self.schedule),
            "steps": steps,
            "clip": clip,
            "average": [average, decay, best],
            "parameters": [[name, *p.shape] for name, p in model.named_parameters()],
        }
        self.interruptions = Interruptions()
        distributed.broadcast(model)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.parameters[0].device

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step (of the first group of parameters)."""
        return self._base_rates[0] * self.schedule(self.done, self.steps or 1)

    def step(self, loss: Loss, batch: Batch = ()) -> float:
        """Make one step and return the loss before it.

        Parameters
        ----------
        loss : Loss
            ``loss(model, batch)`` returns a scalar tensor, the mean over the rows of the batch.
        batch : Batch
            Any tuple; on several ranks, the share of this one, which may have no rows.

        Raises
        ------
        RunError
            If the loss or its gradient is not finite. The model is as it was before this step.
        """
        self.optimizer.zero_grad(set_to_none=True)
        n = distributed.rows(batch)
        value = self._backward(loss, batch) if n else None
        if distributed.size() > 1:
            value, self.interruptions.agreed = distributed.combine_gradients(
                self.parameters, value, n, self.interruptions.received
            )
        if value is None:
            raise InputError("can't train on a batch without rows")
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients, foreach=True)
        number, size = torch.stack([value, norm]).tolist()  # together: a GPU is waited for once
        if not (math.isfinite(number) and math.isfinite(size)):
            self._stop(number)
        if self.clip is not None and size > self.clip:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        factor = self.schedule(self.done, self.steps or 1)
        for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.done += 1
        self.gradient_norm = size
        self.average.after_step(self.model)
        return number

    def finish(self) -> None:
        """Put the averaged weights into the model, if there are any; the end of a training."""
        self.model.load_state_dict(self.average.weights(), strict=False)

    def save(self, path: str | os.PathLike[str], **parts: Any) -> None:
        """Write a checkpoint; on several ranks, the first one does.

        Parameters
        ----------
        path : path
            The file, replaced atomically.
        parts : object
            What else the loop needs to go on, such as its generator and its sample buffer; see
            `save_checkpoint`.
        """
        if distributed.rank() == 0:
            save_checkpoint(path, trainer=self, **parts)

    def load(self, path: str | os.PathLike[str], **parts: Any) -> None:
        """Go on from a checkpoint, bit for bit (on the CPU with the same number of threads).

        Raises
        ------
        InputError
            If the file is no checkpoint or belongs to another model or other settings.
        """
        load_checkpoint(path, trainer=self, **parts)

    def state_dict(self) -> dict[str, Any]:
        """Model, optimiser, averages, history and position."""
        return {
            "settings": self.settings,
            "done": self.done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "history": self.history.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put `state_dict` back; see `load`."""
        for name in {**self.settings, **state["settings"]}:
            old, new = state["settings"].get(name), self.settings.get(name)
            if name == "steps" and old is not None and new is not None and new > old:
                continue  # a training may be extended
            if old != new:
                detail = "" if name == "parameters" else f" was {old!r}, is now {new!r}"
                raise InputError(f"the checkpoint is of another training: {name}{detail or ' differ'}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(_to_device(state["average"], self.device))
        self.history.load_state_dict(state["history"])
        self.done = state["done"]

    def _backward(self, loss: Loss, batch: Batch) -> Tensor:
        value = loss(self.model, batch)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise InputError("the loss must return a scalar tensor that depends on the model's parameters")
        value.backward()
        return value.detach().reshape(())

    def _stop(self, loss: float) -> None:
        """Say what was not finite. A norm can overflow where no gradient does: that is named too."""
        where = f"step {self.done + 1}" + ("" if self.epoch is None else f" (epoch {self.epoch})")
        named = self.model.named_parameters()
        bad = [n for n, p in named if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
        if not math.isfinite(loss):
            what = f"the loss is {loss}"
        elif bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            what = f"the loss is {loss:g}, but the gradient of {bad[0]}{more} is not finite"
        else:
            what = f"the loss is {loss:g}, but its gradient is too large for {self.parameters[0].dtype}"
        raise RunError(
            f"training stopped in {where}: {what}; the weights of the step before are kept."
            " Try a lower learning rate, clip, or look for outliers in the data"
        )


def _build_optimizer(
    optimizer: str | OptimizerFactory, parameters: Sequence[Tensor], learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    if isinstance(optimizer, Optimizer):
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not own <= {id(p) for p in parameters}:
            raise InputError("the optimiser was made for other parameters than those of the model")
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        return optimizer(parameters, lr=learning_rate, weight_decay=weight_decay)  # type: ignore[call-arg]
    if callable(optimizer):
        return optimizer(parameters)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    if optimizer not in kinds:
        raise InputError(f"unknown optimizer {optimizer!r}: choose adamw or adam, or give a function")
    if not learning_rate > 0 or not weight_decay >= 0:
        raise InputError(
            f"need learning_rate > 0 and weight_decay >= 0, got {learning_rate} and {weight_decay}"
        )
    # One fused pass over all parameters: four times faster than the loops that torch takes by default on CPU.
    return kinds[optimizer](parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)


def _to_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {k: _to_device(v, device) for k, v in value.items()}
    return [_to_device(v, device) for v in value] if isinstance(value, list) else value
