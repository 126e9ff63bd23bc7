"""``lhcflow calo``: one file per command."""

from __future__ import annotations

import typer

from .simulate import simulate

app = typer.Typer(help="Calorimeter showers: evaluate them and draw them.")


@app.callback()
def calo() -> None:
    """Calorimeter showers: simulation, flows, evaluation and figures."""


app.command()(simulate)
