"""One hunt in a run directory: training, cuts, fits, results and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...bumphunt.statistics import Settings
from ..options import console
from .checking import check_masses, check_methods, left_out, window_edges
from .examination import Examined, examine, following_mass
from .loading import Samples
from .methods import DRAWING, TITLES, Models, chosen_methods, detector
from .training import Trained, train

if TYPE_CHECKING:
    from ...bumphunt import SignalRegion
    from ...bumphunt.statistics import Search
    from ...bumphunt.statistics.curves import Improvement
    from ...runs import RunDirectory

WRITES = ("scores.h5", "pyhf/*.json")
"""What a hunt writes into its folder besides what every run writes."""


@dataclass(frozen=True)
class Hunt:
    """Everything that is asked for; see the options of ``lhcflow bumphunt run``."""

    region: tuple[float, float]
    working_points: Sequence[float]
    methods: Sequence[str] | None = None
    folds: int = 5
    fit_range: tuple[float, float] | None = None
    bin_width: float | None = None
    models: Models = field(default_factory=Models)
    settings: Settings = field(default_factory=Settings)
    seed: int = 0


def conduct(
    hunt: Hunt,
    samples: Samples,
    card: Mapping[str, Any],
    out: Path,
    *,
    report: bool = True,
    json: Path | None = None,
    quiet: bool = False,
    force: bool = False,
    resume: bool = False,
    command: str = "bumphunt run",
    optimum: Improvement | None = None,
) -> dict[str, Any]:
    """Do it all and return the results.

    Parameters
    ----------
    card : mapping of str to object
        Where the samples came from.
    report : bool
        Whether to draw the figures and write report.html.
    optimum : Improvement, optional
        Curve of the best possible score, where it is known.
    """
    from ...bumphunt import SignalRegion
    from ...bumphunt.decorrelation import mass_resolution
    from ...bumphunt.statistics import search_spectrum
    from ...files import plain, write_json
    from ...runs import RunDirectory
    from ..report import print_table, print_warnings, write_report
    from .results import (
        fit_range_table,
        improvement_table,
        improvements,
        resolution_table,
        search_table,
    )
    from .run_report import screen_table, sections_of, subtitle_of

    events = samples.events
    region = SignalRegion.of(hunt.region)
    methods = chosen_methods(hunt.methods, events.label is not None, samples.background is not None)
    # What can go wrong goes wrong before the training.
    check_masses(hunt, events.m, hunt.region)
    edges = window_edges(hunt, events.m)
    methods, fewer = check_methods(hunt, methods, samples)
    notes = [*samples.notes, *fewer, *left_out(hunt, edges, events.m)]
    inclusive = search_spectrum(events.m, edges, region, hunt.settings)
    resolution = mass_resolution(events.features, events.m, region, events.names, hunt.seed)
    notes += [text] if (text := following_mass(resolution, region)) else []
    asked = {"command": command, **card, **asdict(hunt), "methods": methods, "features": events.names}
    # Which row is the result is written down before there are scores.
    asked["result"] = {"method": methods[0], "working_point": hunt.working_points[0]}
    with RunDirectory(out, asked, force=force, resume=resume, writes=WRITES) as run:
        screen = console(quiet)
        print_warnings(screen, notes)  # before the training, which takes long
        trained = _train_all(hunt, methods, samples, run, quiet)
        warnings = [*notes, *_warnings(inclusive)]
        cuts = {
            name: examine(
                hunt.working_points, hunt.settings, events, result, edges, region, inclusive, resolution,
                lambda text, name=name: warnings.append(f"{TITLES[name]}, {text}"),
            )
            for name, result in trained.items()
        }  # fmt: skip
        curves = improvements(events, samples.test, trained, region)
        source = "test sample" if samples.test is not None else "cross-fitted events"
        improved = {name: improvement_table(curve, source) for name, curve in curves.items()}
        if optimum is not None:
            improved = {"optimum": improvement_table(optimum, "known densities"), **improved}
        results = plain(
            {
                "events": {
                    "number": len(events),
                    "in_region": int(region.contains(events.m).sum()),
                    "labelled_signal": None if events.label is None else int(events.label.sum()),
                },
                "region": hunt.region,
                "working_points": list(hunt.working_points),
                "edges": edges,
                "fit_range": fit_range_table(edges, events.m),
                "mass_resolution": resolution_table(resolution),
                "inclusive": search_table(inclusive),
                "methods": {
                    name: _method_table(trained[name], cuts[name], samples, region) for name in methods
                },
                "improvement": improved,
                "template": _template(trained, samples, region),
                "warnings": warnings,
            }
        )
        _save_scores(run.path / "scores.h5", samples, trained)
        _export(run.path, cuts)
        if report:
            with screen.status("report"):
                sections = sections_of(results)
                write_report(run, "Bump hunt", subtitle_of(samples, results), sections, warnings)
        run.finish(results)
    if json:
        write_json(json, results)
    table = screen_table(results)
    print_table(screen, table.header, table.rows, names=2)
    print_warnings(screen, warnings)
    screen.print(f"report: {run.report_file}" if report else f"results: {run.results_file}", markup=False)
    return results


def _train_all(
    hunt: Hunt, methods: Sequence[str], samples: Samples, run: RunDirectory, quiet: bool
) -> dict[str, Trained]:
    from ...training.progress import progress_bar

    trained = {}
    for name in methods:
        with progress_bar(hunt.folds, f"{TITLES[name]}, folds", show=not quiet) as update:
            trained[name] = train(
                detector(name, hunt.region, hunt.models, hunt.seed),
                samples.events,
                samples.background if name == "idealized" else None,
                samples.test,
                hunt.folds,
                hunt.seed,
                run.checkpoints / f"{name}.npz",
                lambda done, _, update=update: update(done, ""),
            )
    return trained


def _method_table(
    result: Trained, cuts: Sequence[Examined], samples: Samples, region: SignalRegion
) -> dict[str, Any]:
    from .results import examined_table, score_table

    return {
        "cuts": [examined_table(one) for one in cuts],
        "scores": score_table(samples.events, result, region),
        "cpu_seconds": result.seconds,
    }


def _template(trained: Mapping[str, Trained], samples: Samples, region: SignalRegion) -> dict[str, Any]:
    from .results import template_table

    for name in DRAWING:
        if name in trained:
            return {"method": name, "features": template_table(samples.events, trained[name], region)}
    return {}


def _warnings(inclusive: Search) -> list[str]:
    warnings = []
    if inclusive.quality.p < 0.01:
        warnings.append(
            f"The dijet function does not describe the sidebands (p = {inclusive.quality.p:.1g}): give a "
            "narrower --fit-range, or more --parameters, before believing a p-value."
        )
    return [*warnings, *(f"No cut: {text}" for text in inclusive.remarks)]


def _save_scores(path: Path, samples: Samples, trained: Mapping[str, Trained]) -> None:
    import numpy as np

    from ...bumphunt.datasets import write_hdf5

    events = samples.events
    columns: dict[str, Any] = {"m": events.m, "label": events.label}
    columns |= {name: result.efficiency.astype(np.float32) for name, result in trained.items()}
    write_hdf5(path, "lhcflow scores 1", columns, {}, {"score": "background efficiency"})


def _export(folder: Path, cuts: Mapping[str, Sequence[Examined]]) -> None:
    """One pyhf workspace per method and cut: the count in the signal region against the template."""
    from ...files import write_json

    place = folder / "pyhf"
    place.mkdir(exist_ok=True)
    for name, found in cuts.items():
        for cut in (one.cut for one in found):
            write_json(place / f"{name}_{cut.working_point:g}.json", cut.template.workspace(name))
