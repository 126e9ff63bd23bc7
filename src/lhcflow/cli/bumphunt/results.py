"""The results of a hunt as plain tables: what ``results.json`` holds and the figures are drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bumphunt import Events, SignalRegion
from ...bumphunt.statistics import Cut, Limit, Search, Significance
from ...bumphunt.statistics.curves import Improvement, feature_edges, improvement, score_histogram

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...bumphunt.decorrelation import MassResolution
    from .examination import Examined
    from .training import Trained

_SCORE_BINS = 24


def search_table(found: Search) -> dict[str, Any]:
    """A search, with everything that its figures need."""
    table: dict[str, Any] = {
        "counts": found.spectrum.counts,
        "background": found.background,
        "background_error": found.error,
        "parameters": found.parameters,
        "f_test": [
            {"parameters": t.parameters, "chi2": t.goodness.chi2, "ndf": t.goodness.ndf, "f": t.f, "p": t.p}
            for t in found.trials
        ],
        "chi2": found.quality.chi2,
        "ndf": found.quality.ndf,
        "p_fit": found.quality.p,
        "count": significance_table(found.count),
        "p_toys": found.p_toys,
        "p_toys_error": found.p_toys_error,
        "limit": limit_table(found.limit),
        "scan": {
            "masses": found.scan.masses,
            "z": found.scan.z,
            "yields": found.scan.yields,
            "errors": found.scan.errors,
        },
        "function_systematic": found.spurious.largest,
    }
    inside = found.scan.within(found.region)
    best = int(np.argmax(inside.z))
    table["peak"] = {"mass": inside.masses[best], "z": inside.z[best], "yield": inside.yields[best]}
    if found.global_ is not None:
        g = found.global_
        table["peak"] |= {
            "p_global": g.best,
            "z_global": g.z,
            "toys": g.toys,
            "p_toys": g.p,
            "p_toys_68": [g.low, g.high],
            "p_upcrossings": g.upcrossings,
            "p_upcrossings_error": g.upcrossings_error,
            "method": g.method,
            "extreme": g.extreme,
            "p_global_68": g.interval,
        }
    return table


def limit_table(found: Limit) -> dict[str, Any]:
    """A limit with its Monte Carlo errors, which are zero where no toys were drawn."""
    return {
        "observed": found.observed,
        "expected": found.expected,
        "method": found.method,
        "error": found.error,
        "expected_error": found.expected_error,
    }


def significance_table(found: Significance) -> dict[str, float]:
    """An excess."""
    return {
        "observed": found.observed,
        "background": found.background,
        "background_error": found.background_error,
        "yield": found.yield_,
        "yield_error": found.yield_error,
        "p0": found.p0,
        "z": found.z,
    }


def cut_table(cut: Cut) -> dict[str, Any]:
    """One working point."""
    template = cut.template
    table = {
        "working_point": cut.working_point,
        **search_table(cut.search),
        "template": significance_table(cut.template_significance)
        | {
            "p0_exact": template.p0(),
            "closure": template.closure.ratio,
            "closure_error": template.closure.error,
            "closure_systematic": template.closure.systematic,
            "limit": limit_table(template.limit(cut.search.limit.level)),
        },
    }
    if cut.signal is not None:
        table["truth"] = {
            "signal": cut.signal,
            "background": cut.background,
            "signal_efficiency": cut.signal_efficiency,
        }
    if cut.sculpting is not None:
        s = cut.sculpting
        table["sculpting"] = {
            "slope": s.slope,
            "slope_error": s.slope_error,
            "chi2": s.smooth.chi2,
            "ndf": s.smooth.ndf,
            "p": s.smooth.p,
            "z": s.count.z,
        }
    return table


def examined_table(one: Examined) -> dict[str, Any]:
    """One working point, and whether an excess behind it may be called a discovery (``valid``)."""
    test = one.efficiency
    return cut_table(one.cut) | {
        "valid": one.valid,
        "efficiency": {
            "p": test.p,
            "p_sidebands": None if test.sidebands is None else test.sidebands.p,
            "p_template": None if test.template is None else test.template.p,
            "slope": test.slope,
            "slope_error": test.slope_error,
            "valid": test.valid,
        },
    }


def resolution_table(found: MassResolution | None) -> dict[str, Any] | None:
    """How well features tell the mass."""
    if found is None:
        return None
    return {
        "together": found.together,
        "each": found.each,
        "limit": found.limit,
        "valid": found.valid,
        "following": found.following,
    }


def fit_range_table(edges: ArrayLike, m: ArrayLike) -> dict[str, Any]:
    """Where the fit begins and ends, in TeV, and how many events lie below and above."""
    e, mass = np.asarray(edges), np.asarray(m)
    return {
        "low": e[0],
        "high": e[-1],
        "below": int((mass < e[0]).sum()),
        "above": int((mass >= e[-1]).sum()),
    }


def improvement_table(found: Improvement, source: str) -> dict[str, Any]:
    """Curves against labels."""
    return {
        "source": source,
        "auc": found.auc,
        "auc_error": found.auc_error,
        "max_sic": found.max_sic,
        "max_sic_error": found.max_sic_error,
        "sic_at_1e-3": found.sic,
        "sic_error": found.sic_error,
        "signal": found.signal,
        "background": found.background,
        "tpr": found.band.x,
        "sic": found.band.median,
        "low": found.band.low,
        "high": found.band.high,
    }


def improvements(
    events: Events, test: Events | None, trained: Mapping[str, Trained], region: SignalRegion
) -> dict[str, Improvement]:
    """Curves of each method: of the test sample, else of the cross-fitted events; empty without labels."""
    found = {}
    for name, result in trained.items():
        if test is not None and test.label is not None:
            inside = region.contains(test.m)
            found[name] = improvement(list(result.test_scores[:, inside]), test.label[inside])
        elif events.label is not None:
            inside = region.contains(events.m)
            label = events.label[inside]
            if 0 < label.sum() < len(label):
                found[name] = improvement([-result.efficiency[inside]], label)
    return found


def score_table(events: Events, result: Trained, region: SignalRegion) -> dict[str, Any]:
    """Histograms of the scores."""
    smallest = 1 / max(len(result.template_efficiency), 10)
    edges = np.linspace(0, max(math.ceil(-2 * math.log10(smallest)) / 2 - 0.5, 1.0), _SCORE_BINS + 1)
    inside = region.contains(events.m)
    samples: dict[str, ArrayLike] = {
        "template": result.template_efficiency,
        "sidebands": result.efficiency[~inside],
        "signal region": result.efficiency[inside],
    }
    if events.label is not None:
        samples["signal"] = result.efficiency[inside & (events.label == 1)]
    return {"edges": edges, "counts": {name: score_histogram(e, edges) for name, e in samples.items()}}


def template_table(events: Events, result: Trained, region: SignalRegion) -> dict[str, Any]:
    """Histograms of the features, of the template and of the data of the signal region."""
    inside = region.contains(events.m)
    table = {}
    for i, name in enumerate(events.names):
        x = events.features[inside, i]
        edges = feature_edges(x)
        counts = {
            "template": np.histogram(result.template[:, i], edges)[0],
            "data": np.histogram(x, edges)[0],
        }
        if events.label is not None and (label := events.label[inside]).any():
            counts["background"] = np.histogram(x[label == 0], edges)[0]
            counts["signal"] = np.histogram(x[label == 1], edges)[0]
        table[name] = {"edges": edges, "counts": counts}
    return table
