"""The type checker that jaxtyping's import hook uses in all tests: beartype, for the shapes of arrays.

Other annotations are left to pyright: what a user may get wrong is to end in an InputError, which
tests ask for, and not in beartype's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import beartype

SHAPED = ("Float[", "Int[", "Bool[", "Shaped[", "Num[", "Complex[")


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let beartype check those arguments and results of ``function`` that are annotated with a shape."""
    function.__annotations__ = {
        name: hint
        for name, hint in function.__annotations__.items()
        if any(kind in str(hint) for kind in SHAPED)
    }
    return beartype(function) if function.__annotations__ else function
