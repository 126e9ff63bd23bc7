"""Whether the native kernels can take a call, and what to do about gradients of their gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from .._native import core, warn_once


def usable(*tensors: Tensor | None, device: str = "cpu") -> bool:
    """True where kernels may work on ``tensors``: plain ones on one device of the kind ``device`` ("cpu" or
    "cuda") and of one type, float32 or float64.

    False under ``torch.compile``, tracing and export, ``torch.func`` transforms and forward-mode
    differentiation, all of which need operations of torch itself.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return False
    if device == "cpu" and core is None:
        warn_once()
        return False
    given = [t for t in tensors if t is not None]
    if any(type(t) not in (Tensor, nn.Parameter) or t.device.type != device for t in given):
        return False
    if given[0].dtype not in (torch.float32, torch.float64) or any(t.dtype != given[0].dtype for t in given):
        return False
    if device == "cuda" and any(t.device != given[0].device for t in given):
        return False
    return not _transformed()


def _transformed() -> bool:
    stack = torch._C._functorch.peek_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
    return stack is not None or forward_ad._current_level >= 0


def differentiate(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], grad_outputs: Sequence[Tensor]
) -> list[Tensor | None]:
    """Gradients of ``outputs`` that can be differentiated again; None for inputs that need none."""
    wanted = [t for t in inputs if t.requires_grad]
    found = iter(torch.autograd.grad(outputs, wanted, grad_outputs, create_graph=True, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in inputs]
