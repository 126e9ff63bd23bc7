"""Flows on disk: one safetensors file with the architecture as JSON in its header."""

from __future__ import annotations

import os
from typing import TypeVar, cast

import torch

from ..arguments import device_named
from ..errors import InputError
from .bijection import Component, build, describe
from .flow import Flow
from .tensor_file import read_tensors, write_tensors

C = TypeVar("C", bound=Component)


def save(flow: Component, path: str | os.PathLike[str]) -> None:
    """Write architecture and weights of ``flow`` to ``path``.

    The file is written beside ``path`` and renamed, so that a reader never sees half a file.

    Parameters
    ----------
    flow : Component
        A `Flow`, or any other component, such as a `MixedFlow` or a bijection.
    path : path
        The file; ``.safetensors`` is its usual ending. An existing file is replaced.

    Raises
    ------
    InputError
        If the folder does not exist or can't be written to.
    """
    if not isinstance(flow, Component):
        raise InputError(f"save writes flows and their parts, not a {type(flow).__name__}: use torch.save")
    architecture = {"dtype": _dtype_name(flow), **describe(flow)}
    write_tensors(path, "flow", flow.state_dict(), "architecture", architecture)


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Flow:
    """Read a flow that `save` wrote, in its dtype, onto ``device``, in ``eval()`` mode.

    Raises
    ------
    InputError
        If the file is missing, truncated, not one of lhcflow's, or was written with components that
        this version does not know (own subclasses must be imported before loading).
    """
    return load_component(path, Flow, device)


def load_component(path: str | os.PathLike[str], kind: type[C], device: str | torch.device = "cpu") -> C:
    """Read any component that `save` wrote; ``kind`` is the class it must have. See `load`."""
    device = device_named(device)
    tensors, architecture = read_tensors(path, "flow", "architecture")
    try:
        dtype = getattr(torch, architecture.pop("dtype"))
        component = build(architecture).to(dtype)
        component.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} can't be rebuilt, is it from another version? {reason}") from None
    if not isinstance(component, kind):
        raise InputError(f"{path} holds a {type(component).__name__}, not a {kind.__name__}")
    return cast(C, component.to(device).eval())


def _dtype_name(component: Component) -> str:
    """The floating-point type of a component; torch's default if it has neither parameters nor buffers."""
    for tensor in (*component.parameters(), *component.buffers()):
        if tensor.is_floating_point():
            return str(tensor.dtype).removeprefix("torch.")
    return str(torch.get_default_dtype()).removeprefix("torch.")
