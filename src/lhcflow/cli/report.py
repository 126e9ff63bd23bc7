"""What commands write and print alike: reports with their figures, and tables."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ..files import RunDirectory
    from ..plotting import Section


def write_report(
    run: RunDirectory, title: str, subtitle: str, sections: Sequence[Section], warnings: Sequence[str]
) -> None:
    """Write ``report.html``, and each of its figures as a PDF file named after its caption."""
    from .. import plotting
    from ..files import atomic_write

    numbers = itertools.count(1)
    for section in sections:
        for item in section.content:
            if isinstance(item, plotting.Picture):
                name = item.caption.partition(".")[0].lower().replace(" ", "_")
                plotting.save(item.figure, run.figures / f"{next(numbers)}_{name}.pdf")
    text = plotting.render(title, subtitle, sections, warnings, run.card_file.read_text(encoding="utf-8"))
    with atomic_write(run.report_file) as file:
        file.write(text)


def print_table(
    screen: Console, header: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1
) -> None:
    """A table without lines: the first ``names`` columns to the left, numbers to the right."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table(box=None, header_style="bold", pad_edge=False)
    for i, title in enumerate(header):
        grid.add_column(escape(title), justify="left" if i < names else "right")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    screen.print(grid)


def print_warnings(screen: Console, warnings: Sequence[str]) -> None:
    """One line each."""
    for warning in warnings:
        screen.print(f"WARNING {warning}", style="yellow", markup=False)
