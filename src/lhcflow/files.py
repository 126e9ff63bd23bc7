"""Files that are whole or absent, and run directories: one folder per command."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import InputError, RunError

if TYPE_CHECKING:
    import numpy as np

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
# Names of files that `atomic_write` has not finished.
_UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only once it is complete and on disk.

    It is written beside ``path`` (``.name`` of the yielded file is where, for writers that want a
    name), flushed to disk and renamed. If the body raises, ``path`` is untouched and nothing is left.
    What an earlier process left there when it was killed is removed.

    Parameters
    ----------
    path : str or path-like
        The file; an existing one is replaced, a symbolic link is followed.
    mode : str
        "w" for text (UTF-8) or "wb" for bytes, which can be read back too.

    Raises
    ------
    InputError
        If the folder does not exist or is not writable, or if ``path`` is no regular file.
    RunError
        If the disk is full or the file would exceed a quota or limit.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/numbers.txt") as file:
    ...         _ = file.write("1 2 3")
    ...     Path(folder, "numbers.txt").read_text()
    '1 2 3'
    """
    if mode not in ("w", "wb"):
        raise InputError(f"atomic_write has the modes 'w' and 'wb', got {mode!r}")
    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise InputError(f"can't write {path}: the folder {target.parent} does not exist, create it first")
    if target.exists() and not target.is_file():
        raise InputError(f"can't write {path}: it exists and is no regular file, choose another name")
    sweep(target.parent, target.name)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _locked(beside, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(beside, target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno in _FULL:
            raise RunError(f"no space left for {path}: free some and run it again") from None
        if error.errno in _DENIED and error.filename == str(beside):
            raise InputError(f"can't write to {target.parent}: permission denied") from None
        raise
    finally:
        beside.unlink(missing_ok=True)


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what processes that were killed in `atomic_write` have left in a folder.

    A process that writes holds a lock on its file, which ends with the process: a file without a lock
    belongs to nobody. On a file system without locks nothing is removed.

    Parameters
    ----------
    folder : Path
        The folder; one that does not exist holds nothing.
    name : str, optional
        Only what was to become a file of this name.
    """
    for file in folder.glob(".*.tmp"):
        match = _UNFINISHED.fullmatch(file.name)
        if match is None or name not in (None, match[1]):
            continue
        try:
            with open(file, "rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink(missing_ok=True)
        except OSError:  # in use, of another user, or removed by another process meanwhile
            continue


def _locked(path: Path, mode: str) -> IO[Any]:
    """Create a file and lock it until it is closed; again if `sweep` has removed it before the lock."""
    while True:
        encoding = None if "b" in mode else "utf-8"
        file = open(path, mode.replace("w", "x") + "+", encoding=encoding)  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                return file
        except BlockingIOError:
            path.unlink(missing_ok=True)
        except OSError:  # a file system without locks
            return file
        file.close()


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as JSON, atomically; see `plain` for what it may hold.

    NaN and infinity, which JSON does not have, become the strings "nan", "inf" and "-inf".
    """
    text = json.dumps(_finite(plain(value)), indent=2, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")


def write_toml(path: str | os.PathLike[str], table: Mapping[str, Any]) -> None:
    """Write a table as TOML, atomically. Entries that are None are left out: TOML has no null."""
    text = "\n".join(_toml_lines(plain(table), ())) + "\n"
    with atomic_write(path) as file:
        file.write(text)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If it is missing or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file; none may hold Python objects.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into the memory, or is damaged") from None
    except Exception as error:  # numpy, zipfile and zlib have a dozen of them for damaged files
        raise InputError(f"{path} is not a readable npz file: {' '.join(str(error).split())}") from None


def content_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, which a card records so that a resumed run notices another file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    str
        "sha256:" and 64 hexadecimal digits.

    Raises
    ------
    InputError
        If the file can't be read.
    """
    try:
        with open(path, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder, created with its parents; what was created goes again if the work fails before it wrote.

    Raises
    ------
    InputError
        If it can't be created.
    """
    folder = Path(path)
    made = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't create the folder {path}: {error.strerror}") from None
    try:
        yield folder
    except BaseException:
        for empty in made:
            try:
                empty.rmdir()
            except OSError:
                break
        raise


def plain(value: Any) -> Any:
    """Turn ``value`` into dicts, lists, strings, numbers, booleans and None.

    Takes these, tuples, sets (sorted), paths, dataclasses, and whatever has ``tolist()`` (numpy and torch).

    Raises
    ------
    InputError
        For anything else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if (tolist := getattr(value, "tolist", None)) is not None:
        return plain(tolist())
    raise InputError(f"a {type(value).__name__} can't be written to a card or a result file")


def _sync_folder(folder: Path) -> None:
    """Put a rename on disk, where the system lets folders be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _toml_lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """TOML of a table: its own values first, then its sub-tables under their headers."""
    values = {k: v for k, v in table.items() if v is not None and not isinstance(v, dict)}
    tables = {k: v for k, v in table.items() if isinstance(v, dict)}
    lines = [f"[{'.'.join(_toml_key(p) for p in path)}]"] if path and (values or not tables) else []
    lines += [f"{_toml_key(k)} = {_toml_value(v)}" for k, v in values.items()]
    for key, inner in tables.items():
        lines += [*([""] if lines else []), *_toml_lines(inner, (*path, key))]
    return lines


def _toml_key(key: str) -> str:
    bare = key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
    return key if bare else _toml_value(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # JSON's escapes are TOML's, except that TOML wants DEL escaped too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, list):
        if any(v is None for v in value):
            raise InputError("a list in a card can't hold None")
        return f"[{', '.join(_toml_value(v) for v in value)}]"
    if isinstance(value, dict):
        inner = (f"{_toml_key(k)} = {_toml_value(v)}" for k, v in value.items() if v is not None)
        return f"{{{', '.join(inner)}}}"
    return repr(value)
