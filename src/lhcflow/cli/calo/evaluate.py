"""``lhcflow calo evaluate``: generated against real showers."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..options import AnyScale, Device, Force, Json, Out, Quiet, Seed, check_json, console

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...calorimeter import Showers
    from ...classifiers import Recipe, Reweighting


class Protocol(StrEnum):
    """The published classifier tests."""

    auto = "auto"
    caloflow = "caloflow"
    calochallenge = "calochallenge"


def evaluate(
    real: Annotated[Path, typer.Argument(metavar="REAL.h5", help="Geant4 showers.")],
    generated: Annotated[Path, typer.Argument(metavar="GENERATED.h5", help="Showers of a generator.")],
    out: Out,
    floor: Annotated[
        Path | None,
        typer.Option(
            metavar="REAL2.h5",
            help="Second, independent Geant4 sample for the floor; else the halves of the first.",
        ),
    ] = None,
    no_floor: Annotated[bool, typer.Option("--no-floor", help="Do not compare Geant4 with Geant4.")] = False,
    protocol: Annotated[
        Protocol, typer.Option(help="Recipe of the classifier; auto: that of the file format.")
    ] = Protocol.auto,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each classifier.")] = 3,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each training.", show_default="the recipe's")
    ] = None,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many epochs without a better one; 0: never.")
    ] = 10,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, help="Voxels below so many MeV are empty.", show_default="the geometry's"),
    ] = None,
    reweight: Annotated[
        bool, typer.Option("--reweight", help="Weights for the generated showers, in weights.npz.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=40, help="Take the first so many showers only.")] = None,
    geometry: Annotated[
        str | None, typer.Option(help="Name or XML file, where the file does not tell.")
    ] = None,
    any_scale: AnyScale = False,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Compare generated with Geant4 showers: classifier tests, FPD, KPD, PRDC, separation powers."""
    check_json(json, real, generated, floor)
    if floor is not None and no_floor:
        raise InputError("--floor and --no-floor contradict each other: give one of them")
    from ...calorimeter import read_showers
    from ...calorimeter.metrics import evaluate as run_all
    from ...files import content_hash, write_json
    from ...runs import RunDirectory
    from ...training.distributed import initialize
    from ..report import print_table, print_warnings, write_report
    from .evaluate_report import sections_of, summary_tables, warnings_of

    initialize(device)
    how: dict[str, Any] = {"limit": limit, "any_scale": any_scale}
    first = read_showers(real, geometry, **how)
    second = read_showers(generated, geometry or first.geometry, **how)
    third = None if floor is None else read_showers(floor, geometry or first.geometry, **how)
    recipe = _recipe(protocol, first, epochs, patience)
    card = {
        "command": "calo evaluate",
        "real": real.resolve(),
        "generated": generated.resolve(),
        "floor": None if floor is None else floor.resolve(),
        "content": [content_hash(file) for file in (real, generated, floor) if file is not None],
        "no_floor": no_floor,
        "showers": [len(first), len(second)],
        "geometry": first.geometry.name,
        "recipe": dataclasses.asdict(recipe),
        "repeats": repeats,
        "threshold": threshold,
        "reweight": reweight,
        "seed": seed,
    }
    screen = console(quiet)
    with (
        RunDirectory(out, card, force=force, writes=("weights.npz",)) as run,
        screen.status("reading") as status,
    ):
        evaluation = run_all(
            first,
            second,
            recipe,
            other_real=third,
            floor=not no_floor,
            repeats=repeats,
            threshold=threshold,
            seed=seed,
            device=device,
            say=status.update,
        )
        weights = None
        results: dict[str, Any] = {"geometry": first.geometry.name, **evaluation.to_dict()}
        if reweight:
            status.update("reweighting")
            weights = _reweight(first, second, evaluation.threshold, recipe, seed, device)
            results["reweighting"] = weights.to_dict()
            _save_weights(run.path / "weights.npz", weights.weights)
        status.update("report")
        warnings = warnings_of(first, second, evaluation)
        names = (real.stem, generated.stem)
        sections = sections_of(first, second, evaluation, weights, names)
        subtitle = f"{generated} against {real}, {first.geometry}"
        write_report(run, "Evaluation of showers", subtitle, sections, warnings)
    results["warnings"] = warnings
    run.finish(results)
    if json:
        write_json(json, results)
    for table in summary_tables(evaluation):
        print_table(screen, table.header, table.rows)
        screen.print()
    if weights is not None:
        share = f"{weights.effective_sample_size:,.0f} of {len(weights.weights):,}"
        screen.print(f"reweighting: effective sample size {share}", markup=False)
    print_warnings(screen, warnings)
    screen.print(f"report: {run.report_file}", markup=False)


def _recipe(protocol: Protocol, real: Showers, epochs: int | None, patience: int) -> Recipe:
    from ...classifiers import CALOCHALLENGE, CALOFLOW

    known = {"caloflow": CALOFLOW, "calochallenge": CALOCHALLENGE}
    name = protocol.value
    if protocol is Protocol.auto:
        name = "caloflow" if real.geometry.format == "calogan" else "calochallenge"
    recipe = dataclasses.replace(known[name], patience=patience or None)
    return recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)


def _reweight(
    real: Showers, generated: Showers, threshold: float, recipe: Recipe, seed: int, device: str
) -> Reweighting:
    from ...calorimeter.metrics import classifier_inputs
    from ...classifiers import reweight

    pair = [classifier_inputs(s.cut(threshold), "low", recipe.name) for s in (real, generated)]
    return reweight(pair[0], pair[1], recipe, seed=seed, device=device)


def _save_weights(path: Path, weights: NDArray[np.float64]) -> None:
    import numpy as np

    from ...files import atomic_write

    with atomic_write(path, "wb") as file:
        np.savez(file, weights=weights)
