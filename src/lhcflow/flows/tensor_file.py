"""Tensors beside one value of JSON in a safetensors file: the form of saved flows and of checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import InputError
from ..files import atomic_write


def write_tensors(
    path: str | os.PathLike[str], what: str, tensors: Mapping[str, Tensor], key: str, value: Any
) -> None:
    """Write ``tensors``, and ``value`` as JSON under ``key`` in the header, atomically.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    what : str
        What the file holds, in one word; its format is ``lhcflow.<what>/1``.
    tensors : mapping of str to Tensor
        By name; they are copied, so that they may share memory.
    key : str
        The entry of the header.
    value : object
        The entry of the header.
    """
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    data = save(copies, {"format": _format(what), key: json.dumps(value)})
    with atomic_write(path, "wb") as file:
        file.write(data)


def read_tensors(path: str | os.PathLike[str], what: str, key: str) -> tuple[dict[str, Tensor], Any]:
    """Read the tensors and the value that `write_tensors` wrote.

    Raises
    ------
    InputError
        If the file is missing, truncated, or holds something else.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"the name of a {what} must be a path, got {path!r}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # Copies: safetensors maps the file into memory, and it may be replaced while they live.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"there is no {what} {path}") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable {what}: {error}") from None
    if header.get("format") != _format(what):
        found = header.get("format")
        raise InputError(f"{path} holds no lhcflow {what} (format {found!r}, expected {_format(what)!r})")
    try:
        return tensors, json.loads(header[key])
    except (KeyError, json.JSONDecodeError):
        raise InputError(f"{path} has no readable {key}: was it written by lhcflow?") from None


def _format(what: str) -> str:
    return f"lhcflow.{what}/1"
