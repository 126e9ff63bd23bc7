"""One hunt per window, joined to a scan."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...plotting import Picture, Section, Table
from ..options import console
from .checking import check_masses, check_methods, checked_windows, left_out, window_edges
from .examination import examine, following_mass
from .methods import TITLES, chosen_methods, detector
from .training import train

if TYPE_CHECKING:
    from ...bumphunt import Detector, Events
    from ...runs import RunDirectory
    from .hunting import Hunt
    from .loading import Samples

_MOST_WINDOWS = 1000


def windows_of(first: float, last: float, width: float, step: float) -> list[tuple[float, float]]:
    """Windows (low, high) in TeV."""
    if not (0 < width < math.inf and 0 < step < math.inf and first + width <= last * (1 + 1e-9)):
        raise InputError(
            f"no window of {width:g} TeV in steps of {step:g} TeV fits between {first:g} and {last:g} TeV"
        )
    count = int((last - first - width) / step + 1e-6) + 1
    if count > _MOST_WINDOWS:
        raise InputError(f"that makes {count} windows, more than {_MOST_WINDOWS}: take larger steps")
    # Rounded to keV, so that limits such as 3.3000000000000003 don't show.
    return [(round(first + i * step, 9), round(first + i * step + width, 9)) for i in range(count)]


def slide(
    hunt: Hunt,
    places: Sequence[tuple[float, float]],
    samples: Samples,
    card: Mapping[str, Any],
    out: Path,
    *,
    report: bool = True,
    json: Path | None = None,
    quiet: bool = False,
    force: bool = False,
    resume: bool = False,
) -> dict[str, Any]:
    """Search all windows and write the results; a window that can't be searched becomes a warning."""
    from ...files import plain, write_json
    from ...runs import RunDirectory
    from ..report import print_table, print_warnings, write_report

    # The detectors get no labels: scores of unknown signals may not depend on them.
    samples = dataclasses.replace(samples, events=_unlabelled(samples.events))
    (method,) = chosen_methods(hunt.methods, False, samples.background is not None)
    m = samples.events.m
    check_masses(hunt, m, (places[0][0], places[-1][1]), "--from, --to")
    notes = list(samples.notes)
    asked = {**dataclasses.asdict(hunt), "region": None, "methods": None}
    card = {"command": "bumphunt scan", **card, **asked, "method": method, "windows": places}
    screen = console(quiet)
    # The first window whose options and data fit together; without any there is nothing to do.
    checked_windows(hunt, places, samples)
    with RunDirectory(out, card, force=force, resume=resume) as run:
        print_warnings(screen, notes)
        windows, warnings = _search_all(hunt, places, method, samples, run, quiet)
        warnings = [*notes, *warnings]
        if not windows:
            raise InputError(f"no window could be searched; the first one: {warnings[len(notes)]}")
        results = plain(
            {
                "method": method,
                "working_points": list(hunt.working_points),
                "windows": windows,
                "best": _best(windows, hunt.working_points[0]),
                "warnings": warnings,
            }
        )
        subtitle = f"{len(samples.events):,} events, {len(windows)} windows, {TITLES[method]}"
        if report:
            write_report(run, "Scan of the spectrum", subtitle, _sections(results), warnings)
        run.finish(results)
    if json:
        write_json(json, results)
    table = scan_table(results)
    print_table(screen, table.header, table.rows)
    print_warnings(screen, warnings)
    screen.print(f"report: {run.report_file}" if report else f"results: {run.results_file}", markup=False)
    return results


def _search_all(
    hunt: Hunt,
    places: Sequence[tuple[float, float]],
    method: str,
    samples: Samples,
    run: RunDirectory,
    quiet: bool,
) -> tuple[list[dict[str, Any]], list[str]]:
    from sklearn.base import clone

    from ...bumphunt import common_start
    from ...training.progress import progress_bar

    windows, warnings = [], []
    begun: list[Any] = [detector(method, places[0], hunt.models, hunt.seed)] * hunt.folds
    if not all(_checkpoint(run, i).is_file() for i in range(len(places))):
        with console(quiet).status("what all windows have in common"):
            begun = common_start(
                begun[0], samples.events.features, samples.events.m, places, hunt.folds, hunt.seed
            )
    with progress_bar(len(places) * hunt.folds, "windows, folds", show=not quiet) as update:
        for i, place in enumerate(places):
            one = dataclasses.replace(hunt, region=place)
            here: list[Any] = [clone(each) for each in begun]
            for each in here:
                each.set_params(signal_region=place)
            before = i * hunt.folds
            try:
                windows.append(
                    _window(
                        one,
                        here,
                        method,
                        samples,
                        run,
                        i,
                        warnings,
                        lambda done, _, before=before: update(before + done, ""),
                    )
                )
            except InputError as error:
                warnings.append(f"{_name(place)}: {error}")
            update(before + hunt.folds, "")
    return windows, warnings


def _window(
    hunt: Hunt,
    detectors: Sequence[Detector],
    method: str,
    samples: Samples,
    run: RunDirectory,
    index: int,
    warnings: list[str],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    from ...bumphunt import SignalRegion
    from ...bumphunt.decorrelation import mass_resolution
    from ...bumphunt.statistics import search_spectrum
    from .results import examined_table, fit_range_table, resolution_table, search_table

    region = SignalRegion.of(hunt.region)
    events = samples.events
    edges = window_edges(hunt, events.m)
    check_methods(hunt, [method], samples)
    here = _name(hunt.region)
    resolution = mass_resolution(events.features, events.m, region, events.names, hunt.seed)
    found = [*left_out(hunt, edges, events.m), following_mass(resolution, region)]
    warnings += [f"{here}: {text}" for text in found if text]
    inclusive = search_spectrum(events.m, edges, region, hunt.settings)
    trained = train(
        detectors,
        events,
        samples.background if method == "idealized" else None,
        None,
        hunt.folds,
        hunt.seed,
        _checkpoint(run, index),
        progress,
    )
    cuts = examine(
        hunt.working_points,
        hunt.settings,
        events,
        trained,
        edges,
        region,
        inclusive,
        resolution,
        lambda text: warnings.append(f"{here}, {text}"),
    )
    return {
        "region": hunt.region,
        "edges": edges,
        "fit_range": fit_range_table(edges, events.m),
        "mass_resolution": resolution_table(resolution),
        "inclusive": search_table(inclusive),
        "cuts": [examined_table(one) for one in cuts],
        "cpu_seconds": trained.seconds,
    }


def _checkpoint(run: RunDirectory, index: int) -> Path:
    return run.checkpoints / f"window{index}.npz"


def _best(windows: Sequence[Mapping[str, Any]], point: float) -> dict[str, Any] | None:
    """The smallest p-value at a working point, and the same for all windows together.

    Cuts that follow the mass don't count; see `examination.Examined.valid`. Where a window has few events its
    p-value is that of the toys.
    """
    from ...bumphunt.statistics.toys import significance_of_log

    found = [
        (_log_p(cut), w["region"])
        for w in windows
        for cut in w["cuts"]
        if cut["working_point"] == point and cut["valid"]
    ]
    if not found:
        return None
    log_p, region = min(found)
    n, p = len(found), math.exp(log_p)
    # 1 - (1 - p)^n, which is n p where p is too small for the difference.
    log_together = math.log(n) + log_p
    if p > 1e-12:
        log_together = math.log(-math.expm1(n * math.log1p(-p))) if p < 1 else 0.0
    return {
        "region": region,
        "working_point": point,
        "p_local": p,
        "z_local": significance_of_log(log_p),
        "windows": n,
        "p_global": math.exp(log_together),
        "z_global": significance_of_log(log_together),
    }


def _log_p(cut: Mapping[str, Any]) -> float:
    """Logarithm of the p-value of a count: a number where the p-value itself is too small for one."""
    from scipy import stats

    if cut["p_toys"]:
        return math.log(min(cut["p_toys"], 1.0))
    return float(stats.norm.logsf(float(cut["count"]["z"])))


def scan_table(results: Mapping[str, Any]) -> Table:
    """One row per window and cut."""
    from .figures import share
    from .run_report import expected, limit_text

    rows = []
    for w in results["windows"]:
        before = f"{w['inclusive']['count']['z']:.2f}"
        for cut in w["cuts"]:
            count, template = cut["count"], cut["template"]
            marked = "{}".format if cut["valid"] else "({})".format
            rows.append(
                [
                    _name(w["region"]),
                    before,
                    share(cut["working_point"]),
                    f"{count['observed']:,.0f}",
                    expected(count).replace(" ± ", "±"),
                    marked(f"{count['z']:.2f}"),
                    marked(f"{template['z']:.2f}"),
                    limit_text(cut["limit"]),
                ]
            )
    return Table(
        ["window [TeV]", "Z, no cut", "cut", "events", "fit", "Z", "Z (template)", "limit"],
        rows,
        "Columns as in the report of a run; limit: observed (expected), on the signal events behind the "
        "cut; in brackets: the features or the cut follow the mass, so that an excess is no discovery.",
    )


def _sections(results: Mapping[str, Any]) -> list[Section]:
    from . import figures

    text, best = [], results["best"]
    if best is not None:
        text.append(
            f"Smallest local p-value: {_chance(best['p_local'])} ({float(best['z_local']):.2f} standard "
            f"deviations) in {_name(best['region'])} TeV; with {best['windows']} windows counted as "
            f"independent looks {_chance(best['p_global'])} ({float(best['z_global']):.2f}). Overlapping "
            "windows are not independent, and the true number lies between the two."
        )
    picture = Picture(
        figures.windows(results),
        "Local p-values of the windows. Excess over the fit of the sidebands, before and behind the cut of "
        "the detector that was trained for the window.",
    )
    return [Section("Result", text, [picture, scan_table(results)])]


def _chance(p: float) -> str:
    from .run_report import chance

    return chance(p).removeprefix("= ")


def _name(region: Sequence[float]) -> str:
    return f"{region[0]:g}-{region[1]:g}"


def _unlabelled(events: Events) -> Events:
    return dataclasses.replace(events, label=None)
