"""Whether the native kernels can take a call, and how gradients of their gradients are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    if not eager():
        return False
    if device == "cpu" and core is None:
        warn_once()
        return False
    given = [t for t in tensors if t is not None]
    if any(type(t) not in (Tensor, nn.Parameter) or t.device.type != device for t in given):
        return False
    if given[0].dtype not in (torch.float32, torch.float64) or any(t.dtype != given[0].dtype for t in given):
        return False
    return device == "cpu" or all(t.device == given[0].device for t in given)


def eager() -> bool:
    """True where operations run as they come: not compiled, traced, exported or transformed."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return False
    stack = torch._C._functorch.peek_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
    return stack is None and forward_ad._current_level < 0


def plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether ``module`` does what the class ``kind`` says, and nothing else.

    Kernels read the weights and not ``forward``. So they may not stand in for a subclass (LoRA, Bayesian or
    quantised layers, parametrisations), for a module with hooks, or for one whose ``forward`` was replaced.

    Parameters
    ----------
    module : nn.Module
        The part of a network; its own parts are not looked at.
    kind : type
        The class that the kernel knows.
    """
    return (
        type(module) is kind
        and "forward" not in module.__dict__
        and not (
            module._forward_hooks
            or module._forward_pre_hooks
            or module._backward_hooks
            or module._backward_pre_hooks
        )
        and not nn.modules.module._has_any_global_hook()
    )


def differentiate(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor | None],
    grad_outputs: Sequence[Tensor],
) -> list[Tensor | None]:
    """Gradients of ``function(*inputs)`` that can be differentiated again, for a backward pass.

    The function sees an alias of each input. Where one input was computed from another (the parameters of an
    autoregressive spline from the values), the gradient of the latter would else hold the path through the
    former, which autograd adds once more by itself.

    Parameters
    ----------
    function : callable
        The operations of torch that the kernel stands for; they return the outputs.
    inputs : sequence of Tensor or None
        The arguments.
    grad_outputs : sequence of Tensor
        One for each output, of its shape.

    Returns
    -------
    list of Tensor or None
        One for each input; None where none is needed or the outputs don't depend on it.
    """
    aliases = [t.view_as(t) if t is not None and t.requires_grad else t for t in inputs]
    wanted = [a for a in aliases if a is not None and a.requires_grad]
    outputs = [o for o in zip(function(*aliases), grad_outputs, strict=True) if o[0].requires_grad]
    if not wanted or not outputs:
        return [None] * len(inputs)
    values, gradients = zip(*outputs, strict=True)
    found = iter(torch.autograd.grad(values, wanted, gradients, create_graph=True, allow_unused=True))
    return [next(found) if a is not None and a.requires_grad else None for a in aliases]
