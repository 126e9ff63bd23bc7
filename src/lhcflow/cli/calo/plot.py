"""``lhcflow calo plot``: the published figures of showers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError
from ..options import AnyScale, Quiet, Seed, console

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...calorimeter import Showers


class What(StrEnum):
    """Kinds of figures."""

    average = "average"
    features = "features"
    neighbours = "neighbours"
    auc = "auc"
    time = "time"


class Format(StrEnum):
    """Formats of the figures."""

    pdf = "pdf"
    png = "png"
    svg = "svg"


def plot(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES.h5", help="Geant4 showers first, then generated ones.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the figures.")],
    what: Annotated[
        list[What] | None,
        typer.Option(
            "--what",
            help="Can be given more than once. auc: against the number of showers; time: from --times.",
            show_default="average, features, neighbours",
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Name of each file, in order.", show_default="the files' names")
    ] = None,
    times: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help='Generation times: {"name": {"showers": [...], "seconds": [...]}}.'
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Of the figures.")] = Format.pdf,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, help="Voxels below so many MeV are empty.", show_default="the geometry's"),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings for each point of --what auc.")] = 3,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many showers only.")] = None,
    geometry: Annotated[
        str | None, typer.Option(help="Name or XML file, where the file does not tell.")
    ] = None,
    any_scale: AnyScale = False,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Draw average showers, histograms of features, nearest neighbours, and more."""
    from ... import plotting
    from ...calorimeter import read_showers
    from ...files import new_folder

    wanted = what or [What.average, What.features, What.neighbours]
    names = label or [file.stem for file in files]
    if len(names) != len(files) or len({*names}) != len(names):
        raise InputError(f"{len(files)} files need as many different names: give --label for each")
    if What.time in wanted and times is None:
        raise InputError("--what time needs --times FILE.json")
    samples: dict[str, Showers] = {}
    for name, file in zip(names, files, strict=True):
        samples[name] = read_showers(file, geometry, limit=limit, any_scale=any_scale).cut(threshold)
        if samples[name].geometry != samples[names[0]].geometry:
            raise InputError(f"{file} is in {samples[name].geometry}, {files[0]} is not")
    screen = console(quiet)
    with new_folder(out), screen.status("drawing"):
        for name, figure in _figures(samples, wanted, times, repeats, seed).items():
            path = out / f"{name}.{form.value}"
            plotting.save(figure, path)
            screen.print(str(path), markup=False)


def _figures(
    samples: dict[str, Showers], wanted: list[What], times: Path | None, repeats: int, seed: int
) -> dict[str, Figure]:
    """The figures by the names of their files."""
    from ...calorimeter.metrics import features, nearest_neighbours
    from . import figures

    names = [*samples]
    first = samples[names[0]]
    made: dict[str, Figure] = {}
    if What.average in wanted:
        made["average"] = figures.average_showers(samples)
    if What.features in wanted:
        tables = {name: features(s) for name, s in samples.items()}
        real = tables.pop(names[0])
        for title, figure in figures.histograms(real, tables, first.geometry, names[0]).items():
            made[title.lower().replace(" ", "_")] = figure
    if What.neighbours in wanted:
        for name in names[1:]:
            found = nearest_neighbours(first, samples[name])
            if not found:
                raise InputError(f"{names[0]} has no showers near 5, 10, 20, 50 or 95 GeV: no neighbours")
            pair = (names[0], name)
            file = "neighbours" if len(names) == 2 else f"neighbours_{name.replace('/', '_')}"
            made[file] = figures.neighbours(first, samples[name], found, pair)
    if What.auc in wanted:
        if len(names) < 2:
            raise InputError("--what auc needs a Geant4 file and a generated one")
        made["auc"] = _auc(samples, repeats, seed)
    if What.time in wanted and times is not None:
        made["time"] = _time(times)
    return made


def _auc(samples: dict[str, Showers], repeats: int, seed: int) -> Figure:
    """AUC of the voxels against the number of showers, and that of Geant4's two halves."""
    import dataclasses

    import numpy as np

    from ... import plotting
    from ...calorimeter.metrics import classifier_inputs
    from ...classifiers import CALOCHALLENGE, CALOFLOW, classifier_test
    from ...classifiers.classifier_test import error_of

    names = [*samples]
    real = samples[names[0]]
    recipe = CALOFLOW if real.geometry.format == "calogan" else CALOCHALLENGE
    recipe = dataclasses.replace(recipe, patience=10)
    half = len(real) // 2
    pairs = {name: (real, samples[name]) for name in names[1:]}
    pairs["Geant4 against Geant4"] = (real[:half], real[half:])
    curves = {}
    for name, pair in pairs.items():
        most = min(len(s) for s in pair)
        if most < 100:
            raise InputError(f"--what auc needs 100 showers in each sample, {name} has {most}")
        numbers = np.unique(np.geomspace(max(most / 16, 50), most, 5).astype(int))
        tests = [
            classifier_test(
                classifier_inputs(pair[0][:n], "low", recipe.name),
                classifier_inputs(pair[1][:n], "low", recipe.name),
                recipe,
                repeats=repeats,
                seed=seed,
            )
            for n in numbers
        ]
        errors = [error_of(t.auc, t.auc_error) for t in tests]
        curves[name] = (numbers, [t.auc.mean() for t in tests], errors)
    return plotting.auc_against_events(curves)


def _time(path: Path) -> Figure:
    import json

    from ... import plotting

    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        curves = {str(name): (row["showers"], row["seconds"]) for name, row in table.items()}
        if any(len(a) != len(b) or not a for a, b in curves.values()):
            raise ValueError
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f'{path} needs {{"name": {{"showers": [...], "seconds": [...]}}, ...}}, lists of one length'
        ) from None
    return plotting.generation_time(curves)
