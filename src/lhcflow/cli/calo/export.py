"""``lhcflow calo export``: shower models for the experiments' software."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import InputError
from ..options import Json, Quiet, check_json, console
from .sample import load_model
from .train import MODEL_FILE


class Format(StrEnum):
    """What to write."""

    onnx = "onnx"
    cpp = "cpp"


class Names(StrEnum):
    """How the inputs of an ONNX graph are called."""

    lhcflow = "lhcflow"
    fastcalosim = "fastcalosim"


class Precision(StrEnum):
    """What an ONNX graph computes in."""

    auto = "auto"
    single = "single"
    double = "double"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training, or its model file.")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="The .onnx file, or a folder for C++.")],
    format: Annotated[
        Format, typer.Option(help="onnx for students and HitFlows, cpp for teachers too.")
    ] = Format.onnx,
    names: Annotated[Names, typer.Option(help="Names of the graph's inputs.")] = Names.lhcflow,
    precision: Annotated[
        Precision,
        typer.Option(help="Of the graph's arithmetic; auto: double where single differs from the model."),
    ] = Precision.auto,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Export a model as one ONNX graph, or for the C++ header."""
    check_json(json, run, run / MODEL_FILE, out)
    from ...calorimeter.export import OUTPUT, export_cpp, export_onnx, input_names
    from ...calorimeter.models import CaloFlow, HitFlow
    from ...files import write_json
    from ...outputs import ONNX, check_output

    if format == Format.onnx:
        check_output(out, ONNX, (run, run / MODEL_FILE))
    elif out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file: give a folder for the C++ files")
    model = load_model(run)
    known = (CaloFlow, HitFlow) if format == Format.onnx else CaloFlow
    if not isinstance(model, known):
        raise InputError(f"{run} holds a {type(model).__name__}, which can't be exported as {format.value}")
    screen = console(quiet)
    results: dict[str, Any] = {"format": format.value}
    if format == Format.onnx:
        difference, chosen = export_onnx(model, out, names.value, precision.value)
        results |= {"files": [str(out)], "difference": difference, "precision": chosen}
        inputs = ", ".join(input_names(names.value, 4 if isinstance(model, HitFlow) else 3))
        screen.print(f"{out}: {inputs} -> {OUTPUT}", markup=False)
        screen.print(
            f"{chosen} precision, differs from the model by {difference:.1e} of the incident energy",
            markup=False,
        )
    else:
        results["files"] = [str(path) for path in export_cpp(model, out)]
        screen.print(f"written: {', '.join(results['files'])}", markup=False)
    if json:
        write_json(json, results)
