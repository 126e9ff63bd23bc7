"""``lhcflow bumphunt run``: from events to p-values and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    Region,
    Report,
    Resolution,
    Toys,
    names,
    numbers,
)


def run(
    events: Annotated[Path, typer.Argument(metavar="EVENTS.h5", help="Jets or features, labelled or not.")],
    region: Region = (3.3, 3.7),
    methods: Annotated[
        str | None,
        typer.Option(
            help="Of supervised, idealized, cathode, lacathode, cwola, anode, ranode, with commas between.",
            show_default="cathode,cwola,anode; supervised with labels, idealized with --background",
        ),
    ] = None,
    background: Background = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE.h5", help="Labelled events for the SIC and ROC curves, not in EVENTS.h5."),
    ] = None,
    features: Features = None,
    key: Key = None,
    cuts: Cuts = "0.01,0.001",
    folds: Folds = 5,
    resolution: Resolution = 0.03,
    fit_range: FitRange = None,
    bin_width: BinWidth = None,
    parameters: Parameters = None,
    toys: Toys = 10_000,
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
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")] = Path(
        "runs/bumphunt"
    ),
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Train anomaly detectors, cut on their scores, fit the spectrum: p-values, limits and a report.

    EVENTS.h5 is a file of `lhcflow bumphunt simulate`, of `Events.write`, or the features file of the LHC
    Olympics. All scores come from models that did not see the event; the cuts are chosen by the share of
    background that they keep. Labels, where there are any, are used for the supervised classifier and
    for the curves, and for nothing else.
    """
    check_json(json)
    from ...bumphunt.statistics import Settings
    from .hunting import Hunt, conduct
    from .loading import Sources, load
    from .methods import Models

    sources = Sources(events, background, test, names(features), key, limit, seed, allow_duplicates)
    hunt = Hunt(
        region=region,
        methods=names(methods),
        working_points=numbers(cuts, "--cuts"),
        folds=folds,
        fit_range=fit_range,
        bin_width=bin_width,
        models=Models(density.value, classifier.value, members, epochs, device),
        settings=Settings(resolution, parameters, toys, seed, energy),
        seed=seed,
    )
    samples, card = load(sources), sources.card()
    conduct(hunt, samples, card, out, report=report, json=json, quiet=quiet, force=force, resume=resume)
