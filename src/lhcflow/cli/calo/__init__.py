"""``lhcflow calo``: one file per command."""

from __future__ import annotations

import typer

from .demo import demo
from .distill import distill
from .evaluate import evaluate
from .export import export
from .plot import plot
from .sample import sample
from .simulate import simulate
from .train import train

app = typer.Typer(help="Calorimeter showers: simulation, flows, evaluation and figures.")


@app.callback()
def calo() -> None:
    """Calorimeter showers: simulation, flows, evaluation and figures."""


app.command()(demo)
app.command()(simulate)
app.command()(train)
app.command()(sample)
app.command()(evaluate)
app.command()(plot)
app.command()(distill)
app.command()(export)
