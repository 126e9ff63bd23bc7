"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..outputs import JSON, check_output

if TYPE_CHECKING:
    from rich.console import Console

Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same numbers.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON too.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Force = Annotated[bool, typer.Option("--force", help="Start over in the folder of an earlier run.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an unfinished run stopped.")]

Device = Annotated[
    str, typer.Option("--device", help="Where networks run: cpu, cuda, or auto for a GPU if there is one.")
]
AnyScale = Annotated[
    bool,
    typer.Option("--any-scale", help="Take energies that look as if they were in other units."),
]


def console(quiet: bool) -> Console:
    """Where a command prints: stdout, or nowhere with --quiet."""
    from rich.console import Console

    return Console(quiet=quiet, highlight=False)


def check_json(path: Path | None, *inputs: Path | None) -> None:
    """Refuse a JSON file that can't or must not be written before the work starts, and not after it.

    Parameters
    ----------
    path : Path or None
        What the user gave with ``--json``.
    inputs : Path or None
        Files that the command reads: see `lhcflow.outputs.check_output`.
    """
    if path is not None:
        check_output(path, JSON, inputs, option="--json")
