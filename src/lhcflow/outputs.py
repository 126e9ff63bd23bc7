"""Files that commands write where the user says: what they may replace."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError


@dataclass(frozen=True)
class FileKind:
    """A kind of files that commands write, told by what is in them and by their names.

    Attributes
    ----------
    name : str
        In words, for messages.
    suffixes : tuple of str
        Usual endings of the names; other kinds' endings are refused.
    start : str
        Regular expression for the first bytes.
    """

    name: str
    suffixes: tuple[str, ...]
    start: str

    def holds(self, path: Path) -> bool:
        """Whether a file is of this kind; an empty one is of every kind."""
        with open(path, "rb") as file:
            head = file.read(64)
        return not head or re.match(self.start.encode("latin1"), head, re.DOTALL) is not None


HDF5 = FileKind("HDF5", (".h5", ".hdf5"), r"\x89HDF\r\n\x1a\n")
JSON = FileKind("JSON", (".json",), r"\s*[\[{]")
NPZ = FileKind("npz", (".npz",), r"PK[\x03\x05]")
ONNX = FileKind("ONNX", (".onnx",), r"\x08[\x01-\x7f]")  # the field ir_version comes first
LHE = FileKind("LHE", (".lhe", ".lhe.gz"), r"\x1f\x8b|\s*<LesHouchesEvents")
SAFETENSORS = FileKind("safetensors", (".safetensors",), r".{8}\{")
# Of other kinds only the endings are known: nothing here writes them where the user says.
_OTHERS = (".toml", ".csv", ".html", ".xml", ".py", ".pdf", ".png", ".svg", ".dat")
# What a run directory holds of its own.
_RUN_FILES = ("card.toml", "results.json", "history.csv", "report.html")
_KINDS = (HDF5, JSON, NPZ, ONNX, LHE, SAFETENSORS)


def check_output(
    path: str | os.PathLike[str],
    kind: FileKind,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
    *,
    option: str = "--out",
    force: bool = False,
) -> None:
    """Refuse, before the work, to write a file where it would destroy something or can't be written.

    Parameters
    ----------
    path : str or path-like
        The file to be written; one of the same kind may be replaced.
    kind : FileKind
        Of what is to be written.
    inputs : iterable of str or path-like
        Files that the command reads, and folders of which it reads files; None is left out.
    option : str
        What the user gave the path with.
    force : bool
        Replace a file of another kind too; an input is never replaced.

    Raises
    ------
    InputError
        If the path is an input (also by way of a link), a folder, in a folder that does not exist, an
        existing file of another kind, or has the ending of another kind.
    """
    target = Path(path)
    real = target.resolve()
    for given in inputs:
        if given is None:
            continue
        both = target.exists() and Path(given).exists()
        if real == Path(given).resolve() or (both and os.path.samefile(target, given)):
            raise InputError(f"{option} {path} would replace {given}, which is an input: give another file")
    if target.name in _RUN_FILES and (real.parent / "card.toml").is_file():
        raise InputError(f"{option} {path} would replace a file of the run in that folder: give another file")
    if target.is_dir():
        raise InputError(f"{option} {path} is a folder: give a file")
    if not real.parent.is_dir():
        raise InputError(f"{option} {path}: the folder {real.parent} does not exist, create it first")
    if force:
        return
    others = (*(end for other in _KINDS if other != kind for end in other.suffixes), *_OTHERS)
    if target.name.lower().endswith(others):
        raise InputError(
            f"{option} {path} has the ending of another kind of file, {kind.name} is written: "
            f"give a name in {kind.suffixes[0]}"
        )
    try:
        fits = not target.exists() or kind.holds(target)
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    if not fits:
        raise InputError(
            f"{option} {path} exists and is no {kind.name} file, which would replace it: give another file"
        )
