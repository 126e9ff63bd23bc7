"""A progress bar with the time left, on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from . import distributed


@contextmanager
def progress_bar(
    total: int, title: str = "training", show: bool = True
) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on the error stream while the body runs, and call ``update(done, text)`` in it.

    Nothing is shown without a terminal, with ``show=False``, or on another rank than the first.
    Updates are cheap: the screen is touched at most ten times a second.
    """
    console = Console(stderr=True)
    if not (show and console.is_terminal and distributed.rank() == 0):
        yield lambda done, text: None
        return
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
