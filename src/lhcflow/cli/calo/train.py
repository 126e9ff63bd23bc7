"""``lhcflow calo train``: a flow from a file of showers."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import AnyScale, Device, Force, Json, Out, Quiet, Resume, Seed, check_json, console

if TYPE_CHECKING:
    from ...runs import RunDirectory
    from ...training import History

MODEL_FILE = "model.safetensors"
WRITES = (MODEL_FILE, "history_*.csv")


class Model(StrEnum):
    """The kinds of models."""

    caloflow = "caloflow"
    icaloflow = "icaloflow"
    hitflow = "hitflow"


def train(
    showers: Annotated[Path, typer.Argument(metavar="SHOWERS.h5", help="CaloGAN or CaloChallenge format.")],
    out: Out,
    model: Annotated[
        Model,
        typer.Option(
            help="caloflow: flow I and II of 2106.05285; icaloflow: layer after layer, 2305.11934, for data "
            "sets 2 and 3 of the CaloChallenge; hitflow: empty and hit cells, fitted in seconds, for "
            "CaloGAN's calorimeter."
        ),
    ] = Model.caloflow,
    epochs: Annotated[int, typer.Option(min=1, help="Passes through the showers.")] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Showers per step.")] = 200,
    learning_rate: Annotated[float, typer.Option(help="At the top of the one-cycle schedule.")] = 1e-3,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Blocks of the voxel flows.", show_default="8")
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(min=1, help="Width of their two hidden layers.", show_default="378, icaloflow 256"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Take the first so many showers only.")] = None,
    reflect: Annotated[
        bool,
        typer.Option("--reflect", help="Train on reflections of the showers too (Cartesian geometries)."),
    ] = False,
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
    """Train a model of showers; DIR/model.safetensors is what sample, distill and export take."""
    check_json(json, showers, None if geometry is None else Path(geometry))
    from ...calorimeter import read_showers
    from ...calorimeter.models import Reflections, TimeIsUp, TrainingSettings, build_model
    from ...files import content_hash, write_json
    from ...runs import RunDirectory
    from ...training.distributed import initialize

    initialize(device)
    data = read_showers(showers, geometry, limit=limit, any_scale=any_scale)
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        seconds=None if time_limit is None else 60 * time_limit,
        device=device,
        progress=not quiet,
        reflections=Reflections.of(data.geometry) if reflect else None,
    )
    width = None if hidden is None else (hidden, hidden)
    shape = {"blocks": blocks, "hidden": width}
    made = build_model(model.value, data.geometry, seed, **shape)
    card = {
        "command": "calo train",
        "showers": showers.resolve(),
        "content": content_hash(showers),
        "n": len(data),
        "geometry": data.geometry.name,
        "model": model.value,
        **shape,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "reflect": reflect,
        "seed": seed,
    }
    with RunDirectory(out, card, force=force, resume=resume, writes=WRITES) as run:
        screen = console(quiet)
        screen.print(
            f"{len(data):,} showers in {data.geometry}, {parameters(made):,} parameters", markup=False
        )
        started = time.perf_counter()
        try:
            histories = made.train_on(
                data.energy_mev, data.voxels, settings, folder=run.checkpoints, resume=run.resumed
            )
        except TimeIsUp:
            made.save(run.path / MODEL_FILE)
            screen.print(f"stopped after {time_limit:g} min with the best weights so far; --resume goes on")
            return
        made.save(run.path / MODEL_FILE)
        results = finish(run, histories, time.perf_counter() - started)
        if json:
            write_json(json, results)
        report(results, run, screen)


def parameters(model: Any) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters())


def finish(run: RunDirectory, histories: dict[str, History], seconds: float) -> dict[str, Any]:
    """Write the histories and the results of a training."""
    results: dict[str, Any] = {"model": MODEL_FILE, "seconds": seconds, "flows": {}}
    for name, history in histories.items():
        history.to_csv(run.path / f"history_{name}.csv")
        loss = history["validation"]
        best = int(loss.argmin())
        results["flows"][name] = {
            "epochs": len(history),
            "best_epoch": best + 1,
            "validation": float(loss[best]),
            "loss": float(history["loss"][best]),
        }
    run.finish(results)
    return results


def report(results: dict[str, Any], run: RunDirectory, screen: Any) -> None:
    """Print what a training reached."""
    for name, flow in results["flows"].items():
        screen.print(
            f"  {name}: validation loss {flow['validation']:.4g} in epoch {flow['best_epoch']}"
            f" of {flow['epochs']}"
        )
    screen.print(f"{run.path / MODEL_FILE}   ({results['seconds']:.0f} s)", markup=False)
