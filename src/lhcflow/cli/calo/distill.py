"""``lhcflow calo distill``: a student that samples in one pass, from a trained CaloFlow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..options import AnyScale, Device, Force, Json, Out, Quiet, Resume, Seed, check_json, console
from .sample import load_model
from .train import MODEL_FILE, WRITES, finish, parameters


def distill(
    teacher: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training, or model file.")],
    showers: Annotated[Path, typer.Argument(metavar="SHOWERS.h5", help="Where the student follows it.")],
    out: Out,
    epochs: Annotated[int, typer.Option(min=1, help="Passes through the showers.")] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Showers per step.")] = 200,
    learning_rate: Annotated[float, typer.Option(help="At the top of the one-cycle schedule.")] = 1e-3,
    hidden: Annotated[
        int | None, typer.Option(min=1, help="Width of the two hidden layers.", show_default="the teacher's")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Take the first so many showers only.")] = None,
    geometry: Annotated[
        str | None, typer.Option(help="Name or XML file, where the file does not tell.")
    ] = None,
    any_scale: AnyScale = False,
    time_limit: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Stop after so long; --resume goes on.")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Distil a teacher (MAF) into a student (IAF), and watch KL(student || teacher)."""
    check_json(json, teacher, teacher / MODEL_FILE, showers)
    from ...calorimeter import read_showers
    from ...calorimeter.models import CaloFlow, TimeIsUp, TrainingSettings, new_student
    from ...calorimeter.models import distill as train_student
    from ...calorimeter.models.catalogue import layer_sizes
    from ...errors import InputError
    from ...files import content_hash, write_json
    from ...runs import RunDirectory
    from ...training.distributed import initialize

    if out.resolve() == (teacher if teacher.is_dir() else teacher.parent).resolve():
        raise InputError(f"--out {out} holds the teacher, which would be replaced: give another folder")
    model = load_model(teacher)
    if not isinstance(model, CaloFlow):
        raise InputError(f"{teacher} holds a {type(model).__name__}: only a CaloFlow can be distilled")
    initialize(device)
    data = read_showers(showers, geometry, limit=limit, any_scale=any_scale)
    if layer_sizes(data.geometry) != model.layers.sizes:
        raise InputError(f"{showers} is in {data.geometry}, which is not the teacher's geometry")
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        seconds=None if time_limit is None else 60 * time_limit,
        device=device,
        progress=not quiet,
    )
    width = None if hidden is None else (hidden, hidden)
    student = new_student(model, width, seed)
    card = {
        "command": "calo distill",
        "teacher": teacher.resolve(),
        "teacher_content": content_hash(teacher / MODEL_FILE if teacher.is_dir() else teacher),
        "showers": showers.resolve(),
        "content": content_hash(showers),
        "n": len(data),
        "hidden": width,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    with RunDirectory(out, card, force=force, resume=resume, writes=WRITES) as run:
        screen = console(quiet)
        screen.print(f"{len(data):,} showers, {parameters(student):,} parameters", markup=False)
        started = time.perf_counter()
        try:
            _, history = train_student(
                model,
                data.energy_mev,
                data.voxels,
                settings,
                folder=run.checkpoints,
                resume=run.resumed,
                student=student,
            )
        except TimeIsUp:
            student.save(run.path / MODEL_FILE)
            screen.print(f"stopped after {time_limit:g} min with the best weights so far; --resume goes on")
            return
        student.save(run.path / MODEL_FILE)
        results = finish(run, {"student": history}, time.perf_counter() - started)
        if json:
            write_json(json, results)
        best = results["flows"]["student"]
        screen.print(f"  KL(student || teacher) {best['validation']:.4g} nats in epoch {best['best_epoch']}")
        screen.print(f"{run.path / MODEL_FILE}   ({results['seconds']:.0f} s)", markup=False)
