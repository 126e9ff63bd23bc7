"""The journal of an integration: what cost time is on disk, and is read back when it is done once more.

An integration is a function of its seed and of the integrand's values. So a run that was stopped goes on
bit for bit if it starts again and finds the values, and the fits of its flow, that it had already: points
are drawn once more, which is cheap, and compared with those of the record.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..training.checkpoints import load_checkpoint, save_checkpoint

CHECKED = 4  # points of the first record that are evaluated again, to see that the integrand is the same
# Values that differ by more than this, relative to themselves, or a hundredth of it, relative to the largest
# of the record, are no rounding: single precision may be so far off when points come in other batches.
SAME = 1e-4
SECONDS = 20.0  # a record of values holds about so much work: what Ctrl-C may cost
FORMAT = "lhcflow.journal/1"


class Journal:
    """A folder of numbered records, one per batch of values and per fit.

    Parameters
    ----------
    folder : path
        Where the records are; it is created, and emptied unless ``resume`` is set.
    settings : mapping of str to object
        Plain values that the integration depends on.
    resume : bool
        Use the records that are there.

    Raises
    ------
    InputError
        If the folder can't be used, or its records belong to other settings.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: Mapping[str, Any], resume: bool) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{folder} is a file: give a folder for the checkpoints")
        if self.folder.is_dir() and not resume:
            strange = [f.name for f in self.folder.iterdir() if not _is_record(f)]
            if strange:
                raise InputError(f"{folder} holds {strange[0]}, which no integration wrote: another folder")
            for record in self.folder.iterdir():
                record.unlink()
        self._next = 1
        self._rate = 0.0  # points per second
        self._checked = False
        self._settings = dict(settings)
        self._begun = self._path(0).exists()
        if self._begun:
            self._compare(self._read(0, "settings", FORMAT)["value"])

    def _compare(self, stated: Mapping[str, Any]) -> None:
        """The settings in the first record must be those of this integration."""
        for name in {**stated, **self._settings}:
            if stated.get(name) != self._settings.get(name):
                raise InputError(
                    f"the checkpoints in {self.folder} are of another integration: {name} was "
                    f"{stated.get(name)!r}, is now {self._settings.get(name)!r}"
                )

    def values(
        self,
        x: Float[np.ndarray, "n dim"],
        evaluate: Callable[[np.ndarray], np.ndarray],
        chunk: int,
    ) -> np.ndarray:
        """``evaluate(x)`` in parts of whole chunks (``chunk`` points each), each part a record.

        Where the first record is read back, a few of its points are evaluated again.

        Raises
        ------
        InputError
            If they have other values now: the integrand was changed, or is random.
        """
        parts, start = [], 0
        while start < len(x) or not parts:
            size = max(round(self._rate * SECONDS / chunk), 1) * chunk if self._rate else chunk
            part = self._values(x[start:], size, evaluate)
            parts.append(part)
            start += max(len(part), 1)
        return np.concatenate(parts)

    def _values(self, x: np.ndarray, size: int, evaluate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        def timed() -> np.ndarray:
            begin = time.monotonic()
            values = evaluate(x[:size])
            self._rate = len(values) / max(time.monotonic() - begin, 1e-6)
            return values

        recorded = not self._checked and self._path(self._next).exists()
        values = self._record("values", _digest(x), {}, timed)
        if recorded:
            self._check(x[: len(values)], values, evaluate)
        self._checked = True
        return values

    def _check(self, x: np.ndarray, values: np.ndarray, evaluate: Callable[[np.ndarray], np.ndarray]) -> None:
        """Evaluate the points with the largest values again, half of them, and the first ones."""
        size = np.abs(np.nan_to_num(values)).reshape(len(values), -1).max(axis=1)
        rows = np.unique(np.r_[np.argsort(-size, kind="stable")[: CHECKED // 2], : min(CHECKED // 2, len(x))])
        again, stored = evaluate(x[rows]), values[rows]
        close = again.shape == stored.shape and np.isclose(
            again, stored, rtol=SAME, atol=SAME / 100 * size.max(), equal_nan=True
        )
        if not np.all(close):
            raise InputError(
                f"can't go on from {self.folder}: the integrand has other values now at the first points on "
                "record; it was changed, or is random. Start anew (--force)"
            )

    def fit(self, objects: Mapping[str, Any], make: Callable[[], float]) -> float:
        """``make()``, which changes ``objects`` (what checkpoints can hold) and returns a number."""
        return self._record("fit", "", objects, make)

    def number(self, measure: Callable[[], float]) -> float:
        """A number that would be another one the next time, such as a measured time."""
        return self._record("number", "", {}, measure)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"

    def _record(self, kind: str, digest: str, objects: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        path = self._path(self._next)
        self._next += 1
        if path.exists():
            found = self._read(self._next - 1, kind, digest)
            if objects:
                load_checkpoint(path, **objects)
            return found["value"]
        value = make()
        if not self._begun:  # the folder appears with the first thing that is worth keeping
            self.folder.mkdir(parents=True, exist_ok=True)
            save_checkpoint(self._path(0), kind="settings", digest=FORMAT, value=self._settings)
            self._begun = True
        save_checkpoint(path, kind=kind, digest=digest, value=value, **objects)
        return value

    def _read(self, number: int, kind: str, digest: str) -> dict[str, Any]:
        """A record, which must be of a kind and made for what ``digest`` says."""
        path = self._path(number)
        found = load_checkpoint(path)
        if (found.get("kind"), found.get("digest")) != (kind, digest):
            raise InputError(
                f"can't go on from {self.folder}: the integration took another way at {path.name}; "
                "was the integrand, the number of threads or the version of torch changed? Start it anew"
            )
        return found


def _is_record(path: Path) -> bool:
    return path.suffix in (".safetensors", ".tmp") and path.is_file()


def _digest(x: np.ndarray) -> str:
    """A fingerprint of the points that are left to evaluate."""
    return hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=8).hexdigest()
