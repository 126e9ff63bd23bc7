"""The report of ``lhcflow calo evaluate``."""

from __future__ import annotations

import numpy as np

from ... import plotting
from ...calorimeter import Features, Showers
from ...calorimeter.distances import Distance
from ...calorimeter.evaluation import OTHER_ENERGIES
from ...calorimeter.metrics import Comparison, Evaluation, nearest_neighbours, published_results
from ...classifiers import ClassifierTest, Reweighting
from ...classifiers.classifier_test import spread
from ...plotting import ClassifierCurves, Picture, Section, Table
from . import figures

_LEVELS = {"low": "voxels", "low-normalised": "voxels over their layer's energy", "high": "features"}
_FEW = 1000
# Share of evaluations of a perfect generator that warn of too many entries outside the real range.
_FALSE_ALARMS = 1e-3
# Features that a warning names.
_SHOWN = 4
# Share of entries that a histogram may drop without a warning.
_DROPPED = 0.01
# FPD is far above its floor if it is so many times what the floor is with two errors more. The errors of
# FPD itself do not enter: one shower far outside makes both large.
_TIMES = 3.0


def warnings_of(real: Showers, generated: Showers, evaluation: Evaluation) -> list[str]:
    """What the reader must know before the numbers."""
    warnings = []
    different, *other = evaluation.energies
    if different < OTHER_ENERGIES:
        warnings.append(
            f"The incident energies of the two samples differ (Kolmogorov-Smirnov p = {different:.1g}): all "
            "metrics see that. Generate showers at the energies of the real ones (calo sample --like)."
        )
    if other and other[0] < OTHER_ENERGIES:
        warnings.append(
            "The incident energies of the two real samples differ (Kolmogorov-Smirnov p = "
            f"{other[0]:.1g}): what is called floor here shows that difference, and is no floor."
        )
    warnings += _outside(evaluation, len(generated))
    tests = evaluation.result.tests
    events = min((t.events[2] for t in tests.values()), default=0)
    if events < _FEW:
        warnings.append(
            f"The AUC rests on {events:,} showers per class, and its training on few: a floor of 0.5 does "
            "not mean that there is no difference, and calibration noise pushes JSD below 0."
        )
    if evaluation.floor is not None:
        warnings += _far_above(evaluation.result.fpd, evaluation.floor.fpd)
    else:
        warnings.append("There is no floor (Geant4 against Geant4) to compare with.")
    return warnings


def _outside(evaluation: Evaluation, events: int) -> list[str]:
    """Entries that no histogram of the real range shows."""
    warnings = []
    features = len(evaluation.real.columns)
    far = sorted((o for o in evaluation.outside if o.far), key=lambda o: -o.far)
    many = [o for o in evaluation.outside if not o.far and o.probability * features < _FALSE_ALARMS]
    if far:
        shown = "; ".join(str(o) for o in far[:_SHOWN])
        more = f"; and {len(far) - _SHOWN} more features" if len(far) > _SHOWN else ""
        warnings.append(
            f"Generated showers are far outside the range of the real ones, where histograms do not show "
            f"them: {shown}{more} (results.json has all of them)."
        )
    if many:
        shown = ", ".join(f"{o.feature} ({o.count:,} of {events:,})" for o in many[:_SHOWN])
        more = f" and {len(many) - _SHOWN} more features" if len(many) > _SHOWN else ""
        warnings.append(
            "More generated showers are outside the range of the real ones than chance allows: "
            f"{shown}{more} (false alarms: at most {_FALSE_ALARMS:g} of evaluations)."
        )
    for s in (*evaluation.result.separation.features, evaluation.result.separation.voxels):
        real, made = s.dropped
        if made > _DROPPED and made > 2 * real:
            warnings.append(
                f"The histogram of {s.feature.name} drops {made:.1%} of the generated entries and {real:.1%} "
                "of the real ones, which are outside its edges: its separation power does not see them."
            )
    return warnings


def _far_above(value: Distance, floor: Distance) -> list[str]:
    if value.value <= _TIMES * (floor.value + 2 * floor.error):
        return []
    return [
        f"FPD × 10³ is {1e3 * value.value:.3g} and its floor {1e3 * floor.value:.3g}. It rests on means and "
        "covariances: a single shower far outside can do that, which classifiers do not see."
    ]


def summary_tables(evaluation: Evaluation) -> list[Table]:
    """Classifier tests, distances and separation powers, with the floor beside each number."""
    result, floor = evaluation.result, evaluation.floor
    header = ["", "generated", "floor"]

    def pair(name: str, number) -> list[str]:  # type: ignore[no-untyped-def]
        return [name, number(result), "-" if floor is None else number(floor)]

    rows = []
    for level in result.tests:
        text = _LEVELS[level]
        rows.append(pair(f"AUC, {text}", lambda c, level=level: _auc(c.tests[level])))
        rows.append(pair(f"JSD, {text}", lambda c, level=level: _jsd(c.tests[level])))
    first = next(iter(result.tests.values()), None)
    caption = "" if first is None else _recipe_text(first)
    if evaluation.floor_note:
        caption += f" Floor: {evaluation.floor_note}."
    tables = [Table(["classifier test", *header[1:]], rows, caption)] if rows else []
    names = {
        "FPD × 10³": lambda c: f"{1e3 * c.fpd.value:.3g} ± {1e3 * c.fpd.error:.2g}",
        "KPD × 10³": lambda c: f"{1e3 * c.kpd.value:.3g} ± {1e3 * c.kpd.error:.2g}",
        "precision": lambda c: f"{c.prdc.precision:.3f}",
        "recall": lambda c: f"{c.prdc.recall:.3f}",
        "density": lambda c: f"{c.prdc.density:.3f}",
        "coverage": lambda c: f"{c.prdc.coverage:.3f}",
    }
    low, high = result.fpd.samples
    tables.append(
        Table(
            ["distances", *header[1:]],
            [pair(name, number) for name, number in names.items()],
            f"FPD extrapolated from {low:,} to {high:,} showers, KPD in batches of {result.kpd.samples[0]:,} "
            "of the high-level features (layers without energy weigh much there: log10 of 1e-8); precision, "
            "recall, density and coverage of the voxels, "
            f"{result.prdc.neighbours} neighbours, {result.prdc.samples[0]:,} showers.",
        )
    )
    groups = result.separation.groups()
    tables.append(
        Table(
            ["separation power", *header[1:]],
            [pair(name, lambda c, name=name: f"{c.separation.groups()[name]:.2e}") for name in groups],
            "Means over the layers. The binning of each histogram is in results.json; few showers in many "
            "bins separate too, so compare with the floor.",
        )
    )
    return tables


def _auc(test: ClassifierTest) -> str:
    return spread(test.auc, test.auc_error)


def _jsd(test: ClassifierTest) -> str:
    return spread(test.jsd, test.jsd_error)


def sections_of(
    real: Showers,
    generated: Showers,
    evaluation: Evaluation,
    weights: Reweighting | None,
    names: tuple[str, str],
) -> list[Section]:
    """All of the report; ``names`` are those of the two samples."""
    cut = real.cut(evaluation.threshold), generated.cut(evaluation.threshold)
    name = names[1]
    tests = evaluation.result.tests
    sections = [Section("Summary", content=summary_tables(evaluation))]
    rows = published_results(real.geometry.name)
    if rows:
        sections.append(Section("Published results", content=[_published(evaluation.result, rows, name)]))
    if tests:
        sections.append(Section("Classifier tests", content=[_curves(tests)]))
    curves: dict[str, Features] = {name: evaluation.generated}
    weighted = {} if weights is None else {f"{name}, reweighted": weights.weights}
    drawn = figures.histograms(evaluation.real, curves, real.geometry, "Geant4", weighted)
    text = []
    if weights is not None:
        text.append(
            "Reweighting by the calibrated classifier (DCTR): effective sample size "
            f"{weights.effective_sample_size:,.0f} of {len(weights.weights):,}."
        )
    content = [
        Picture(
            figure,
            f"{title}. Band: statistical error of Geant4; S: separation power; below, the ratio to Geant4.",
        )
        for title, figure in drawn.items()
    ]
    sections.append(Section("Features", text, content))
    pictures = [
        Picture(
            figures.average_showers({"Geant4": cut[0], name: cut[1]}),
            f"Average showers. Mean over {len(real):,} and {len(generated):,} showers.",
            form="png",
        )
    ]
    if found := nearest_neighbours(*cut):
        pictures.append(
            Picture(
                figures.neighbours(*cut, found, ("Geant4", name)),
                "Nearest neighbours. A Geant4 shower at each energy, and the generated one with the smallest "
                "Euclidean distance in its voxels.",
                form="png",
            )
        )
    sections.append(Section("Showers", content=pictures))
    return sections


def _recipe_text(test: ClassifierTest) -> str:
    recipe, (train, choose, result) = test.recipe, test.events
    widths = " × ".join(str(h) for h in recipe.hidden)
    stop = f", stopped after {recipe.patience} without a better one" if recipe.patience else ""
    return (
        f"Recipe {recipe.name}: network {widths}, {recipe.epochs} epochs{stop}; {train:,} showers per class "
        f"train, {choose:,} choose the epoch and calibrate, {result:,} give the result; mean of "
        f"{len(test.auc)} trainings, ± the larger of the statistical error of these showers and the standard "
        "deviation of the trainings. JSD below 0: the calibration is worse than a guess, no difference is "
        "seen."
    )


def _published(result: Comparison, rows: list[dict[str, float | str | None]], name: str) -> Table:
    columns = {
        "auc_low": "AUC low",
        "auc_high": "AUC high",
        "fpd_1e3": "FPD × 10³",
        "kpd_1e3": "KPD × 10³",
        "coverage": "coverage",
        "cpu_ms_1": "CPU ms, batch 1",
        "cpu_ms_100": "batch 100",
        "gpu_ms_100": "GPU ms, batch 100",
    }
    ours = {
        "auc_low": result.tests["low"].auc.mean() if "low" in result.tests else None,
        "auc_high": result.tests["high"].auc.mean() if "high" in result.tests else None,
        "fpd_1e3": 1e3 * result.fpd.value,
        "kpd_1e3": 1e3 * result.kpd.value,
        "coverage": result.prdc.coverage,
    }

    def cell(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else "-"

    body = [[name, *(cell(ours.get(c)) for c in columns)]]
    body += [[str(row["name"]), *(cell(row[c]) for c in columns)] for row in rows]
    return Table(
        ["sample", *columns.values()],
        body,
        "Published: 2410.21611, about 100,000 showers of the public data set, times per shower on its own "
        "machines. The first row is comparable if it was measured on that data set and as many showers.",
    )


def _curves(tests: dict) -> Picture:  # type: ignore[type-arg]
    curves = []
    for level, test in tests.items():
        c = test.calibration
        label = f"{_LEVELS[level]}, AUC {np.mean(test.auc):.3f}"
        curves.append(ClassifierCurves(test.roc, c.predicted, c.observed, c.error, label))
    return Picture(
        plotting.classifier_curves(curves),
        "Classifiers. Left: ROC curves of the last training; right: calibration after isotonic regression.",
    )
