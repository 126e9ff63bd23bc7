"""``lhcflow calo demo``: the whole chain from Geant4 to ONNX, small, with a report."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..options import Force, Json, Quiet, Resume, Seed, check_json, console
from .distill import distill
from .evaluate import evaluate
from .export import Format, export
from .sample import sample
from .simulate import simulate
from .train import Model, train

if TYPE_CHECKING:
    from rich.console import Console

    from ...runs import RunDirectory

_MODELS = ("teacher", "student", "hitflow")
_SHARE = 0.7  # of the showers that train
_ENERGY = (1.0, 30.0)  # GeV: a third of the time of showers up to 100 GeV


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of everything.")] = Path(
        "runs/calo-demo"
    ),
    real: Annotated[
        Path | None,
        typer.Option(metavar="FILE.h5", help="Take Geant4 showers from this file and do not simulate."),
    ] = None,
    particle: Annotated[str, typer.Option(help="e+, e-, gamma, pi+ or pi-.")] = "e+",
    showers: Annotated[int, typer.Option("--showers", "-n", min=150, help="Geant4 showers.")] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help="Of teacher, student and HitFlow's energies.")] = 30,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Simulate, train, distill, sample, evaluate, plot and export: all of it small, in some minutes."""
    check_json(json, real)
    from ...files import content_hash
    from ...runs import RunDirectory

    for made in ("train.h5", "test.h5", *(f"{name}.h5" for name in _MODELS)):
        if real is not None and real.resolve() == (out / made).resolve():
            raise InputError(f"--real {real} would be replaced by the demo's {made}: give another folder")
    card = {
        "command": "calo demo",
        "real": None if real is None else real.resolve(),
        "content": None if real is None else content_hash(real),
        "particle": particle if real is None else None,
        "showers": showers,
        "epochs": epochs,
        "seed": seed,
    }
    with RunDirectory(out, card, force=force, resume=resume) as run:
        _make(run, real, particle, showers, epochs, seed, json, quiet, force, resume)


def _make(
    run: RunDirectory,
    real: Path | None,
    particle: str,
    showers: int,
    epochs: int,
    seed: int,
    json: Path | None,
    quiet: bool,
    force: bool,
    resume: bool,
) -> None:
    """All steps of the demo, and its report."""
    from ...files import write_json
    from .demo_report import warnings_of, write

    steps = Steps(console(quiet), resumed=run.resumed)
    steps.screen.print(f"The same can be done in {run.path} by hand:", markup=False)
    training, test = run.path / "train.h5", run.path / "test.h5"
    number = round(_SHARE * showers)
    if real is None:
        for file, n, s in ((training, number, seed), (test, showers - number, seed + 1)):
            steps.do(
                f"simulate --particle {particle} --showers {n} --energy {_ENERGY[0]:g} {_ENERGY[1]:g} "
                f"--seed {s} --out {file.name}",
                file,
                lambda file=file, n=n, s=s: simulate(
                    file,
                    particle,
                    n,
                    energy=_ENERGY,
                    seed=s,
                    force=force,
                    resume=not force,
                    quiet=quiet,
                    json=file.with_suffix(".json"),
                ),
            )
    elif not (run.resumed and test.is_file()):
        _split(real, training, test, showers, number)
    common: dict[str, Any] = {"epochs": epochs, "seed": seed, "quiet": quiet, "force": force}
    shape = f"--learning-rate 2e-3 --batch-size 50 --seed {seed}"
    again = {**common, "batch_size": 50, "learning_rate": 2e-3, "resume": not force}
    teacher, student, hitflow = (run.path / name for name in _MODELS)
    steps.do(
        f"train train.h5 --blocks 4 --hidden 64 --epochs {epochs} {shape} --out teacher",
        teacher / "results.json",
        lambda: train(training, teacher, blocks=4, hidden=64, **again),
    )
    steps.do(
        f"distill teacher train.h5 --epochs {epochs} {shape} --out student",
        student / "results.json",
        lambda: distill(teacher, training, student, **again),
    )
    steps.do(
        f"train train.h5 --model hitflow --epochs {epochs} {shape} --out hitflow",
        hitflow / "results.json",
        lambda: train(training, hitflow, model=Model.hitflow, **again),
    )
    for name in _MODELS:
        made = run.path / f"{name}.h5"
        steps.do(
            f"sample {name} --like test.h5 --seed {seed} --out {made.name}",
            made,
            lambda name=name, made=made: sample(run.path / name, made, like=test, seed=seed, quiet=quiet),
        )
        steps.do(
            f"evaluate test.h5 {made.name} --epochs {epochs} --repeats 2 --seed {seed} "
            f"--out evaluation-{name}",
            run.path / f"evaluation-{name}" / "results.json",
            lambda name=name, made=made: evaluate(
                test, made, run.path / f"evaluation-{name}", repeats=2, **{**common, "force": True}
            ),
        )
    onnx = run.path / "student.onnx"
    steps.do("export student --out student.onnx", onnx, lambda: _export_onnx(student, onnx, quiet))
    steps.do(
        "export teacher --format cpp --out cpp",
        run.path / "cpp" / "model.lhcflow",
        lambda: export(teacher, run.path / "cpp", Format.cpp, quiet=quiet),
    )
    results = write(run, _MODELS, steps.table, seed)
    run.finish(results)
    if json:
        write_json(json, results)
    for warning in warnings_of(results):
        steps.screen.print(f"WARNING {warning}", style="yellow", markup=False)
    steps.screen.print(f"report: {run.report_file}", markup=False)


class Steps:
    """Runs steps one after the other, shows each as the command that does the same, and measures them.

    Attributes
    ----------
    table : list of (str, float or None)
        Command and seconds of each step; None for one that was done before a resumption.
    """

    def __init__(self, screen: Console, resumed: bool) -> None:
        self.screen, self.resumed = screen, resumed
        self.table: list[tuple[str, float | None]] = []

    def do(self, command: str, result: Path, work: Callable[[], Any]) -> None:
        """Run ``work`` unless a resumed run has its ``result``."""
        text = f"lhcflow calo {command}"
        if self.resumed and result.is_file():
            self.table.append((text, None))
            return
        self.screen.print(text, style="bold", markup=False)
        start = time.perf_counter()
        work()
        self.table.append((text, time.perf_counter() - start))


def _split(real: Path, training: Path, test: Path, showers: int, number: int) -> None:
    """The first showers of a file, as two files."""
    from ...calorimeter import read_showers, write_showers

    sample_ = read_showers(real, limit=showers)
    if sample_.geometry.name != "calogan":
        raise InputError(f"the demo takes showers in the CaloGAN geometry, {real} is in {sample_.geometry}")
    if len(sample_) < showers:
        raise InputError(f"{real} holds {len(sample_)} showers: give --showers {len(sample_)} or less")
    write_showers(training, sample_[:number])
    write_showers(test, sample_[number:])


def _export_onnx(student: Path, file: Path, quiet: bool) -> None:
    """An ONNX graph where its packages are; the report says if there is none."""
    from importlib.util import find_spec

    if find_spec("onnx") and find_spec("onnxruntime"):
        export(student, file, quiet=quiet, json=file.with_suffix(".json"))
