"""The report of ``lhcflow calo demo``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import plotting
from ...calorimeter import read_showers
from ...calorimeter.metrics import features, nearest_neighbours
from ...calorimeter.models import CaloFlow
from ...plotting import Picture, Section, Table
from ...reproduce import generation_time
from ...runs import RunDirectory
from ..report import write_report
from . import figures
from .sample import load_model

if TYPE_CHECKING:
    from ...calorimeter import Showers

_COUNTS = (1, 10, 100, 1000)


def write(
    run: RunDirectory, models: Sequence[str], steps: Sequence[tuple[str, float | None]], seed: int
) -> dict[str, Any]:
    """Write the report of a finished demo; returns the numbers of its results.

    ``models`` are the names of their folders, a teacher first.
    """
    folder = run.path
    evaluations = {name: _read(folder / f"evaluation-{name}" / "results.json") for name in models}
    floor = evaluations[models[0]]["floor"]
    samples = {"Geant4": read_showers(folder / "test.h5")}
    samples |= {name: read_showers(folder / f"{name}.h5") for name in models}
    curves = _times(folder, models, seed)
    results: dict[str, Any] = {
        "steps": [{"command": command, "seconds": seconds} for command, seconds in steps],
        "test_showers": len(samples["Geant4"]),
        "auc": {name: _aucs(e["generated"]) for name, e in evaluations.items()},
        "floor": floor and _aucs(floor),
        "times": generation_time.results(curves),
        "onnx": _read(folder / "student.json") if (folder / "student.json").is_file() else None,
    }
    sections = [
        Section("Summary", content=[_summary(results), _deployment(results)]),
        _showers({name: s.cut() for name, s in samples.items()}),
        Section("Training", content=[_history(folder)]),
        generation_time.section(curves),
        Section("What was run", [f"In the folder {folder}:"], [_steps(steps)]),
    ]
    write_report(run, "From Geant4 to ONNX", "lhcflow calo demo", sections, warnings_of(results))
    return results


def warnings_of(results: dict[str, Any]) -> list[str]:
    """What must be known before the numbers."""
    warnings = [
        "Everything here is small: the models have seen few showers for a short time, and classifiers see "
        f"little with {results['test_showers']} showers of each kind. Train on ten thousand for real use."
    ]
    if results["onnx"] is None:
        warnings.append("There is no ONNX graph: pip install 'lhcflow[onnx]'.")
    return warnings


def _aucs(comparison: dict[str, Any]) -> dict[str, Any]:
    return {level: test["auc"] for level, test in comparison["classifier"].items()}


def _summary(results: dict[str, Any]) -> Table:
    levels = {"low": "voxels", "low-normalised": "voxels over their layer's energy", "high": "features"}

    def cell(auc: dict[str, Any]) -> str:
        return f"{auc['mean']:.3f} ± {auc['error']:.3f}"

    columns = {**results["auc"], **({"Geant4 (floor)": results["floor"]} if results["floor"] else {})}
    rows = [[text, *(cell(c[level]) for c in columns.values())] for level, text in levels.items()]
    return Table(
        ["AUC of the classifier test", *columns],
        rows,
        "0.5: not told apart from Geant4. Floor: the two halves of the Geant4 showers.",
    )


def _deployment(results: dict[str, Any]) -> Table:
    times = results["times"]
    slow = times["Geant4"]["seconds"][-1] if "Geant4" in times else None
    rows = []
    for name, curve in times.items():
        each = curve["seconds"][-1] / curve["showers"][-1]
        ratio = "-" if slow is None else f"{slow / times['Geant4']['showers'][-1] / each:.3g}"
        rows.append([name, f"{curve['showers'][-1]:,}", f"{1e3 * each:.3g}", ratio])
    caption = "One thread."
    if results["onnx"] is not None:
        caption += (
            " The ONNX graph of the student differs from it by "
            f"{results['onnx']['difference']:.1e} of the incident energy."
        )
    return Table(["", "showers at once", "CPU ms per shower", "times faster than Geant4"], rows, caption)


def _showers(samples: dict[str, Showers]) -> Section:
    real, place = samples["Geant4"], samples["Geant4"].geometry
    content = [
        Picture(
            figures.average_showers(samples),
            f"Average showers. Means of {len(real)} showers.",
            form="png",
        )
    ]
    if found := nearest_neighbours(real, samples["teacher"]):
        content.append(
            Picture(
                figures.neighbours(real, samples["teacher"], found, ("Geant4", "teacher")),
                "Nearest neighbours. A Geant4 shower at each energy and the teacher's shower nearest to it.",
                form="png",
            )
        )
    tables = {name: features(s) for name, s in samples.items()}
    drawn = figures.histograms(tables.pop("Geant4"), tables, place)
    content += [
        Picture(figure, f"{title}. S: separation power; below, the ratio to Geant4.")
        for title, figure in drawn.items()
    ]
    return Section("Showers", content=content)


def _history(folder: Path) -> Picture:
    table = np.genfromtxt(folder / "teacher" / "history_voxels.csv", delimiter=",", names=True)
    table = np.atleast_1d(table)
    curves = {"training": table["loss"], "validation": table["validation"]}
    figure = plotting.training_history(curves, loss_name="negative log likelihood", step_name="epoch")
    return Picture(figure, "Training of the teacher. Flow II, the voxels.")


def _steps(steps: Sequence[tuple[str, float | None]]) -> Table:
    rows = [[command, "-" if seconds is None else f"{seconds:.0f}"] for command, seconds in steps]
    return Table(["command", "seconds"], rows, "-: done before the run was resumed.")


def _times(folder: Path, names: Sequence[str], seed: int) -> generation_time.Curves:
    models = {name: load_model(folder / name) for name in names}
    teacher = models.pop(names[0])
    assert isinstance(teacher, CaloFlow)
    curves = generation_time.measure(teacher, models, _COUNTS, naive_most=100, seed=seed)
    if (folder / "train.json").is_file():
        simulated = _read(folder / "train.json")
        each = simulated["cpu_seconds"] / simulated["showers"]
        curves = {"Geant4": (list(_COUNTS), [n * each for n in _COUNTS]), **curves}
    return curves


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
