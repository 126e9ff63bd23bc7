"""The options that the commands of the bump hunt share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError


class Flow(StrEnum):
    """Kinds of flows."""

    coupling = "coupling"
    maf = "maf"


class Kind(StrEnum):
    """Kinds of classifiers."""

    trees = "trees"
    networks = "networks"


class Format(StrEnum):
    """Formats of figures."""

    pdf = "pdf"
    png = "png"
    svg = "svg"


Region = Annotated[
    tuple[float, float], typer.Option("--region", metavar="LOW HIGH", help="Signal region in TeV.")
]
Features = Annotated[
    str | None,
    typer.Option(help="Features with commas between.", show_default="mJ1,dmJ,tau21J1,tau21J2, or the file's"),
]
Key = Annotated[str | None, typer.Option(help="Name of the data frame, if the file has several.")]
Background = Annotated[
    Path | None,
    typer.Option(metavar="FILE.h5", help="Known background for the idealized detector, not in EVENTS.h5."),
]
Cuts = Annotated[
    str,
    typer.Option(help="Working points: background efficiencies. The first one is the result."),
]
Folds = Annotated[int, typer.Option(min=2, help="Of the cross-fitting.")]
Resolution = Annotated[float, typer.Option(help="Relative width of a peak.")]
FitRange = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Range of the fit in TeV.", show_default="from behind the turn-on"),
]
BinWidth = Annotated[
    float | None, typer.Option(help="In TeV.", show_default="a quarter of the signal region")
]
Parameters = Annotated[
    int | None, typer.Option(min=2, max=6, help="Of the dijet function.", show_default="F-test, 3 to 5")
]
Toys = Annotated[int, typer.Option(min=0, help="Refitted toys for global p-values; 0: none.")]
Energy = Annotated[float, typer.Option(help="Centre-of-mass energy in TeV.")]
Density = Annotated[
    Flow, typer.Option(help="Flow of the background; maf is that of 2109.00546, and much slower.")
]
Classifier = Annotated[Kind, typer.Option(help="Of the methods that classify.")]
Members = Annotated[
    int | None, typer.Option(min=1, help="Classifiers in an ensemble.", show_default="the ensemble's")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of the flows.", show_default="the method's")]
Limit = Annotated[int | None, typer.Option(min=1, help="Take so many events only, chosen at random.")]

Report = Annotated[bool, typer.Option("--report/--no-report", help="Draw the figures and write report.html.")]
Duplicates = Annotated[
    bool, typer.Option("--allow-duplicates", help="Take events that repeat others exactly all the same.")
]


def numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between."""
    try:
        values = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        values = []
    if not values:
        raise InputError(f"{option} needs numbers with commas between, got {text!r}")
    return values


def names(text: str | None) -> list[str] | None:
    """Names with commas between."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
