"""The history of a training: one row per epoch, or whatever the loop notes."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files import atomic_write


class History:
    """A table that grows by rows; rows may have different columns.

    Examples
    --------
    >>> history = History()
    >>> history.append(step=10, loss=1.5)
    >>> history.append(step=20, loss=1.25, validation=1.75)
    >>> history["validation"]
    array([ nan, 1.75])
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        self.rows: list[dict[str, Any]] = rows if rows is not None else []

    def append(self, **row: float) -> None:
        """Add a row of numbers."""
        self.rows.append(row)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """One column (rows,) in float64, NaN where a row does not have it."""
        if column not in self.columns:
            raise InputError(f"the history has no column {column!r}; it has {', '.join(self.columns)}")
        return np.array([row.get(column, np.nan) for row in self.rows], dtype=float)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.rows)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file with a header, atomically; empty fields where a row has no value."""
        with atomic_write(path) as file:
            writer = csv.DictWriter(file, self.columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The rows, for a checkpoint."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the rows of a checkpoint."""
        self.rows = [dict(row) for row in state["rows"]]

    def __repr__(self) -> str:
        last = ", ".join(f"{k}={v:.6g}" for k, v in self.rows[-1].items()) if self.rows else "empty"
        return f"History({len(self)} rows; last: {last})"
