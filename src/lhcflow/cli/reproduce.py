"""``lhcflow reproduce``: one published table or figure each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Force, Json, Quiet, Seed, check_json, console
from .report import print_table, print_warnings, write_report


def reproduce(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="None: list the names.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The published statistics; takes long.")] = False,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the run.", show_default="runs/NAME"),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Make a published table or figure again: results.json, figures and report.html."""
    check_json(json)
    from ..files import write_json
    from ..reproduce import ENTRIES, find
    from ..runs import RunDirectory

    screen = console(quiet)
    if name is None:
        if json:
            write_json(json, ENTRIES)
        rows = [[name, entry.title, entry.source] for name, entry in ENTRIES.items()]
        print_table(screen, ["name", "shows", "published in"], rows, names=3)
        return
    entry = find(name)
    card = {"command": "reproduce", "name": name, "full": full, "seed": seed}
    with RunDirectory(Path("runs") / name if out is None else out, card, force=force) as run:
        screen.print(f"[bold]{entry.title}[/bold] ({entry.source})")
        outcome = entry.run(seed, full, quiet)
        write_report(run, entry.title, entry.source, outcome.sections, outcome.warnings)
        run.finish(outcome.results)
    if json:
        write_json(json, outcome.results)
    from ..plotting import Table

    for section in outcome.sections:
        screen.print(f"\n{section.title}", style="bold")
        for text in section.text:
            screen.print(text, markup=False, soft_wrap=True)
        for item in section.content:
            if isinstance(item, Table):
                print_table(screen, item.header, item.rows)
    print_warnings(screen, outcome.warnings)
    screen.print(f"\nreport: {run.report_file}", markup=False, soft_wrap=True)
