"""``lhcflow bumphunt scan``: the signal region slides over the spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError
from ..options import Device, Force, Json, Quiet, Resume, Seed, check_json
from .choices import (
    Background,
    BinWidth,
    Classifier,
    Cuts,
    Density,
    Duplicates,
    Energy,
    Epochs,
    Features,
    FitRange,
    Flow,
    Folds,
    Key,
    Kind,
    Limit,
    Members,
    Parameters,
    Report,
    Resolution,
    Toys,
    names,
    numbers,
)


def scan(
    events: Annotated[Path, typer.Argument(metavar="EVENTS.h5", help="Jets or features.")],
    first: Annotated[float, typer.Option("--from", help="Low end of the first window in TeV.")] = 3.0,
    last: Annotated[float, typer.Option("--to", help="No window reaches beyond, in TeV.")] = 4.6,
    width: Annotated[float, typer.Option(help="Of a window in TeV.")] = 0.4,
    step: Annotated[
        float | None, typer.Option(help="From window to window in TeV.", show_default="half the width")
    ] = None,
    method: Annotated[
        str, typer.Option(help="One of idealized, cathode, lacathode, cwola, anode, ranode.")
    ] = "cathode",
    background: Background = None,
    features: Features = None,
    key: Key = None,
    cuts: Cuts = "0.01",
    folds: Folds = 5,
    resolution: Resolution = 0.03,
    fit_range: FitRange = None,
    bin_width: BinWidth = None,
    parameters: Parameters = None,
    toys: Toys = 1000,
    energy: Energy = 13.0,
    density: Density = Flow.coupling,
    classifier: Classifier = Kind.trees,
    members: Members = None,
    epochs: Epochs = None,
    limit: Limit = None,
    allow_duplicates: Duplicates = False,
    device: Device = "auto",
    report: Report = True,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")] = Path("runs/scan"),
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Search one window of the spectrum after the other, each with a detector of its own.

    The result is the smallest local p-value at the first working point, and what is left of it when
    all windows are counted as independent looks; windows that overlap are not, so that this is too
    careful rather than too bold. Labels are not used.

    Flows are trained once on the events that lie in no window, if these are many; each window's flow begins
    there, without having seen any window's signal.
    """
    check_json(json)
    from ...bumphunt.statistics import Settings
    from .hunting import Hunt
    from .loading import Sources, load
    from .methods import Models
    from .sliding import slide, windows_of

    if method == "supervised":
        raise InputError("a scan for unknown signals can't be supervised: choose another --method")
    places = windows_of(first, last, width, width / 2 if step is None else step)
    sources = Sources(events, background, None, names(features), key, limit, seed, allow_duplicates)
    hunt = Hunt(
        region=places[0],
        methods=[method],
        working_points=numbers(cuts, "--cuts"),
        folds=folds,
        fit_range=fit_range,
        bin_width=bin_width,
        models=Models(density.value, classifier.value, members, epochs, device),
        settings=Settings(resolution, parameters, toys, seed, energy),
        seed=seed,
    )
    samples, card = load(sources), sources.card()
    slide(
        hunt,
        places,
        samples,
        card,
        out,
        report=report,
        json=json,
        quiet=quiet,
        force=force,
        resume=resume,
    )
