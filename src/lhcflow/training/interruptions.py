"""Ctrl-C and SIGTERM that wait for the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

from . import distributed


class Interruptions:
    """A context in which Ctrl-C and SIGTERM are noted instead of raised; the loop asks ``pending``.

    A second Ctrl-C is raised at once (except in a distributed training, where the launcher repeats
    signals by itself). Outside the main thread, where Python delivers no signals, nothing is changed.

    Attributes
    ----------
    received : int
        Number of the signal that this process got, 0 if none.
    agreed : int
        On several ranks, the signal that all of them know of since the last step.

    Examples
    --------
    A loop that leaves a checkpoint::

        with trainer.interruptions as interruptions:
            while trainer.done < steps:
                trainer.step(loss, draw())
                if interruptions.pending:
                    trainer.save(path, buffer=buffer, generator=generator)
                    interruptions.raise_pending()
    """

    def __init__(self) -> None:
        self.received = 0
        self.agreed = 0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.received = self.agreed = 0
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    @property
    def pending(self) -> int:
        """The signal to stop for, 0 if there is none; the same on all ranks after the same step."""
        return self.agreed if distributed.size() > 1 else self.received

    def raise_pending(self) -> None:
        """Raise what the signal would have: ``KeyboardInterrupt``, or ``SystemExit(143)`` for SIGTERM."""
        number = self.received or self.agreed
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
        if number:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT and distributed.size() == 1:
            raise KeyboardInterrupt
        self.received = number
