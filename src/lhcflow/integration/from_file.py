"""An integrand named as FILE.py:FUNCTION, which worker processes can load by themselves."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError


class FileFunction:
    """The function of a Python file. Sent to another process, it is loaded there from the same file.

    Parameters
    ----------
    name : str
        ``path/to/file.py:function``.

    Raises
    ------
    InputError
        If the name has no such form, there is no such file or function, or the file does not run. Also
        when it is called, if the function raises or exits: with the error's type, message and place.
    """

    def __init__(self, name: str) -> None:
        path, _, self.function = name.rpartition(":")
        if not path or not self.function:
            raise InputError(f"name the integrand as FILE.py:FUNCTION, not {name!r}")
        self.path = Path(path).resolve()
        if not self.path.is_file():
            raise InputError(f"there is no file {path}")
        self._loaded = self._load()

    def _load(self) -> Callable[..., Any]:
        # As `python file.py` does: modules beside the file can be imported.
        folder = str(self.path.parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            names = runpy.run_path(str(self.path))
        except (Exception, SystemExit) as error:
            raise InputError(f"{self.path.name} does not run: {_what(error, self.path)}") from error
        function = names.get(self.function)
        if not callable(function):
            raise InputError(f"{self.path.name} has no function {self.function!r}")
        return function

    def __call__(self, x: Any) -> Any:
        """Call the function."""
        try:
            return self._loaded(x)
        except (Exception, SystemExit) as error:
            raise InputError(f"the integrand failed: {_what(error, self.path)}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "function": self.function}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._loaded = self._load()


def _what(error: BaseException, path: Path) -> str:
    """Type and message of an error, and the last line of the user's file that led to it."""
    if isinstance(error, SystemExit):
        text = f"it calls sys.exit({'' if error.code is None else repr(error.code)})"
    else:
        text = ": ".join(filter(None, (type(error).__name__, str(error))))
    if isinstance(error, SyntaxError):  # says its place itself
        return text
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    return f"{text} ({path.name}, line {lines[-1]})" if lines else text
