"""Read data frames that pandas wrote to HDF5, without pandas or PyTables.

Both layouts of pandas are understood: "fixed" (blocks of columns of one type) and "table" (one compound
data set). Names of columns in the second are pickles in attributes; they are read with an unpickler that
builds nothing but strings, numbers and lists, since a file must not be able to run code.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import hdf5
from ..errors import InputError

_FRAMES = ("frame", "frame_table")
_STORE = "write 1 for signal and 0 for background"
_MOST_NAMED = 5


class _Literals(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"refused to load {module_name}.{global_name}")


@dataclass(frozen=True)
class Frame:
    """Columns of a data frame.

    Attributes
    ----------
    columns : dict
        Those that were asked for and are there, (n,) each.
    names : list of str
        Of all columns that the data frame has.
    """

    columns: dict[str, NDArray[Any]]
    names: list[str]


def frames(file: Any) -> list[str]:
    """Names of the data frames (and series) in an open ``h5py.File``, with the groups above them."""
    names = [str(group.name).strip("/") for group in hdf5.groups(file) if "pandas_type" in group.attrs]
    return [name for name in names if "/meta/" not in name]


def read_frame(group: Any, wanted: Collection[str]) -> Frame:
    """Read columns of one data frame; the others may hold anything.

    Parameters
    ----------
    group : h5py.Group
        The data frame.
    wanted : collection of str
        Names of the columns to read.

    Raises
    ------
    InputError
        If the layout is neither "frame" nor "frame_table", or is damaged, or if a column that is wanted holds
        no numbers.
    """
    kind = _text(hdf5.attribute(group, "pandas_type"))
    if kind not in _FRAMES:
        raise InputError(f"{group.name} of {group.file.filename} is a pandas {kind!r}, not a data frame")
    try:
        return _fixed(group, wanted) if kind == "frame" else _table(group, wanted)
    except InputError:
        raise
    except (KeyError, ValueError, pickle.UnpicklingError, EOFError, OSError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"can't read the data frame {group.name} of {group.file.filename}: {text}") from None


def _fixed(group: Any, wanted: Collection[str]) -> Frame:
    columns: dict[str, NDArray[Any]] = {}
    known: list[str] = []
    for i in range(int(hdf5.attribute(group, "nblocks"))):
        if _text(hdf5.attribute(group, f"block{i}_items_variety", "regular")) != "regular":
            raise InputError(_levels(group))
        names = [_text(n) for n in hdf5.stored(group[f"block{i}_items"])]
        known += names
        if not any(n in wanted for n in names):
            continue
        block = group[f"block{i}_values"]
        kind = _text(hdf5.attribute(block, "value_type", ""))
        if "shape" in block.attrs:  # pandas stores one number in place of none
            columns.update({n: np.empty(0) for n in names if n in wanted})
            continue
        for name in names:
            if name in wanted and kind and not kind.startswith(("float", "int", "uint", "bool")):
                raise InputError(_no_numbers(group, name, "text" if kind in ("str", "object") else kind))
        found = hdf5.values(block)
        found = found if hdf5.attribute(block, "transposed", 1) else found.T
        columns.update({n: v for n, v in zip(names, found.T, strict=True) if n in wanted})
    return Frame(columns, known)


def _table(group: Any, wanted: Collection[str]) -> Frame:
    table = group["table"]
    columns: dict[str, NDArray[Any]] = {}
    known: list[str] = []
    for field in table.dtype.names:
        if field == "index":
            continue
        stored = hdf5.attribute(table, f"{field}_kind")
        listed = _Literals(io.BytesIO(bytes(stored)), encoding="latin1").load()
        if not isinstance(listed, list):
            continue  # a level of the index
        if any(isinstance(n, tuple) for n in listed):
            raise InputError(_levels(group))
        names = [_text(n) for n in listed]
        known += names
        asked = [n for n in names if n in wanted]
        if not asked:
            continue
        if _text(hdf5.attribute(table, f"{field}_meta", "")) == "category":
            held = f"categories{_categories(group, field)}"
            raise InputError(_no_numbers(group, asked[0], held))
        if table.dtype[field].base.kind not in "biuf":
            raise InputError(_no_numbers(group, asked[0], "text"))
        if (kind := _text(hdf5.attribute(table, f"{field}_dtype", ""))).startswith(("datetime", "timedelta")):
            raise InputError(_no_numbers(group, asked[0], kind))
        found = hdf5.values(table, field)
        found = found.reshape(len(table), len(names))
        columns.update({n: v for n, v in zip(names, found.T, strict=True) if n in wanted})
    return Frame(columns, known)


def _categories(group: Any, field: str) -> str:
    """The names of some categories, in brackets."""
    try:
        names = [_text(n) for n in group[f"meta/{field}/meta/table"]["values"]]
    except (KeyError, ValueError, OSError):
        return ""
    some = ", ".join(repr(n) for n in names[:_MOST_NAMED])
    return f" ({some}{', ...' if len(names) > _MOST_NAMED else ''})"


def _no_numbers(group: Any, name: str, held: str) -> str:
    cure = _STORE if name == "label" else "write numbers"
    return f"the column {name} of {group.file.filename} holds {held} and no numbers: {cure}"


def _levels(group: Any) -> str:
    return (
        f"the columns of {group.name} in {group.file.filename} have several levels (a MultiIndex): "
        "give each column one name"
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
