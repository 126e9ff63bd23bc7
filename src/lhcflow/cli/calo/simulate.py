"""``lhcflow calo simulate``: Geant4 showers in the CaloGAN calorimeter."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..options import Force, Json, Quiet, Resume, Seed, check_json, console


class Physics(StrEnum):
    """What Geant4 runs."""

    auto = "auto"
    FTFP_BERT = "FTFP_BERT"
    data_free = "data-free"


def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.h5", help="File of the showers.")],
    particle: Annotated[str, typer.Option(help="e+, e-, gamma, pi+ or pi-.")] = "e+",
    showers: Annotated[int, typer.Option("--showers", "-n", min=1, help="Number of showers.")] = 1000,
    energy: Annotated[
        tuple[float, float], typer.Option(help="Lower and upper limit of the incident energy, GeV.")
    ] = (1.0, 100.0),
    physics: Annotated[
        Physics, typer.Option(help="FTFP_BERT needs Geant4's data sets; auto takes it where they are.")
    ] = Physics.auto,
    cut: Annotated[float, typer.Option(help="Production cut, mm.")] = 0.7,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")] = None,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Simulate showers with Geant4 in the CaloGAN calorimeter, on all cores."""
    check_json(json, out)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ...calorimeter.geant4 import simulate
    from ...files import write_json
    from ...outputs import HDF5, check_output

    check_output(out, HDF5, force=force)

    screen = console(quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(f"{particle} showers", total=showers)
        done = simulate(
            particle,
            showers,
            out,
            energy=energy,
            seed=seed,
            cut=cut,
            physics=physics.value,
            workers=workers,
            resume=resume,
            force=force,
            progress=lambda n: bar.update(task, completed=n),
        )
    screen.print(f"{done}\nwritten to {out}", markup=False)
    if json:
        write_json(json, {"file": os.fspath(out), "particle": particle, "seed": seed, **vars(done)})
