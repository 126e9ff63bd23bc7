"""Checks of numbers that users give: one line that says what is wrong, before any work."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from ..errors import InputError


def whole(name: str, value: Any, least: int) -> int:
    """An argument that must be a whole number; 1e6 is one, True and 2.5 are none.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : any
        What was given: an integer, also of numpy, or a float without a fraction.
    least : int
        The smallest allowed.

    Raises
    ------
    InputError
        If it is none, or too small.

    Examples
    --------
    >>> whole("calls", 1e6, least=1)
    1000000
    """
    if not isinstance(value, Integral) and not (isinstance(value, Real) and float(value).is_integer()):
        raise InputError(f"{name} must be a whole number, got {value!r}")
    number = int(value)  # pyright: ignore[reportArgumentType]
    if isinstance(value, bool) or number < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def positive(name: str, value: Any) -> float | None:
    """An argument that must be a positive, finite number, or None, which it stays.

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
