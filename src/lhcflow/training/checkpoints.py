"""Checkpoints: any nest of tensors, arrays and plain values in one safetensors file, without pickle.

One file, because a crash could come between the renames of two, and weights and optimiser belong together.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError
from ..flows.tensor_file import read_tensors, write_tensors


def save_checkpoint(path: str | os.PathLike[str], **parts: Any) -> None:
    """Write the state of ``parts`` to one file, atomically.

    Parameters
    ----------
    path : path
        The file; ``.safetensors`` is its usual ending.
    parts : object
        By name: whatever has ``state_dict()``; ``torch.Generator`` and ``numpy.random.Generator``; nests of
        dicts, lists and tuples of tensors, numpy arrays, numbers, strings, booleans and None.
    """
    tensors: dict[str, Tensor] = {}
    tree = {name: _pack(_state_of(part), name, tensors) for name, part in parts.items()}
    write_tensors(path, "checkpoint", tensors, "tree", tree)


def load_checkpoint(path: str | os.PathLike[str], **parts: Any) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, and put the states of ``parts`` back into them.

    Parameters
    ----------
    path : path
        The file.
    parts : object
        Objects, by the names they were saved under, that have ``load_state_dict``, or generators.

    Returns
    -------
    dict of str to object
        All states by name, tensors on the CPU.

    Raises
    ------
    InputError
        If the file is missing, is no checkpoint, or lacks one of ``parts``.
    """
    tensors, tree = read_tensors(path, "checkpoint", "tree")
    try:
        states = {name: _unpack(node, tensors) for name, node in tree.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError):
        raise InputError(f"the checkpoint {path} is damaged: start the training anew") from None
    for name, part in parts.items():
        if name not in states:
            raise InputError(f"the checkpoint {path} holds no {name!r}; it holds {', '.join(states)}")
        _restore(part, states[name])
    return states


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Put the weights of a checkpoint of `fit` or ``Trainer.save`` into ``model``.

    They are the averaged ones if the training averages, as at its end.

    Raises
    ------
    InputError
        If the checkpoint is not readable or belongs to another architecture.
    """
    states = load_checkpoint(path)
    if "trainer" not in states:
        raise InputError(f"the checkpoint {path} holds no training; it holds {', '.join(states)}")
    state = states["trainer"]
    try:
        model.load_state_dict({**state["model"], **(state["average"].get("weights") or {})})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} belongs to another architecture: {reason}") from None


def _state_of(part: Any) -> Any:
    if hasattr(part, "state_dict"):
        return part.state_dict()
    if isinstance(part, torch.Generator):
        return part.get_state()
    if isinstance(part, np.random.Generator):
        return dict(part.bit_generator.state)
    return part


def _restore(part: Any, state: Any) -> None:
    if isinstance(part, torch.Generator):
        part.set_state(state)
    elif isinstance(part, np.random.Generator):
        part.bit_generator.state = state
    elif hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    else:
        raise InputError(f"a {type(part).__name__} can't be restored in place: it has no load_state_dict")


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON form of ``value``; tensors go to ``tensors`` and leave their name."""
    if isinstance(value, Tensor | np.ndarray):
        tensors[name] = value if isinstance(value, Tensor) else torch.from_numpy(np.ascontiguousarray(value))
        shape = list(value.shape)  # ascontiguousarray gives zero-dimensional arrays an axis
        return {"$tensor": name} if isinstance(value, Tensor) else {"$array": [name, shape]}
    if isinstance(value, dict):
        return {"$dict": [[key, _pack(v, f"{name}.{key}", tensors)] for key, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [_pack(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"a checkpoint can't hold {name}, a {type(value).__name__}: give it a state_dict()")


def _unpack(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_unpack(v, tensors) for v in node]
    if not isinstance(node, dict):
        return node
    ((tag, value),) = node.items()
    if tag == "$tensor":
        return tensors[value]
    if tag == "$array":
        name, shape = value
        return tensors[name].numpy().reshape(shape)
    if tag == "$tuple":
        return tuple(_unpack(v, tensors) for v in value)
    return {key: _unpack(v, tensors) for key, v in value}
