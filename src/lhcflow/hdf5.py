"""HDF5 files that are whole or absent, on a full disk too, and read with one line for whatever is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .files import atomic_write

# What h5py raises for damaged files, links that lead nowhere, unknown filters and types.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)


class Output(h5py.File):
    """An HDF5 file that is being written; see `atomic_hdf5`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._steady = _Steady(file)
        super().__init__(self._steady, "w")

    def check(self) -> None:
        """Raise the first error of the system, such as a full disk: to be called after each part."""
        self._steady.check()


@contextmanager
def atomic_hdf5(path: str | os.PathLike[str]) -> Iterator[Output]:
    """Open an HDF5 file for writing that appears under its name only once it is complete and on disk.

    Parameters
    ----------
    path : str or path-like
        The file; see `lhcflow.files.atomic_write`, which also says what is raised.
    """
    with atomic_write(path, "wb") as raw:
        file = Output(raw)
        try:
            yield file
        finally:
            file.close()
        file.check()


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what h5py raises inside the `with` block into an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {os.fspath(path)}") from None
    except DAMAGE as error:
        raise InputError(f"{os.fspath(path)} is not a readable HDF5 file: {one_line(error)}") from None


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """An HDF5 file that is open for reading.

    Raises
    ------
    InputError
        If the file is missing, no HDF5 file, or damaged; the last also while it is read.
    """
    if not os.path.exists(path):
        raise InputError(f"{os.fspath(path)} does not exist")
    if os.path.isdir(path):
        raise InputError(f"{os.fspath(path)} is a folder: give a file")
    with reading(path), h5py.File(path, "r") as file:
        yield file


def item(group: h5py.Group, name: str) -> Any:
    """The group or data set called ``name`` in a group; None if there is none.

    Raises
    ------
    InputError
        If the name is a link to something that does not exist.
    """
    try:
        return group[name]
    except (KeyError, OSError):
        pass
    parts = name.strip("/").split("/")
    for i in range(len(parts)):
        # A link to nowhere has a place of its own in the file, other than a name that is not there.
        place = "/".join(parts[: i + 1])
        try:
            link = group.get(place, getlink=True)
        except (KeyError, OSError):
            return None
        goal = getattr(link, "path", None)
        if goal is not None and not _leads_somewhere(group, place):
            file = getattr(link, "filename", None)
            where = goal if file is None else f"{goal} of the file {file}"
            raise InputError(
                f"{group.file.filename}: {place} is a link to {where}, which does not exist: "
                "copy the data in place of the link"
            )
    return None


def fixed(value: Any) -> Any:
    """Text, or a list of it, in bytes of fixed length, as values of attributes; other values as they are.

    Text of variable length lies elsewhere in the file, and HDF5 can hang when that part is damaged.
    """
    if isinstance(value, str) and value:
        return np.bytes_(value.encode())
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return np.array([v.encode() for v in value], "S")
    return value


def attribute(item: Any, name: str, default: Any = None) -> Any:
    """An attribute of a file, group or data set.

    HDF5 itself crashes when it reads attributes whose type was damaged into one of variable length, so that
    only numbers and text are read.

    Raises
    ------
    InputError
        If it is neither numbers nor text.
    KeyError
        If there is none, and no default.
    """
    if name not in item.attrs:
        if default is None:
            raise KeyError(name)
        return default
    kind = item.attrs.get_id(name).get_type()
    if isinstance(kind, h5py.h5t.TypeVlenID | h5py.h5t.TypeCompoundID | h5py.h5t.TypeReferenceID):
        raise InputError(
            f"{item.file.filename}: the attribute {name} is neither numbers nor text, or damaged"
        )
    return item.attrs[name]


def _leads_somewhere(group: h5py.Group, name: str) -> bool:
    try:  # `name in group` asks for the link only
        group[name]
    except (KeyError, OSError):
        return False
    return True


def groups(group: h5py.Group) -> Iterator[h5py.Group]:
    """All groups below a group, each once, whatever links lead there; links to nowhere are passed over."""
    seen, waiting = {group.id}, [group]
    while waiting:
        here = waiting.pop(0)
        for name in here:
            try:
                inner = here[name]
            except (KeyError, OSError):
                continue
            if isinstance(inner, h5py.Group) and inner.id not in seen:
                seen.add(inner.id)
                waiting.append(inner)
                yield inner


def stored(dataset: Any, field: str | None = None) -> NDArray[Any]:
    """All of a data set, or of one field of a compound one.

    Raises
    ------
    InputError
        If it is no data set, is compressed with a filter that is not installed, or takes its values from a
        file that is missing.
    """
    check_readable(dataset)
    return np.asarray(dataset[()] if field is None else dataset.fields(field)[()])


def check_readable(dataset: Any) -> None:
    """Raise what `stored` raises, without reading the values."""
    where = f"{dataset.name} of {dataset.file.filename}"
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{where} is a group and no data set")
    _check_filters(dataset, where)
    if dataset.is_virtual:
        # HDF5 itself fills in zeros for a missing file.
        folder = Path(dataset.file.filename).parent
        for source in dataset.virtual_sources():
            if source.file_name != "." and not (folder / source.file_name).is_file():
                raise InputError(f"{where} takes its values from {source.file_name}, which does not exist")


def values(dataset: Any, field: str | None = None) -> NDArray[Any]:
    """All numbers of a data set, as `stored`; InputError for text and other types too."""
    kind = getattr(dataset, "dtype", None)
    if kind is not None:
        kind = (kind if field is None else kind[field]).base
        if kind.kind not in "biuf":
            raise InputError(f"{dataset.name} of {dataset.file.filename} holds {_kind(kind)} and no numbers")
    return stored(dataset, field)


def _kind(dtype: np.dtype[Any]) -> str:
    words = {"S": "text", "U": "text", "O": "text", "V": "records", "c": "complex numbers"}
    return words.get(dtype.kind, str(dtype))


def _check_filters(dataset: h5py.Dataset, where: str) -> None:
    settings = dataset.id.get_create_plist()
    for i in range(settings.get_nfilters()):
        code, _, _, label = settings.get_filter(i)
        if h5py.h5z.filter_avail(code):
            continue
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401  # pyright: ignore[reportMissingImports]
        if not h5py.h5z.filter_avail(code):
            name = label.decode(errors="replace") if label else "a filter"
            raise InputError(
                f"{where} is compressed with {name} (HDF5 filter {code}), which h5py can't read alone: "
                "pip install hdf5plugin, or write the file with gzip (pandas: complib='zlib')"
            )


class _Steady:
    """A file for HDF5 that never fails: HDF5 can end in a segmentation fault if closing it fails.

    After the first write that fails, what is written stays in memory, where HDF5 finds it again. That is
    little, as whoever writes asks with `check` after each part, which raises the error.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._number = file.fileno()
        self._position = 0
        self._kept: list[tuple[int, bytes]] = []
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size()}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        block = bytes(data)
        done = 0
        while self._error is None and done < len(block):
            try:
                done += os.pwrite(self._number, memoryview(block)[done:], self._position + done)
            except OSError as error:
                self._error = error
        if self._error is not None:
            self._kept.append((self._position, block))
        self._position += len(block)
        return len(block)

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        start, stop = self._position, min(self._position + len(view), self._size())
        view[:] = bytes(len(view))
        found = os.pread(self._number, max(stop - start, 0), start)
        view[: len(found)] = found
        for place, block in self._kept:
            first, last = max(place, start), min(place + len(block), stop)
            if first < last:
                view[first - start : last - start] = block[first - place : last - place]
        self._position = max(stop, start)
        return max(stop - start, 0)

    def truncate(self, size: int | None = None) -> int:
        end = self._position if size is None else size
        try:
            os.ftruncate(self._number, end)
        except OSError as error:
            self._error = self._error or error
        return end

    def flush(self) -> None:
        """Nothing is held back."""

    def _size(self) -> int:
        return max(os.fstat(self._number).st_size, *(place + len(block) for place, block in self._kept), 0)


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
