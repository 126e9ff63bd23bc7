"""``lhcflow bumphunt``: one file per command."""

from __future__ import annotations

import typer

from .simulate import simulate

app = typer.Typer(help="Bump hunts: simulated events.")


@app.callback()
def bumphunt() -> None:
    """Bump hunts: simulated events."""


app.command()(simulate)
