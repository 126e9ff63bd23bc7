"""Losses of small networks as CUDA graphs: a step for the price of a few launches."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from .losses import Batch, Loss


class Graphed:
    """A loss that is captured with its gradient, and replayed for every batch of the same shape.

    Small flows spend nearly all of a step on launching kernels. The first batch in training mode on CUDA is
    captured; batches of other shapes (the last one of an epoch), other devices and validation go through
    the loss itself. Where capturing fails, a warning says why and nothing is replayed.

    The loss must neither synchronise nor draw random numbers, and its gradient can't be differentiated.

    Parameters
    ----------
    loss : Loss
        Of one model, whose parameters stay where they are.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self._step: _Step | None = None
        self._possible = True

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        if not (self._possible and model.training and capturable(batch)):
            return self.loss(model, batch)
        if self._step is None:
            try:
                self._step = _Step(self.loss, model, batch)
            except RuntimeError as error:
                text = (str(error).strip() or type(error).__name__).splitlines()[0]
                warnings.warn(f"trains without a CUDA graph, slower: {text}", RuntimeWarning, stacklevel=2)
                self._possible = False
        if self._step is None or not self._step.fits(batch):
            return self.loss(model, batch)
        return self._step(batch)


class _Step:
    """The captured loss and gradients of one model at batches shaped as ``batch``."""

    def __init__(self, loss: Loss, model: nn.Module, batch: Batch) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.inputs: Batch = tuple(None if t is None else t.clone() for t in batch)
        with torch.cuda.device(self.parameters[0].device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # what starts lazily (libraries, Triton) must not in the capture
                for _ in range(2):
                    self._differentiate(loss, model)
            torch.cuda.current_stream().wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=side):
                self.value, self.gradients = self._differentiate(loss, model)

    def _differentiate(self, loss: Loss, model: nn.Module) -> tuple[Tensor, tuple[Tensor, ...]]:
        value = loss(model, self.inputs)
        return value.detach(), torch.autograd.grad(value, self.parameters)

    def fits(self, batch: Batch) -> bool:
        return [None if t is None else t.shape for t in batch] == [
            None if t is None else t.shape for t in self.inputs
        ]

    def __call__(self, batch: Batch) -> Tensor:
        return _Replayed.apply(self, batch, *self.parameters)  # type: ignore[return-value]


class _Replayed(torch.autograd.Function):
    """A replay, after which the gradients are there already."""

    @staticmethod
    def forward(ctx: Any, step: _Step, batch: Batch, *parameters: Tensor) -> Tensor:
        ctx.step = step
        for buffer, tensor in zip(step.inputs, batch, strict=True):
            if buffer is not None and tensor is not None:
                buffer.copy_(tensor)
        step.graph.replay()
        return step.value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *outer: Tensor
    ) -> tuple[Tensor | None, ...]:
        return None, None, *torch._foreach_mul(ctx.step.gradients, outer[0])  # pyright: ignore[reportPrivateImportUsage]


def capturable(batch: Batch) -> bool:
    """Whether a batch is where graphs are."""
    return all(t is None or t.is_cuda for t in batch)
