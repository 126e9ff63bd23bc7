"""What commands write and print alike: reports with their figures, and tables."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ..plotting import Section
    from ..runs import RunDirectory


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
    """A table without lines: the first ``names`` columns to the left, numbers to the right.

    No cell is ever cut or wrapped. Where a terminal is too narrow the columns are printed in several parts,
    each with the names; a file or a pipe gets one line per row.
    """
    from rich.cells import cell_len
    from rich.text import Text

    widths = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    parts = _parts(widths, names, screen.width) if screen.is_terminal else [list(range(len(widths)))]
    for part in parts:
        for row, style in [(header, "bold"), *((row, "") for row in rows)]:
            cells = []
            for i in part:
                space = " " * (widths[i] - cell_len(row[i]))
                cells.append(row[i] + space if i < names else space + row[i])
            screen.print(Text("  ".join(cells).rstrip(), style), soft_wrap=True)


def _parts(widths: Sequence[int], names: int, width: int) -> list[list[int]]:
    """The columns of each part of a table: the names, and as many others as fit, at least one."""
    first = list(range(min(names, len(widths))))
    used = sum(widths[i] + 2 for i in first)
    parts, room = [list(first)], width - used
    for i in range(len(first), len(widths)):
        if room < widths[i] and len(parts[-1]) > len(first):
            parts.append(list(first))
            room = width - used
        parts[-1].append(i)
        room -= widths[i] + 2
    return parts


def print_warnings(screen: Console, warnings: Sequence[str]) -> None:
    """One line each."""
    for warning in warnings:
        screen.print(f"WARNING {warning}", style="yellow", markup=False, soft_wrap=True)
