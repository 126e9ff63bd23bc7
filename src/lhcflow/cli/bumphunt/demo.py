"""``lhcflow bumphunt demo``: a small hunt with its own events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..options import Force, Json, Quiet, Resume, Seed, check_json, console

if TYPE_CHECKING:
    from ...bumphunt import Events
    from ...bumphunt.statistics.curves import Improvement
    from .loading import Samples

_REGION = (3.3, 3.7)
_CARD = {"events": "toy with known densities"}
# Enough of both that the curves are smooth, and few enough that they are scored in seconds.
_TEST_BACKGROUND, _TEST_SIGNAL = 50_000, 5_000


def demo(
    background: Annotated[int, typer.Option(min=10_000, help="Background events.")] = 150_000,
    signal: Annotated[int, typer.Option(min=0, help="Signal events among them.")] = 350,
    pythia: Annotated[
        bool,
        typer.Option(
            "--pythia/--toy",
            help="Simulate dijets with Pythia and FastJet, about 20 events per second and core.",
        ),
    ] = False,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")] = Path(
        "bumphunt-demo"
    ),
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Find a signal that the spectrum does not show, in a few minutes.

    The events are a toy that looks like the dijets of the LHC Olympics and whose densities are known, so
    that the best possible improvement is drawn beside those of the detectors. With --pythia they are
    simulated instead, which takes two hours for as many on two cores.
    """
    check_json(json)
    from ...bumphunt.statistics import Settings
    from ...files import content_hash
    from .hunting import Hunt, conduct
    from .methods import Models

    optimum = None
    if pythia:
        samples = _simulated(background, signal, seed, out, quiet, force)
        file = Path(f"{out}-events", "events.h5")
        card: dict[str, Any] = {"events": "Pythia and FastJet", "simulation": file}
        card["content"] = content_hash(file)
    else:
        samples, optimum = _toy(background, signal, seed)
        card = dict(_CARD)
    hunt = Hunt(
        region=_REGION,
        methods=None,
        working_points=[0.01, 0.001],
        folds=2,
        models=Models(members=4, epochs=12),
        settings=Settings(resolution=0.037, toys=5000, seed=seed),
        seed=seed,
    )
    conduct(
        hunt,
        samples,
        card | {"background": background, "signal": signal},
        out,
        json=json,
        quiet=quiet,
        force=force,
        resume=resume,
        command="bumphunt demo",
        optimum=optimum,
    )


def _toy(background: int, signal: int, seed: int) -> tuple[Samples, Improvement]:
    """Events, known background and test events, and the curve of the best score."""
    from ...bumphunt import Events, Toy
    from ...bumphunt.statistics.curves import improvement
    from .loading import Samples

    toy = Toy()
    events = toy.sample(background, signal, seed=4 * seed)
    known = toy.sample(background // 4, 0, seed=4 * seed + 1, region=_REGION)
    test = Events.concatenate(
        [
            toy.sample(_TEST_BACKGROUND, 0, seed=4 * seed + 2, region=_REGION),
            toy.sample(0, _TEST_SIGNAL, seed=4 * seed + 3, region=_REGION),
        ]
    )
    assert test.label is not None
    best = improvement([toy.log_ratio_without_mass(test.features, _REGION, points=40)], test.label)
    return Samples(events, known, test), best


def _simulated(background: int, signal: int, seed: int, out: Path, quiet: bool, force: bool) -> Samples:
    """Dijets, simulated in a folder of their own beside the run, where they are found again."""
    from ...bumphunt import read_events
    from .loading import Samples
    from .simulate import simulate

    folder = Path(f"{out}-events")
    file = folder / "events.h5"
    if force or not (folder / "results.json").is_file():
        simulate(
            background=background,
            signal=max(signal, 1),
            seed=seed,
            out=folder,
            quiet=quiet,
            force=force,
            resume=not force,
        )
    events = read_events(file)
    wanted = background + max(signal, 1)
    if len(events) != wanted:
        raise InputError(f"{folder} holds {len(events)} events and not {wanted}: --force to simulate again")
    console(quiet).print(f"events: {file}", markup=False)
    return Samples(_shuffled(events, seed))


def _shuffled(events: Events, seed: int) -> Events:
    import numpy as np

    return events[np.random.default_rng(seed).permutation(len(events))]
