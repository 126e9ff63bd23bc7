"""``lhcflow bumphunt``: one file per command."""

from __future__ import annotations

import typer

from .demo import demo
from .plot import plot
from .run import run
from .scan import scan
from .simulate import simulate

app = typer.Typer(help="Bump hunts: simulated events, anomaly detectors, p-values and limits.")


@app.callback()
def bumphunt() -> None:
    """Bump hunts: simulated events, anomaly detectors, p-values and limits."""


app.command()(simulate)
app.command()(run)
app.command()(scan)
app.command()(plot)
app.command()(demo)
