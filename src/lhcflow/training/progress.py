"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import distributed

LINE_SECONDS = 30.0
"""Least time between two lines in the log of a batch job, so that long work fills it with few lines."""


@contextmanager
def progress_bar(
    total: int, title: str = "training", show: bool = True
) -> Iterator[Callable[[int, str], None]]:
    """Show on the error stream how far the body is, which calls ``update(done, text)``.

    On a terminal a bar with the time left; elsewhere, as in the log of a batch job, a line now and then.
    Nothing is shown with ``show=False`` or on another rank than the first. Updates are cheap: the screen is
    touched at most ten times a second.
    """
    console = Console(stderr=True)
    if not (show and distributed.rank() == 0):
        yield lambda done, text: None
    elif console.is_terminal:
        with _bar(console, total, title) as update:
            yield update
    else:
        yield _Lines(total, title)


class _Lines:
    """A line after ``LINE_SECONDS``, and one more for each tenth of the work, but not sooner than that."""

    def __init__(self, total: int, title: str) -> None:
        self.total, self.title = total, title
        self.start = self.last = time.monotonic()
        self.done = 0

    def __call__(self, done: int, text: str) -> None:
        now = time.monotonic()
        if now - self.last < LINE_SECONDS or (self.done and done - self.done < self.total / 10):
            return
        self.last, self.done = now, done
        left = (now - self.start) * (self.total - done) / max(done, 1)
        print(
            f"{self.title}: {done} of {self.total}, {_duration(now - self.start)} so far,"
            f" some {_duration(left)} left{f', {text}' if text else ''}",
            file=sys.stderr,
            flush=True,
        )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@contextmanager
def _bar(console: Console, total: int, title: str) -> Iterator[Callable[[int, str], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total, text="")
        last = 0.0

        def update(done: int, text: str) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > 0.1 or done == total:
                last = now
                progress.update(task, completed=done, text=text)

        yield update
