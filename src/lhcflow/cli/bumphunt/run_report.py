"""The report of ``lhcflow bumphunt run``."""

from __future__ import annotations

import math
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

_SCREEN = ["method", "cut", "events", "fit", "Z", "peak Z", "global Z", "template", "Z (template)"]
_SHORT = {"peak Z": "peak", "global Z": "global", "Z (template)": "Z"}
"""Headers of the columns of a terminal, where they are shorter than in the report."""


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
        "sidebands. Z: local significance of the excess, whatever its shape, with the fit's uncertainty, by "
        "the asymptotic formula; with few events results.json has p-values from toys (p_toys) and sums "
        "(p0_exact). peak Z: largest local significance of a Gaussian peak in the region; global Z: the "
        "same after the look-elsewhere effect of the masses in the region. template: expected from the "
        "template (2411.00085). limit: on the signal events behind the cut, 95 % CLs, from the fit; with "
        "its Monte Carlo error where there are few events and toys were drawn. In brackets: the features or "
        "the cut follow the mass, so that an excess is no discovery.",
    )


def screen_table(results: Results) -> Table:
    """The same for a terminal of 80 columns. The Z beside a background is that of the count over it."""
    full = summary_table(results)
    columns = [full.header.index(name) for name in _SCREEN]
    rows = [[row[i].replace(" ± ", "±") for i in columns] for row in full.rows]
    return Table([_SHORT.get(name, name) for name in _SCREEN], rows)


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
    chosen = f"{TITLES[first]} with {share(results['working_points'][0])} of the background"
    before = results["inclusive"]
    if cuts and cuts[0]["working_point"] == results["working_points"][0]:
        cut = cuts[0]
        count, peak, template = cut["count"], cut["peak"], cut["template"]
        line = (
            f"{chosen}: {count['observed']:.0f} events in the signal region. {expected(count)} are expected "
            f"from the sidebands: {_local(cut)}. {expected(template)} are expected from the template: "
            f"{_of_template(template)}. Peaks in the region: largest local significance {peak['z']:.2f} at "
            f"{peak['mass']:.2f} TeV"
        )
        line += f", {_looked(peak)}." if "p_global" in peak else "."
        if not cut["valid"]:
            line += " This is no discovery: the features or the cut follow the mass, see the warnings."
        text = [line, f"Without a cut: {_local(before)}."]
        chosen = "This row is named in the card, which was written before this run made any score"
    else:
        text = [f"{chosen}, which the card names as the result, could not be searched: see the warnings."]
        chosen = "There is no result"
    text.append(
        f"{chosen}; the other cuts and methods are further looks, for which the p-values do not account, and "
        "neither do they for earlier runs on these events."
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
            f"Local p-values, {title}. Of Gaussian peaks, asymptotic; the background is fitted together "
            "with each; the shaded region is masked for peaks outside. The detector was trained for this "
            "region.",
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
                f"{cut['template']['closure']:.2f} ± {cut['template']['closure_error']:.2f}",
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
            "closure: share of the data beside the signal region that passes, over that of the template, "
            "whose background is corrected by it. "
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
                f"{c['auc']:.4f} ± {c['auc_error']:.4f}",
                _with_error(c["max_sic"], c["max_sic_error"]),
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
                "Errors: half of the band or the statistical error of the test sample, whichever is larger. "
                "max SIC is the largest of many values, and so a little too large.",
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
            [title, cut, str(s["parameters"]), f"{s['chi2']:.1f}/{s['ndf']}", _number(s["p_fit"]), trials]
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
        expected(count),
        marked(f"{count['z']:.2f}"),
        marked(f"{peak['z']:.2f}"),
        marked(_global(peak)),
        expected(template) if template else "-",
        marked(f"{template['z']:.2f}") if template else "-",
        limit_text(s["limit"]),
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


def expected(count: Mapping[str, Any]) -> str:
    """An expected number of events and its error."""
    digits = 1 if count["background"] < 1000 else 0
    return f"{count['background']:,.{digits}f} ± {count['background_error']:,.{digits}f}"


def limit_text(limit: Mapping[str, Any]) -> str:
    """Observed limit, with its Monte Carlo error if it has one, and the median of the expected ones."""
    error = float(limit["error"])
    digits = max(1, -math.floor(math.log10(error))) if error > 0 else 1
    text = f"{float(limit['observed']):,.{digits}f}" + (f" ± {error:.{digits}f}" if error > 0 else "")
    return f"{text} ({float(limit['expected'][2]):,.{digits}f})"


def chance(p: float) -> str:
    """A p-value; one that is too small for a number is below the smallest."""
    return f"= {p:.2g}" if p > 1e-300 else "< 1e-300"


def _local(s: Mapping[str, Any]) -> str:
    """p-value of a count: from toys where there are few events, else from the asymptotic formula."""
    count = s["count"]
    sign = "a deficit of " if float(count["z"]) < 0 else ""
    text = f"p0 {chance(count['p0'])} ({sign}{abs(float(count['z'])):.2f} standard deviations)"
    if s["p_toys"] is None:
        return text
    return f"p0 {chance(s['p_toys'])} ± {s['p_toys_error']:.1g} from weighted toys; asymptotic {text}"


def _of_template(template: Mapping[str, Any]) -> str:
    exact = template["p0_exact"]
    deficit = "a deficit of " if float(template["z"]) < 0 else ""
    text = f"{deficit}{abs(float(template['z'])):.2f} standard deviations"
    return text if exact is None else f"p0 {chance(exact)}; asymptotic {text}"


def _looked(peak: Mapping[str, Any]) -> str:
    """Global p-value, and where it comes from."""
    n, k = peak["toys"], peak["extreme"]
    share = f"{k:,} of {n:,} toys are as extreme"
    low, high = (float(v) for v in peak["p_global_68"])
    value = f"global p-value {chance(peak['p_global'])}"
    if peak["method"] == "toys":
        return f"{value} ({low:.2g} to {high:.2g}; {share})"
    at_most = f"p < {1 / n:.2g}: {share}" if k == 0 else share
    return f"{value} ± {peak['p_upcrossings_error']:.1g} from up-crossings ({at_most})"


def _with_error(value: Any, error: Any) -> str:
    """A number and its error; a dash where no background efficiency was known well enough for it."""
    return "-" if math.isnan(float(value)) else f"{float(value):.1f} ± {float(error):.1f}"


def _number(value: Any) -> str:
    """A p-value of a table; a fit without degrees of freedom has none."""
    return "-" if math.isnan(float(value)) else f"{float(value):.3f}"


def _sculpting(cut: Mapping[str, Any]) -> list[str]:
    s = cut.get("sculpting")
    if s is None:
        return ["-", "-", "-"]
    return [f"{s['slope']:.2f} ± {s['slope_error']:.2f}", f"{s['chi2']:.1f}/{s['ndf']}", f"{s['z']:.2f}"]
