"""The report of ``lhcflow bumphunt run``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...plotting import Picture, Section, Table
from . import figures
from .figures import ALL, share
from .methods import TITLES

if TYPE_CHECKING:
    from .loading import Samples

Results = Mapping[str, Any]

_LABELLED = ["true signal", "true background", "slope [1/TeV]", "background chi2/ndf", "background Z"]
_ABOUT_LABELS = (
    " From the labels: true numbers in the signal region behind the cut; slope: relative change with mass "
    "of the share of background that passes; chi2/ndf of the dijet function fitted to the background behind "
    "the cut, and the excess that this background alone has in the signal region (sculpting)."
)

_SCREEN = ["method", "cut", "events", "fit", "Z", "global Z", "template", "Z (template)"]


def subtitle_of(samples: Samples, results: Results) -> str:
    """What was searched where."""
    low, high = results["region"]
    return (
        f"{len(samples.events):,} events, {results['events']['in_region']:,} of them in the signal region "
        f"{low:g} to {high:g} TeV; features {', '.join(samples.events.names)}"
    )


def summary_table(results: Results) -> Table:
    """One row per spectrum: expectation, excess and limit."""
    rows = [_row("-", ALL, results["inclusive"])]
    for name, method in results["methods"].items():
        rows += [_row(TITLES[name], share(cut["working_point"]), cut) for cut in method["cuts"]]
    counts = ["method", "cut", "events", "fit", "Z", "peak Z", "global Z"]
    header = [*counts, "template", "Z (template)", "limit (expected)"]
    return Table(
        header,
        rows,
        "cut: share of the background that passes. events: in the signal region. fit: expected from the "
        "sidebands. Z: local significance of the excess, whatever its shape, with the fit's uncertainty. "
        "peak Z: largest local significance of a Gaussian peak in the region; global Z: the same after the "
        "look-elsewhere effect of the masses in the region. template: expected from the template "
        "(2411.00085). limit: on the signal events behind the cut, 95 % CLs, from the fit (toys where few "
        "events are expected). In brackets: the features or the cut follow the mass, so that an excess is no "
        "discovery.",
    )


def screen_table(results: Results) -> Table:
    """The same for a terminal of 80 columns."""
    full = summary_table(results)
    columns = [full.header.index(name) for name in _SCREEN]
    rows = [[row[i].replace(" ± ", "±") for i in columns] for row in full.rows]
    return Table(_SCREEN, rows)


def sections_of(results: Results) -> list[Section]:
    """All of the report."""
    first = next(iter(results["methods"]))
    sections = [_headline(results, first)]
    sections += [_spectra(results, name) for name, m in results["methods"].items() if m["cuts"]]
    if (drawn := figures.improvement(results)) is not None:
        sections.append(_improvement(results, drawn))
    sections.append(
        Section(
            "Scores",
            content=[
                Picture(
                    figures.scores(results),
                    "Scores. As -log10 of the share of the background that is at least as signal-like: "
                    "background falls as a straight line, by construction. The last bin holds all beyond.",
                )
            ],
        )
    )
    if (drawn := figures.template(results)) is not None:
        title = TITLES[results["template"]["method"]]
        sections.append(
            Section(
                "Background template",
                content=[
                    Picture(
                        drawn,
                        f"Template of {title}. Features in the signal region: events drawn from the density "
                        "that was learned in the sidebands, and data; with labels, true background and "
                        "signal. Below, ratio to the template.",
                    )
                ],
            )
        )
    sections.append(_fits(results))
    return sections


def _headline(results: Results, first: str) -> Section:
    text = []
    cuts = results["methods"][first]["cuts"]
    if cuts and cuts[0]["working_point"] == results["working_points"][0]:
        count, peak, template = cuts[0]["count"], cuts[0]["peak"], cuts[0]["template"]
        line = (
            f"{TITLES[first]} with {share(cuts[0]['working_point'])} of the background: "
            f"{count['observed']:.0f} events in the signal region, {count['background']:.1f} ± "
            f"{count['background_error']:.1f} expected from the sidebands, p0 = {count['p0']:.2g} "
            f"({count['z']:.2f} standard deviations{_toys(cuts[0])}); {template['background']:.1f} ± "
            f"{template['background_error']:.1f} from the template ({template['z']:.2f})."
        )
        if "p_global" in peak:
            line += (
                f" Peaks in the region: largest local significance {peak['z']:.2f} at "
                f"{peak['mass']:.2f} TeV, global p-value {peak['p_global']:.2g}."
            )
        before = results["inclusive"]["count"]["z"]
        if not cuts[0]["valid"]:
            line += " This is no discovery: the features or the cut follow the mass, see the warnings."
        text = [line, f"Without a cut the excess has {before:.2f} standard deviations."]
    text.append(
        "This row was chosen before the data were seen; the other cuts and methods are further looks, "
        "for which the p-values do not account."
    )
    return Section("Result", text, [summary_table(results)])


def _spectra(results: Results, name: str) -> Section:
    title = TITLES[name]
    content: list[Picture | Table] = [
        Picture(
            figures.spectra(results, name),
            f"Spectrum, {title}. Before and behind the cuts, with the dijet function fitted outside the "
            "shaded signal region and its uncertainty; below, pulls.",
        ),
        Picture(
            figures.local_p_values(results, name),
            f"Local p-values, {title}. Of Gaussian peaks; the background is fitted together with each; the "
            "shaded region is masked for peaks outside. The detector was trained for this region.",
        ),
        Picture(
            figures.limits(results, name),
            f"Limits, {title}. 95 % CLs upper limits on the signal events in the signal region behind each "
            "cut, with the background from the fit and from the template.",
        ),
    ]
    rows = []
    cuts = results["methods"][name]["cuts"]
    labelled = any("truth" in cut for cut in cuts)
    for cut in cuts:
        truth = cut.get("truth", {})
        rows.append(
            [
                share(cut["working_point"]),
                f"{cut['template']['closure']:.3f}",
                "-" if cut["efficiency"]["p"] is None else f"{cut['efficiency']['p']:.2g}",
                f"{cut['function_systematic']:.2f}",
                *([str(truth["signal"]), str(truth["background"]), *_sculpting(cut)] if truth else []),
            ]
        )
    header = ["cut", "closure", "smooth efficiency p", "function", *(_LABELLED if labelled else [])]
    content.append(
        Table(
            header,
            rows,
            "closure: share of the data beside the signal region that passes, over the share that should. "
            "smooth efficiency p: chance that a cut whose efficiency is log-linear in the mass agrees worse "
            "with that, in the sidebands and in the template; below 0.001 no excess is a discovery. "
            "function: largest signal, over its error, that the fit finds in a dijet function with one "
            "parameter more, fitted to the sidebands." + (_ABOUT_LABELS if labelled else ""),
        )
    )
    return Section(title, content=content)


def _improvement(results: Results, drawn: Any) -> Section:
    rows = []
    for name, c in results["improvement"].items():
        rows.append(
            [
                TITLES.get(name, name),
                f"{c['auc']:.4f}",
                f"{float(c['max_sic']):.1f}",
                f"{c['sic_at_1e-3']:.1f} ± {c['sic_error']:.1f}",
                f"{c['signal']:,}",
                f"{c['background']:,}",
            ]
        )
    band = {
        "test sample": "median and 68 % band of the folds' detectors on the test sample",
        "cross-fitted events": "statistical errors; every score comes from models that did not see the event",
    }
    source = next(c["source"] for name, c in results["improvement"].items() if name != "optimum")
    header = ["method", "AUC", "max SIC", "SIC at FPR 0.001", "signal", "background"]
    return Section(
        "Against the labels",
        content=[
            Picture(
                drawn,
                f"Improvement curves. Signal against background in the signal region, {band[source]}. Drawn "
                "where the background efficiency is known to 20 %.",
            ),
            Table(
                header,
                rows,
                "Errors: half of the band or the statistical error of the test sample, whichever is larger.",
            ),
        ],
    )


def _fits(results: Results) -> Section:
    rows = []
    spectra = [("-", ALL, results["inclusive"])]
    for name, method in results["methods"].items():
        spectra += [(TITLES[name], share(cut["working_point"]), cut) for cut in method["cuts"]]
    for title, cut, s in spectra:
        trials = ", ".join(
            f"{t['parameters']} ({t['chi2']:.1f}/{t['ndf']}" + (f", {float(t['p']):.2f})" if i else ")")
            for i, t in enumerate(s["f_test"])
        )
        rows.append(
            [title, cut, str(s["parameters"]), f"{s['chi2']:.1f}/{s['ndf']}", f"{s['p_fit']:.3f}", trials]
        )
    return Section(
        "Background fits",
        content=[
            Table(
                ["method", "cut", "parameters", "chi2/ndf", "p", "F-test"],
                rows,
                f"Dijet function in the sidebands, {_range(results['fit_range'])}, bins joined to at least "
                "ten expected events. F-test: number of parameters (chi2/ndf, chance of the improvement).",
            )
        ],
    )


def _row(method: str, cut: str, s: Mapping[str, Any]) -> list[str]:
    count, peak, template = s["count"], s["peak"], s.get("template")
    marked = "{}".format if s.get("valid", True) else "({})".format
    return [
        method,
        cut,
        f"{count['observed']:,.0f}",
        f"{count['background']:,.1f} ± {count['background_error']:,.1f}",
        marked(f"{count['z']:.2f}"),
        marked(f"{peak['z']:.2f}"),
        marked(_global(peak)),
        f"{template['background']:,.1f} ± {template['background_error']:,.1f}" if template else "-",
        marked(f"{template['z']:.2f}") if template else "-",
        f"{s['limit']['observed']:,.1f} ({s['limit']['expected'][2]:,.1f})",
    ]


def _range(fitted: Mapping[str, Any]) -> str:
    """Range of the fit, and what lies beyond."""
    return (
        f"{fitted['low']:.4g} to {fitted['high']:.4g} TeV ({fitted['below']:,} events below and "
        f"{fitted['above']:,} above are left out)"
    )


def _global(peak: Mapping[str, Any]) -> str:
    if "z_global" not in peak:
        return "-"
    z = float(peak["z_global"])
    # No toy was less extreme: there is no excess at all.
    return "< 0" if z < -3 else f"{z:.2f}"


def _toys(s: Mapping[str, Any]) -> str:
    return "" if s["p_toys"] is None else f"; p0 = {s['p_toys']:.2g} from toys"


def _sculpting(cut: Mapping[str, Any]) -> list[str]:
    s = cut.get("sculpting")
    if s is None:
        return ["-", "-", "-"]
    return [f"{s['slope']:.2f} ± {s['slope_error']:.2f}", f"{s['chi2']:.1f}/{s['ndf']}", f"{s['z']:.2f}"]
