"""Cuts that are given by name: as an object, as a mapping, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from ..errors import InputError


class NamedCuts:
    """Base of dataclasses whose fields are cuts."""

    example: ClassVar[str] = ""
    """Arguments of a cut, for a message."""

    @classmethod
    def of(cls, cuts: Self | Mapping[str, float] | None) -> Self:
        """Cuts from a mapping of their names; None gives the default.

        Raises
        ------
        InputError
            It is neither a mapping nor of this class, or has other names.
        """
        if cuts is None:
            return cls()
        if isinstance(cuts, cls):
            return cuts
        if not isinstance(cuts, Mapping):
            raise InputError(
                f"cuts are given as {cls.__name__}({cls.example}) or as a dict, got {type(cuts).__name__}"
            )
        return cls.from_card(cuts)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Self:
        """Cuts from a table of their names, such as ``card`` returned; the others have their defaults."""
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for name in card:
            if name not in known:
                raise InputError(f"unknown cut {name!r}: known are {', '.join(known)}")
        return cls(**card)
