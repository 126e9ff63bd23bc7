"""One hunt in a run directory: training, cuts, fits, results and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...bumphunt.statistics import Settings
from ...errors import InputError
from ..options import console
from .loading import Samples
from .methods import DRAWING, TITLES, Models, chosen_methods, detector
from .training import Trained, train

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from ...bumphunt import SignalRegion
    from ...bumphunt.statistics import Cut, Search
    from ...bumphunt.statistics.curves import Improvement
    from ...files import RunDirectory


_CLOSURE = 2.0
"""A cut that keeps so many times more or less beside the signal region gets a warning."""


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
    card : where the samples came from.
    optimum : curve of the best possible score, where it is known.
    """
    from ...bumphunt import SignalRegion
    from ...bumphunt.statistics import checked_points, search_spectrum
    from ...files import RunDirectory, plain, write_json
    from ..report import print_table, print_warnings, write_report
    from .results import improvement_table, improvements, search_table
    from .run_report import screen_table, sections_of, subtitle_of

    events = samples.events
    region = SignalRegion.of(hunt.region)
    methods = chosen_methods(hunt.methods, events.label is not None, samples.background is not None)
    # What can go wrong goes wrong before the training.
    checked_points(hunt.working_points)
    check_region(region, events.m)
    edges = edges_of(hunt, region, events.m)
    inclusive = search_spectrum(events.m, edges, region, hunt.settings)
    run = RunDirectory(
        out, {"command": command, **card, **asdict(hunt), "methods": methods, "features": events.names},
        force=force, resume=resume,
    )  # fmt: skip
    screen = console(quiet)
    trained = _train_all(hunt, methods, samples, run, screen)
    warnings = _warnings(inclusive)
    cuts = {
        name: _cuts(hunt, result, samples, edges, region, inclusive, TITLES[name], warnings)
        for name, result in trained.items()
    }
    curves = improvements(events, samples.test, trained, region)
    source = "test sample" if samples.test is not None else "cross-fitted events"
    improved = {name: improvement_table(curve, source) for name, curve in curves.items()}
    if optimum is not None:
        improved = {"optimum": improvement_table(optimum, "known densities"), **improved}
    results = {
        "events": {
            "number": len(events),
            "in_region": int(region.contains(events.m).sum()),
            "labelled_signal": None if events.label is None else int(events.label.sum()),
        },
        "region": hunt.region,
        "working_points": list(hunt.working_points),
        "edges": edges,
        "inclusive": search_table(inclusive),
        "methods": {name: _method_table(trained[name], cuts[name], samples, region) for name in methods},
        "improvement": improved,
        "template": _template(trained, samples, region),
        "warnings": warnings,
    }
    _save_scores(run.path / "scores.h5", samples, trained)
    _export(run.path, cuts)
    results = plain(results)
    with screen.status("report"):
        write_report(run, "Bump hunt", subtitle_of(samples, results), sections_of(results), warnings)
    run.finish(results)
    if json:
        write_json(json, results)
    table = screen_table(results)
    print_table(screen, table.header, table.rows, names=2)
    print_warnings(screen, warnings)
    screen.print(f"report: {run.report_file}", markup=False)
    return results


def check_region(region: SignalRegion, m: NDArray[np.float64]) -> None:
    """Refuse a signal region with too few events for a training."""
    from ...bumphunt.detectors.base import MIN_REGION

    if (n := int(region.contains(m).sum())) < MIN_REGION:
        raise InputError(
            f"the signal region {region.low:g} to {region.high:g} TeV holds {n} events, training needs "
            f"{MIN_REGION}: widen it, or check the unit of the masses"
        )


def edges_of(hunt: Hunt, region: SignalRegion, m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins of the fit: over the range that was asked for, or one that :func:`fit_range` finds."""
    from ...bumphunt.statistics import fit_range, mass_bins

    if hunt.fit_range is not None:
        return mass_bins(region, *hunt.fit_range, hunt.bin_width)
    return fit_range(m, region, hunt.bin_width, energy=hunt.settings.energy)


def _train_all(
    hunt: Hunt, methods: Sequence[str], samples: Samples, run: RunDirectory, screen: Console
) -> dict[str, Trained]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    trained = {}
    with Progress(*columns, console=screen, transient=True) as bar:
        for name in methods:
            task = bar.add_task(f"{TITLES[name]}, folds", total=hunt.folds)
            trained[name] = train(
                detector(name, hunt.region, hunt.models, hunt.seed),
                samples.events,
                samples.background if name == "idealized" else None,
                samples.test,
                hunt.folds,
                hunt.seed,
                run.checkpoints / f"{name}.npz",
                lambda done, _, task=task: bar.update(task, completed=done),
            )
            bar.update(task, completed=hunt.folds)
    return trained


def _cuts(
    hunt: Hunt,
    result: Trained,
    samples: Samples,
    edges: NDArray[np.float64],
    region: SignalRegion,
    inclusive: Search,
    title: str,
    warnings: list[str],
) -> list[Cut]:
    from ...bumphunt.statistics import examine_cuts

    cuts = examine_cuts(
        samples.events.m,
        result.efficiency,
        result.template_efficiency,
        hunt.working_points,
        edges,
        region,
        inclusive,
        hunt.settings,
        samples.events.label,
        lambda text: warnings.append(f"{title}, {text}"),
    )
    for cut in cuts:
        if not 1 / _CLOSURE < cut.closure < _CLOSURE:
            warnings.append(
                f"{title}, the cut at {cut.working_point:g}: beside the signal region {cut.closure:.2g} "
                "times the share passes that should: the cut shapes the spectrum, do not believe its fit."
            )
    return cuts


def _method_table(
    result: Trained, cuts: Sequence[Cut], samples: Samples, region: SignalRegion
) -> dict[str, Any]:
    from .results import cut_table, score_table

    return {
        "cuts": [cut_table(cut) for cut in cuts],
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
    return warnings


def _save_scores(path: Path, samples: Samples, trained: Mapping[str, Trained]) -> None:
    import numpy as np

    from ...bumphunt.datasets import write_hdf5

    events = samples.events
    columns: dict[str, Any] = {"m": events.m, "label": events.label}
    columns |= {name: result.efficiency.astype(np.float32) for name, result in trained.items()}
    write_hdf5(path, "lhcflow scores 1", columns, {}, {"score": "background efficiency"})


def _export(folder: Path, cuts: Mapping[str, Sequence[Cut]]) -> None:
    """One pyhf workspace per method and cut: the count in the signal region against the template."""
    from ...bumphunt.statistics import counting_workspace
    from ...files import write_json

    place = folder / "pyhf"
    place.mkdir(exist_ok=True)
    for name, found in cuts.items():
        for cut in found:
            t = cut.template
            workspace = counting_workspace(t.observed, t.background, t.error, name)
            write_json(place / f"{name}_{cut.working_point:g}.json", workspace)
