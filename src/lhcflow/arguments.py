"""Arguments of public functions: a value is taken where it has one meaning, else one line says why not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:  # commands that need no torch do not wait for it
    import torch


def whole(value: Any, name: str, least: int | None = None) -> int:
    """A whole number: an integer of any kind, or a float without a fraction.

    Parameters
    ----------
    value : object
        What a user gave.
    name : str
        The argument's name, for the message.
    least : int, optional
        The smallest value allowed.

    Raises
    ------
    InputError
        If it is no whole number, or less than ``least``.
    """
    try:
        number = None if isinstance(value, str | bytes | bool) else int(value)
        exact = number is not None and bool(number == value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number, exact = None, False
    if number is None or not exact:
        raise InputError(f"{name} must be a whole number, got {value!r}")
    if least is not None and number < least:
        raise InputError(f"{name} must be >= {least}, got {number}")
    return number


def positive(value: Any, name: str) -> float | None:
    """A positive, finite number, or None, which it stays.

    Raises
    ------
    InputError
        If it is neither.
    """
    if value is None:
        return None
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise InputError(f"{name} must be a positive number, got {value!r}")
    return float(value)


def seed_number(value: Any) -> int | None:
    """A seed: None, or a whole number >= 0."""
    return None if value is None else whole(value, "seed", 0)


def whole_numbers(value: Any, name: str, least: int | None = None) -> tuple[int, ...]:
    """Whole numbers; one alone stands for a tuple of one, so that ``hidden=64`` is one layer of 64 units."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(whole(v, name, least) for v in value)
    return (whole(value, name, least),)


def device_named(device: str | torch.device) -> torch.device:
    """The device of a name: "cpu", "cuda", "cuda:1", or "auto" for a GPU if there is one, else the CPU.

    Raises
    ------
    InputError
        If there is no such device.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no device {device!r} here ({reason}): use 'auto', 'cpu' or 'cuda'") from None
    return chosen


def tensor_of(value: Any, name: str, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A dense tensor: tensors stay what they are; numbers, lists and arrays are converted.

    Parameters
    ----------
    value : Tensor, array, list or number
        What a user gave.
    name : str
        The argument's name, for the message.
    dtype, device : torch.dtype, torch.device
        Of the result, where ``value`` is no tensor.

    Raises
    ------
    InputError
        If ``value`` is missing, sparse, or holds something else than numbers.
    """
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise InputError(f"{name} is a sparse tensor: pass {name}.to_dense()")
        return value
    if value is None:
        raise InputError(f"{name} is missing")
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must hold numbers, got a {type(value).__name__}") from None
    return torch.as_tensor(array, dtype=dtype, device=device)
