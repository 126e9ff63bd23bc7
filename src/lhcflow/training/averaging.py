"""Averages of the weights along a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import InputError

AverageName = Literal["none", "ema", "best"]


class Average:
    """No average: the weights of the last step. Base class of the others."""

    name: AverageName = "none"

    def after_step(self, model: nn.Module) -> None:
        """Take the weights of a step."""

    def after_epoch(self, model: nn.Module, loss: float) -> None:
        """Take the weights of an epoch with its validation loss."""

    def weights(self) -> dict[str, Tensor]:
        """The averaged part of the model's state; empty if there is no average (yet)."""
        return {}

    def epoch_weights(self) -> dict[str, Tensor]:
        """What stands for an epoch where its loss is measured: empty for the weights themselves."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; ``weights`` is what `weights` returns."""
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""


class ExponentialAverage(Average):
    """Exponential moving average over the steps (Polyak 1992; with the usual warm-up of its decay).

    The decay is ``min(decay, (1 + t) / (10 + t))`` in step t, so that the start is forgotten soon.
    """

    name = "ema"

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"the decay of an average must be in [0, 1), got {decay}")
        self.decay = decay
        self.steps = 0
        self._weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_step(self, model: nn.Module) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        if not self._weights:
            self._weights = {k: p.detach().clone() for k, p in model.named_parameters()}
        else:
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                list(self._weights.values()), list(model.parameters()), 1 - decay
            )

    def weights(self) -> dict[str, Tensor]:
        return self._weights

    def epoch_weights(self) -> dict[str, Tensor]:
        return self._weights

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self._weights, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weights, self.steps = dict(state["weights"]), state["steps"]


class BestAverage(Average):
    """The mean of the weights of the ``count`` epochs with the lowest validation loss.

    With ``count=1`` these are the weights of the best epoch. Buffers are those of the best epoch.
    """

    name = "best"

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise InputError(f"the number of best epochs to average must be >= 1, got {count}")
        self.count = count
        self.epochs: list[tuple[float, dict[str, Tensor]]] = []
        self._parameters: set[str] = set()

    @torch.no_grad()
    def after_epoch(self, model: nn.Module, loss: float) -> None:
        self._parameters = {name for name, _ in model.named_parameters()}
        if len(self.epochs) < self.count or loss < self.epochs[-1][0]:
            state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            self.epochs = sorted([*self.epochs, (loss, state)], key=lambda e: e[0])[: self.count]

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        if not self.epochs:
            return {}
        states = [state for _, state in self.epochs]
        return {
            name: torch.stack([s[name] for s in states]).mean(0) if name in self._parameters else best
            for name, best in states[0].items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": self.weights(),
            "epochs": [list(epoch) for epoch in self.epochs],
            "parameters": sorted(self._parameters),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epochs = [(loss, weights) for loss, weights in state["epochs"]]
        self._parameters = set(state["parameters"])


def average_named(name: str, decay: float = 0.999, count: int = 1) -> Average:
    """Build an average by name; ``decay`` is for "ema", ``count`` for "best"."""
    if name == "none":
        return Average()
    if name == "ema":
        return ExponentialAverage(decay)
    if name == "best":
        return BestAverage(count)
    raise InputError(f"unknown average {name!r}: choose none, ema or best")


@contextmanager
def swapped(model: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Run the body with ``weights`` in the model, and put its own back."""
    if not weights:
        yield
        return
    own = {name: tensor.clone() for name, tensor in model.state_dict().items() if name in weights}
    model.load_state_dict(weights, strict=False)
    try:
        yield
    finally:
        model.load_state_dict(own, strict=False)
