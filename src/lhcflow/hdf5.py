"""HDF5 files that are whole or absent, on a full disk too, and errors of reading as one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import h5py

from .errors import InputError
from .files import atomic_write

# What h5py raises for damaged files, links that lead nowhere, unknown filters and types.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)


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
    except _DAMAGE as error:
        raise InputError(f"{os.fspath(path)} is not a readable HDF5 file: {_line(error)}") from None


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


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
