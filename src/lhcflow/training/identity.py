"""What a checkpoint says about data and functions, so that a resumed training notices others."""

from __future__ import annotations

import functools
import hashlib
import re
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def identity(thing: Any) -> Any:
    """What a value or a function is, in words that stay the same in another process.

    Plain values are themselves. Functions of lhcflow are their names. Other functions are their names and a
    hash of their code, of its constants, defaults and of the plain values in its closure, since two lambdas
    have the same name. Other objects are their class and their representation.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, functools.partial):
        return f"partial({identity(thing.func)}, {_text(thing.args)}, {_text(thing.keywords)})"
    if isinstance(thing, types.MethodType):
        return f"{identity(thing.__func__)} of {type(thing.__self__).__qualname__}"
    if isinstance(thing, types.FunctionType):
        if thing.__module__.split(".")[0] == "lhcflow":
            return thing.__qualname__
        closure = [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
        parts = (
            _code(thing.__code__),
            _text(thing.__defaults__),
            _text(thing.__kwdefaults__),
            _text(closure),
        )
        return f"{thing.__qualname__} {_hash(repr(parts).encode())}"
    if isinstance(thing, type):
        return thing.__qualname__
    return f"{type(thing).__qualname__} {re.sub(' at 0x[0-9a-f]+', '', repr(thing))}".strip()


def content(tensors: Sequence[Tensor | None]) -> list[str | None]:
    """A hash of the values of each tensor; None stays None."""
    found: list[str | None] = []
    for tensor in tensors:
        if tensor is None:
            found.append(None)
            continue
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        found.append(_hash(flat.view(torch.uint8).numpy()))
    return found


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that is not assigned yet
        return False


def _code(code: types.CodeType) -> tuple:
    constants = [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, constants, code.co_names


def _text(value: Any) -> str:
    """Plain values and nests of them; tensors and arrays by their content; of the rest, only what it is."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {_text(v)}' for k, v in value.items())}}}"
    if isinstance(value, Tensor | np.ndarray):
        return str(content([torch.as_tensor(value).contiguous()]))
    if isinstance(value, types.FunctionType):
        return str(identity(value))
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return type(value).__qualname__


def _hash(data: Any) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
