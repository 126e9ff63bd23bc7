"""Figures of a hunt, drawn from the tables of its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import plotting
from .methods import TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {
    "mJ1": r"$m_{J_1}$ [TeV]",
    "mJ2": r"$m_{J_2}$ [TeV]",
    "dmJ": r"$\Delta m_J$ [TeV]",
    "tau21J1": r"$\tau_{21}^{J_1}$",
    "tau21J2": r"$\tau_{21}^{J_2}$",
    "tau32J1": r"$\tau_{32}^{J_1}$",
    "tau32J2": r"$\tau_{32}^{J_2}$",
    "dR": r"$\Delta R_{JJ}$",
    "ptJ1": r"$p_T^{J_1}$ [TeV]",
    "ptJ2": r"$p_T^{J_2}$ [TeV]",
}
ALL = "no cut"

Results = Mapping[str, Any]


def share(working_point: float) -> str:
    """A background efficiency in words."""
    return f"{100 * working_point:g} %"


def spectra(results: Results, method: str) -> Figure:
    """The spectrum before and behind the cuts of a method, with fits and pulls."""
    return plotting.fitted_spectra(
        [
            plotting.FittedSpectrum(
                results["edges"], s["counts"], s["background"], s["background_error"], label
            )
            for label, s in _searches(results, method)
        ],
        tuple(results["region"]),
    )


def local_p_values(results: Results, method: str) -> Figure:
    """Local p-values of peaks along the spectrum, before and behind the cuts."""
    curves = {label: (s["scan"]["masses"], _p0(s["scan"]["z"])) for label, s in _searches(results, method)}
    return plotting.p_values(curves, tuple(results["region"]))


def limits(results: Results, method: str) -> Figure:
    """Limits on the signal events in the signal region: from the fit, and from the count in the template."""
    points = []
    for label, s in _searches(results, method):
        found = {"fit": s["limit"]} | ({"template": s["template"]["limit"]} if "template" in s else {})
        for way, limit in found.items():
            observed, band = float(limit["observed"]), _numbers(limit["expected"])
            points.append(plotting.LimitPoint(f"{label}\n{way}", observed, band))
    return plotting.limit_bands(points)


def improvement(results: Results) -> Figure | None:
    """Improvement and rejection of all methods; None without labels."""
    curves = dict(results.get("improvement", {}))
    if not curves:
        return None
    drawn = {}
    for name, c in curves.items():
        drawn[TITLES.get(name, name)] = plotting.ImprovementCurve(
            *(_numbers(c[k]) for k in ("tpr", "sic", "low", "high"))
        )
    return plotting.improvement_curves(drawn)


def scores(results: Results) -> Figure:
    """Distributions of the scores of all methods."""
    panels = [
        plotting.ScorePanel(TITLES[name], table["scores"]["edges"], table["scores"]["counts"])
        for name, table in results["methods"].items()
    ]
    return plotting.score_distributions(panels, columns=2 if len(panels) in (2, 4) else 3)


def template(results: Results) -> Figure | None:
    """Features of the template and of the data; None where no method has a template."""
    found = results.get("template")
    if not found:
        return None
    panels = [
        plotting.TemplatePanel(AXES.get(str(name), str(name)), table["edges"], table["counts"])
        for name, table in found["features"].items()
    ]
    return plotting.template_histograms(panels)


def windows(results: Results) -> Figure:
    """Local p-values of all windows of a scan against their centres."""
    curves = {}
    centres = [0.5 * sum(w["region"]) for w in results["windows"]]
    curves[ALL] = (centres, [w["inclusive"]["count"]["p0"] for w in results["windows"]])
    for point in results["working_points"]:
        found = [
            (centre, cut["count"]["p0"])
            for centre, w in zip(centres, results["windows"], strict=True)
            for cut in w["cuts"]
            if cut["working_point"] == point
        ]
        if found:
            x, y = zip(*found, strict=True)
            curves[f"cut at {share(point)}"] = (x, y)
    return plotting.p_values(curves, points=True, label="centre of the signal region [TeV]")


def _searches(results: Results, method: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield ALL, results["inclusive"]
    for cut in results["methods"][method]["cuts"]:
        yield f"cut at {share(cut['working_point'])}", cut


def _p0(z: Any) -> np.ndarray:
    from scipy import stats

    return stats.norm.sf(_numbers(z))


def _numbers(values: Any) -> np.ndarray:
    """Numbers as they were before "nan" and "inf" became strings in a JSON file."""
    return np.array([float(v) for v in values])
