"""Run directories: one folder per command, with its card, results, history, checkpoints and figures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from .errors import InputError
from .files import plain, read_toml, sweep, write_json, write_toml


class RunDirectory:
    """The folder of one command: its card, and then results, history, checkpoints and figures.

    A folder with a card and without ``results.json`` is an unfinished run. Whoever starts a run gets
    either a fresh folder, or, with ``resume``, the unfinished one with the same card. As a context manager
    it calls `abandon` if the work raises: a run that failed before it wrote anything leaves no folder,
    so that the corrected command finds no unfinished run.

    Parameters
    ----------
    path : path
        The folder; it is created, with its parents, if it does not exist.
    card : mapping of str to object
        Everything needed to repeat the run: scalars, lists and tables of them (None is left out).
    force : bool
        Start over in the folder of an earlier run, finished or not; its files listed below are removed, and
        those of ``writes``.
    resume : bool
        Go on with an unfinished run, or start one if there is none.
    writes : sequence of str
        Names, or patterns such as "*.npz", of the other files that the command writes into the folder.

    Attributes
    ----------
    path, card_file, results_file, history_file, report_file, checkpoints, figures : path
        Paths; the last two are folders.
    resumed : bool
        Whether there was an unfinished run to go on with.

    Raises
    ------
    InputError
        If the folder holds a finished run (without ``force``), an unfinished one (without either), one
        with another card (with ``resume``), or files that no run wrote. Nothing is changed then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         with RunDirectory(f"{folder}/run", {"events": 10}) as run:
    ...             raise InputError("no such process")
    ...     except InputError:
    ...         run.path.exists()
    False
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        card: Mapping[str, Any],
        *,
        force: bool = False,
        resume: bool = False,
        writes: Sequence[str] = (),
    ) -> None:
        if force and resume:
            raise InputError("--force starts over and --resume goes on: give one of them")
        self.path = Path(path)
        self.card_file = self.path / "card.toml"
        self.results_file = self.path / "results.json"
        self.history_file = self.path / "history.csv"
        self.report_file = self.path / "report.html"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        # The version is information for the reader: a newer lhcflow may go on with an older run.
        self.card = {"lhcflow": {"version": version("lhcflow")}, **_without_none(plain(card))}
        self.resumed = False
        self._made: list[Path] = []
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{path} is a file: give a folder for the run")
        if self.card_file.is_file():
            self._enter(force, resume, writes)
        elif self.path.is_dir() and any(f.suffix != ".tmp" for f in self.path.iterdir()):
            raise InputError(f"{path} holds files but no run (no card.toml): give another folder")
        self._create()

    @property
    def finished(self) -> bool:
        """Whether the results were written."""
        return self.results_file.is_file()

    def finish(self, results: Mapping[str, Any]) -> None:
        """Write ``results.json``, the last file of a run. See `write_json`."""
        write_json(self.results_file, results)

    def abandon(self) -> None:
        """Remove the run if nothing but its card stands in the folder; a run with any other file stays.

        Call it when the work failed (or use the run as a context manager, which does). The card, empty
        folders inside, and those of the run's folder and its parents that this run created are removed.
        What was written stays, for ``--resume``.
        """
        inside = [Path(top, name) for top, _, names in os.walk(self.path) for name in names]
        if any(file != self.card_file for file in inside):
            return
        self.card_file.unlink(missing_ok=True)
        folders = [Path(top) for top, _, _ in os.walk(self.path, topdown=False)]
        for folder in (*folders[:-1], *self._made):
            try:
                folder.rmdir()
            except OSError:  # another process has written into it meanwhile
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abandon()

    def _enter(self, force: bool, resume: bool, writes: Sequence[str]) -> None:
        """Make sure that the run that is there may be continued or removed."""
        if force:
            # The results go first: a run that loses files is not finished any more. The card goes last:
            # a folder with files and without a card belongs to no run.
            others = [file for pattern in writes for file in self.path.glob(pattern) if file.is_file()]
            for file in (self.results_file, self.history_file, self.report_file, *others, self.card_file):
                file.unlink(missing_ok=True)
            for folder in (self.checkpoints, self.figures):
                shutil.rmtree(folder, ignore_errors=True)
            return
        if self.finished:
            raise InputError(f"{self.path} holds a finished run: --force to do it again, or another folder")
        if not resume:
            raise InputError(f"{self.path} holds an unfinished run: --resume to go on, --force to start over")
        difference = _difference(read_toml(self.card_file), self.card, skip=("lhcflow",))
        if difference:
            raise InputError(f"can't resume {self.path}: {difference}; use the same options or --force")
        self.resumed = True

    def _create(self) -> None:
        # From the folder itself upwards: the order in which they can be removed again.
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"can't create the folder {self.path}: {error.strerror}") from None
        try:
            if not self.resumed:
                write_toml(self.card_file, self.card)
            for folder in (self.path, self.checkpoints, self.figures):
                folder.mkdir(exist_ok=True)
                sweep(folder)
        except BaseException:
            self.abandon()
            raise


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    """The table as TOML gives it back."""
    return {k: _without_none(v) if isinstance(v, dict) else v for k, v in table.items() if v is not None}


def _difference(old: dict[str, Any], new: dict[str, Any], skip: tuple[str, ...] = (), where: str = "") -> str:
    """The first entry in which two cards differ, in words; empty if there is none."""
    for key in sorted({*old, *new} - {*skip}):
        a, b, name = old.get(key), new.get(key), f"{where}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            if inner := _difference(a, b, where=f"{name}."):
                return inner
        elif a != b and not (a != a and b != b):  # NaN is the same as NaN
            return f"{name} was {a!r}, is now {b!r}"
    return ""
