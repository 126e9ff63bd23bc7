"""``lhcflow bumphunt simulate``: dijet events with and without a resonance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Force, Json, Quiet, Resume, Seed, check_json, console


def simulate(
    background: Annotated[int, typer.Option(min=0, help="QCD dijet events to be accepted.")] = 200_000,
    signal: Annotated[int, typer.Option(min=0, help="W' -> X Y events to be accepted.")] = 2_000,
    w_mass: Annotated[float, typer.Option(help="Mass of W' in GeV.")] = 3500.0,
    x_mass: Annotated[float, typer.Option(help="Mass of X in GeV.")] = 500.0,
    y_mass: Annotated[float, typer.Option(help="Mass of Y in GeV.")] = 100.0,
    min_pt: Annotated[float, typer.Option(help="pT of the leading jet in GeV.")] = 1200.0,
    energy: Annotated[float, typer.Option(help="Centre-of-mass energy in GeV.")] = 13_000.0,
    smear: Annotated[bool, typer.Option("--smear/--no-smear", help="Parametric detector.")] = True,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")] = None,
    block: Annotated[int, typer.Option(min=1, help="Events of one block, the unit of work.")] = 1000,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")] = Path(
        "runs/dijets"
    ),
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Simulate dijets with Pythia and FastJet: DIR/events.h5, unweighted.

    QCD dijets and W' -> X(q qbar) Y(q qbar), anti-kT jets of radius 1, N-subjettiness, and a parametric
    detector. The file has the columns of the LHC Olympics features file. The same seed gives the same
    events whatever the number of workers.
    """
    check_json(json)
    from dataclasses import asdict

    from ...bumphunt.datasets import write_jets
    from ...bumphunt.simulation import Simulation, join_blocks, run_blocks
    from ...files import write_json
    from ...runs import RunDirectory
    from ...training.progress import progress_bar

    settings = Simulation(
        background=background,
        signal=signal,
        w_mass=w_mass,
        x_mass=x_mass,
        y_mass=y_mass,
        min_pt=min_pt,
        energy=energy,
        smear=smear,
        block=block,
        seed=seed,
    )
    card = {"command": "bumphunt simulate", **asdict(settings)}
    screen = console(quiet)
    with RunDirectory(out, card, force=force, resume=resume, writes=("events.h5",)) as run:
        with progress_bar(background + signal, "events", show=not quiet) as update:
            run_blocks(settings, run.checkpoints, workers, lambda n: update(n, ""))
        jets, yields = join_blocks(settings, run.checkpoints)
        path = run.path / "events.h5"
        write_jets(path, jets, asdict(settings))
        results = {"file": path.name, "yields": {y.kind: asdict(y) for y in yields}}
        run.finish(results)
    if json:
        write_json(json, results)
    for kind in yields:
        screen.print(str(kind), markup=False)
    screen.print(f"written to {path}", markup=False)
