"""``lhcflow generate``: from a process to unweighted events and a report."""

from __future__ import annotations

import shutil
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, RunError
from .dask_option import dask_client
from .generate_table import method_name, setting, table_rows
from .options import Device, Force, Json, Quiet, Resume, Seed, check_json, console
from .report import print_table, print_warnings

if TYPE_CHECKING:
    from ..processes import Cuts, EventGenerator, JetCuts
    from ..processes.comparison import Row
    from .generate_table import Comparison


class Method(StrEnum):
    """What samples the phase space."""

    flow = "flow"
    vegas = "vegas"
    auto = "auto"
    bare = "bare"


class PhaseSpace(StrEnum):
    """The map from the unit cube to momenta."""

    channels = "channels"
    poles = "poles"
    flat = "flat"


_DEFAULT_DURHAM = 0.01
EVENTS = "events.lhe.gz"
MANY = 100_000  # events, from which on the first 1,000 are made to tell how long all of them take
LEAST_SIZE = 50  # bytes of a compressed event: two jets from e+ e-, the smallest, have as many


def generate(
    process: Annotated[
        str, typer.Argument(metavar="PROCESS", help='Such as "e+ e- > j j j" or "p p > e+ ve j".')
    ],
    energy: Annotated[
        float | None,
        typer.Option(help="Centre-of-mass energy in GeV.", show_default="91.188; protons: 14000"),
    ] = None,
    cuts: Annotated[
        Path | None,
        typer.Option(metavar="CARD.toml", help="Cuts on jets and leptons by name; for protons."),
    ] = None,
    pdf: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Parton densities, for protons.", show_default="NNPDF31_nnlo_as_0118_luxqed"
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Scale for protons: m_ll, m_t, ht, ht/2 or GeV.", show_default="m_t"),
    ] = None,
    spread: Annotated[
        float | None, typer.Option(help="Relative Gaussian spread of each beam's energy.")
    ] = None,
    durham: Annotated[
        float | None, typer.Option(help=f"Durham y_cut; {_DEFAULT_DURHAM} if a cut is needed and none given.")
    ] = None,
    jade: Annotated[float | None, typer.Option(help="JADE y_cut.")] = None,
    min_mass: Annotated[
        float | None, typer.Option(help="Smallest invariant mass of two partons in GeV.")
    ] = None,
    alpha_s: Annotated[
        float | None,
        typer.Option("--alpha-s", help="Strong coupling; by default the densities' for protons."),
    ] = None,
    events: Annotated[int, typer.Option("--events", "-n", min=1, help="Unweighted events.")] = 10_000,
    method: Annotated[
        Method, typer.Option(help="Sampler of the events; the others run beside it.")
    ] = Method.flow,
    phase_space: Annotated[
        PhaseSpace, typer.Option(help="Map from the unit cube to momenta; flat is RAMBO.")
    ] = PhaseSpace.channels,
    also: Annotated[
        PhaseSpace | None, typer.Option(help="Compare the methods on this map too, without events.")
    ] = None,
    calls: Annotated[int, typer.Option(min=1000, help="Evaluations of |M|^2 for each integral.")] = 200_000,
    overweight: Annotated[
        float,
        typer.Option(min=0.0, max=0.5, help="Share of the cross section that overweight events may carry."),
    ] = 1e-3,
    compare: Annotated[
        bool, typer.Option("--compare/--alone", help="Run VEGAS and the bare phase space beside it.")
    ] = True,
    massless: Annotated[
        bool, typer.Option("--massless", help="Write c, b and leptons without their masses.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Draw the figures and write report.html.")
    ] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes that unweight.")] = 1,
    dask: Annotated[
        str | None, typer.Option(metavar="URL", help="Dask scheduler to unweight on: tcp://host:8786.")
    ] = None,
    device: Device = "cpu",
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the run.", show_default="runs/PROCESS"),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    force: Force = False,
    resume: Resume = False,
) -> None:
    """Generate unweighted events: cross section, events.lhe.gz and report.html."""
    check_json(json, cuts, Path(pdf) if pdf is not None and Path(pdf).is_file() else None)
    from ..files import write_json
    from ..processes import EventGenerator, GaussianSpread
    from ..processes.differential import ENERGY
    from ..processes.subprocesses import of_protons
    from ..runs import RunDirectory

    started = time.perf_counter()
    leptonic = {"spread": spread, "durham": durham, "jade": jade, "min-mass": min_mass}
    if of_protons(process):
        for name, value in leptonic.items():
            if value is not None:
                raise InputError(f"--{name} is for electron-positron beams; cuts for protons go into --cuts")
        limits: Cuts | JetCuts = _jet_cuts(cuts)
        beams: Any = energy
    else:
        if cuts is not None:
            raise InputError("--cuts is for protons; use --durham, --jade or --min-mass")
        limits = _cuts(process, durham, jade, min_mass)
        beams = energy
        if spread is not None:
            beams = GaussianSpread(ENERGY[0] if energy is None else energy, spread)
    methods: list[Any] = [method.value, *(m for m in ("vegas", "bare") if compare and m != method.value)]
    folder = _folder(process) if out is None else out

    def setup(phase_space: PhaseSpace) -> list[EventGenerator]:
        first = EventGenerator(
            process,
            beams,
            limits,
            phase_space.value,
            methods[0],
            seed,
            alpha_s,
            pdf=pdf,
            scale=scale,
            device=device,
        )
        return [first, *(first.with_method(m) for m in methods[1:])]

    screen = console(quiet)
    with screen.status("weights of the channels"):
        generators = setup(phase_space)
        others = [] if also is None else setup(also)
    main = generators[0]
    _check_space(folder, events, LEAST_SIZE + _block_size(main))
    card = {
        "command": "generate",
        **main.card(),
        "calls": calls,
        "events": events,
        "overweight": overweight,
        "massless": massless,
        "compare": compare,
        "also": None if also is None else also.value,
    }
    with RunDirectory(folder, card, force=force, resume=resume, writes=(EVENTS,)) as run:
        screen.print(f"[bold]{process}[/bold]: {setting(main)}", soft_wrap=True)
        rows = [_integrate(g, calls, overweight, screen, run.checkpoints) for g in generators]
        if also is not None:
            screen.print(f"{also.value} phase space")
        other_rows = [_integrate(g, calls, overweight, screen, run.checkpoints) for g in others]
        if events >= MANY:
            _estimate(main, events, overweight, workers, run.path, screen)
        lhe = run.path / EVENTS
        with dask_client(dask) as client:
            options = {"workers": workers, "client": client, "folder": run.checkpoints}
            said = _write(main, lhe, events, overweight, not massless, quiet, options)
        comparisons = [(phase_space.value, generators, rows)]
        if also is not None:
            comparisons.append((also.value, others, other_rows))
        results: dict[str, Any] = {
            "process": process,
            "cross_section": {"mean": rows[0].cross_section, "sdev": rows[0].error, "unit": "pb"},
            "events": {"file": lhe.name, "n": events, "overweight": overweight},
            "phase_spaces": {name: compared for name, _, compared in comparisons},
            "warnings": [
                f"{row.method}, {name} phase space: {text}"
                for name, _, compared in comparisons
                for row in compared
                for text in row.warnings
            ]
            + said,
            "iterations": {g.method: g.result.to_dict()["iterations"] for g in generators},
        }
        if report:
            with screen.status("drawing the report"):
                from .generate_report import report_events

                report_events(run, comparisons, results["warnings"], lhe)
        results["seconds"] = time.perf_counter() - started
        run.finish(results)
        for block in run.checkpoints.glob("block-*.npz"):
            block.unlink(missing_ok=True)
    if json:
        write_json(json, results)
    _show(comparisons, results, run.path, screen, report)


def _write(
    generator: EventGenerator,
    path: Path,
    events: int,
    overweight: float,
    masses: bool,
    quiet: bool,
    options: dict[str, Any],
) -> list[str]:
    """Write the events, with a bar or lines that say how far they are; what there is to say about them."""
    import warnings

    from ..training.progress import progress_bar

    with (
        progress_bar(events, "events", show=not quiet) as update,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        generator.write_lhe(
            path, events, overweight, lambda done, n: update(done, ""), masses=masses, **options
        )
    return [str(w.message) for w in caught if w.category is RuntimeWarning]


def _block_size(generator: EventGenerator) -> int:
    """Bytes of an event in the blocks that a run keeps until it is done: its point and its weight."""
    return 8 * (generator.cross_section.dim + 1)


def _estimate(
    generator: EventGenerator, events: int, overweight: float, workers: int, folder: Path, screen: Any
) -> None:
    """Say how long so many events take and how large they are; refuse them if the disk is too small."""
    with screen.status("the first 1,000 events"):
        seconds, size = generator.estimate(events, overweight)
    time_left = f"{seconds / 3600:.3g} h" if seconds > 3600 else f"{max(seconds, 1):.0f} s"
    shared = f" in one process, {workers} share the most of it" if workers > 1 else ""
    screen.print(
        f"  {events:,} events: some {time_left}{shared}, {size / 1e9:.2g} GB", style="dim", soft_wrap=True
    )
    _check_space(folder, events, size / events + _block_size(generator))


def _check_space(folder: Path, events: int, size: float) -> None:
    """Refuse more events than the disk has room for, at `size` bytes for each."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free, needed = shutil.disk_usage(there).free, events * size
    if needed > free:
        raise RunError(
            f"{events:,} events need {needed / 1e9:.3g} GB or more, {free / 1e9:.3g} GB are free at {there}: "
            "ask for fewer events or give --out on another disk"
        )


def _cuts(process: str, durham: float | None, jade: float | None, min_mass: float | None) -> Cuts:
    """The cuts that were asked for, or the default one for a process that would diverge."""
    from ..processes import Cuts, Process

    if durham is jade is min_mass is None and Process(process).n_final > 2:
        durham = _DEFAULT_DURHAM
    return Cuts(durham=durham, jade=jade, min_mass=min_mass)


def _jet_cuts(path: Path | None) -> JetCuts:
    from ..processes import JetCuts

    return JetCuts() if path is None else JetCuts.from_file(path)


def _folder(process: str) -> Path:
    """runs/ee_jjj for e+ e- > j j j: letters only, so that it needs no quotes in a shell."""
    before, _, after = process.partition(">")
    sides = ("".join(c for c in side.replace("~", "x") if c.isalnum()) for side in (before, after))
    return Path("runs") / "_".join(sides)


def _integrate(generator: EventGenerator, calls: int, overweight: float, screen: Any, folder: Path) -> Row:
    """Integrate with one method and print a line about it; or take over what an interrupted run had kept."""
    import json
    from dataclasses import asdict

    from ..files import write_json
    from ..processes.comparison import Row, summarise

    name = method_name(generator)
    stem = f"{generator.card()['phase_space']}-{generator.method}"
    result_file, row_file = folder / f"{stem}.json", folder / f"{stem}.row.json"
    if row_file.is_file():
        generator.load(result_file)
        saved = json.loads(row_file.read_text())
        row = Row(**{**saved, "warnings": tuple(saved["warnings"])})
    else:
        start = time.perf_counter()
        inside = folder / f"{stem}.integral"
        generator.integrate(calls, quiet=screen.quiet, checkpoint=inside, resume=True)
        seconds = time.perf_counter() - start + generator.setup_seconds
        with screen.status(f"{name}: unweighting"):
            row = summarise(generator, seconds, overweight=overweight)
        generator.save(result_file)
        write_json(row_file, asdict(row))
        shutil.rmtree(inside, ignore_errors=True)
    screen.print(
        f"  {name}: {row.cross_section:.6g} +- {row.error:.2g} pb in {row.seconds:.1f} s", style="dim"
    )
    return row


def _show(
    comparisons: list[Comparison], results: dict[str, Any], folder: Path, screen: Any, report: bool
) -> None:
    for name, generators, rows in comparisons:
        screen.print(f"\n{name} phase space", style="bold")
        print_table(screen, *table_rows(generators, rows))
    print_warnings(screen, results["warnings"])
    file = folder / results["events"]["file"]
    screen.print(f"\n{results['events']['n']:,} unweighted events: {file}", soft_wrap=True)
    told = f"report: {folder / 'report.html'}" if report else f"results: {folder / 'results.json'}"
    screen.print(f"{told}   ({results['seconds']:.0f} s in all)", soft_wrap=True)
