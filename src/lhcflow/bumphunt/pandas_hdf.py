"""Read data frames that pandas wrote to HDF5, without pandas or PyTables.

Both layouts of pandas are understood: "fixed" (blocks of columns of one type) and "table" (one compound
data set). Names of columns in the second are pickles in attributes; they are read with an unpickler that
builds nothing but strings, numbers and lists, since a file must not be able to run code.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


class _Literals(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"refused to load {module_name}.{global_name}")


def frames(file: Any) -> list[str]:
    """Names of the data frames in an open ``h5py.File``."""
    return [name for name, item in file.items() if "pandas_type" in item.attrs]


def read_frame(group: Any) -> dict[str, NDArray[Any]]:
    """Read the columns (n,) of one data frame, an ``h5py.Group``.

    Raises
    ------
    InputError
        If the layout is neither "frame" nor "frame_table", or is damaged.
    """
    kind = _text(group.attrs["pandas_type"])
    try:
        if kind == "frame":
            return _fixed(group)
        if kind == "frame_table":
            return _table(group)
    except (KeyError, ValueError, pickle.UnpicklingError, OSError) as error:
        raise InputError(
            f"can't read the data frame {group.name} of {group.file.filename}: {error}"
        ) from None
    raise InputError(f"{group.name} of {group.file.filename} is a pandas {kind!r}, not a data frame")


def _fixed(group: Any) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    for i in range(int(group.attrs["nblocks"])):
        names = [_text(n) for n in group[f"block{i}_items"][()]]
        values = np.asarray(group[f"block{i}_values"][()])
        columns.update(zip(names, values.T, strict=True))
    return columns


def _table(group: Any) -> dict[str, NDArray[Any]]:
    table = group["table"]
    rows = table[()]
    columns: dict[str, NDArray[Any]] = {}
    for field in rows.dtype.names:
        if field == "index":
            continue
        stored = table.attrs[f"{field}_kind"]
        names = _Literals(io.BytesIO(bytes(stored)), encoding="latin1").load()
        values = rows[field].reshape(len(rows), -1)
        columns.update(zip((_text(n) for n in names), values.T, strict=True))
    return columns


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
