"""The report of ``lhcflow generate``: which figures and tables it holds, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import plotting
from ..plotting import Iterations, Observable, Picture, Section, Table
from ..processes import CrossSection, EventGenerator, HadronicCrossSection
from ..processes.comparison import N_OPT, Row
from ..processes.distributions import boson_observables, three_jet_observables
from ..reproduce.three_jets import variable_pictures
from ..runs import RunDirectory
from .generate_table import method_name, setting, table_rows
from .report import write_report

if TYPE_CHECKING:
    from .generate_table import Comparison

_POINTS = 100_000
_EVENTS = 100_000  # that are read from the file for figures: more show no more, and take 0.1 ms each
#: Symbol, unit, lower end and scale of the panels of a boson and jets.
BOSON_PANELS: dict[str, tuple[str, str, float | None, Literal["linear", "log-y"]]] = {
    "m_ll": ("m_{ll}", "GeV", None, "log-y"),
    "pt_v": ("p_{T,V}", "GeV", 0.0, "log-y"),
    "y_v": ("|y_V|", "", 0.0, "linear"),
    "pt_l": (r"p_{T,\ell}", "GeV", 0.0, "log-y"),
    "eta_l": (r"|\eta_\ell|", "", 0.0, "linear"),
    "pt_1": ("p_{T,1}", "GeV", None, "log-y"),
    "y_1": ("|y_1|", "", 0.0, "linear"),
    "pt_2": ("p_{T,2}", "GeV", None, "log-y"),
    "y_2": ("|y_2|", "", 0.0, "linear"),
    "pt_3": ("p_{T,3}", "GeV", None, "log-y"),
    "y_3": ("|y_3|", "", 0.0, "linear"),
    "m_jj": ("m_{12}", "GeV", 0.0, "log-y"),
    "dr_jj": (r"\Delta R_{12}", "", None, "linear"),
    "dr_vj": (r"\Delta R_{V1}", "", None, "linear"),
}


def report_events(
    run: RunDirectory, comparisons: Sequence[Comparison], warnings: Sequence[str], lhe: Path
) -> None:
    """Draw the figures, as PDF files too, and write ``report.html``.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Per phase-space map its name, the generators and what they found; the first made the events.
    warnings : sequence of str
        Shown on top.
    lhe : path
        The file of events; the distributions are those of what stands in it.
    """
    _, (main, *_), _ = comparisons[0]
    f = main.cross_section
    titles = ["Cross section", *(f"The same on {name} phase space" for name, _, _ in comparisons[1:])]
    sections = [
        _comparison(title, generators, rows, pairs=comparison is comparisons[-1])
        for title, comparison in zip(titles, comparisons, strict=True)
        for _, generators, rows in (comparison,)
    ]
    if isinstance(f, HadronicCrossSection):
        sections.insert(1, _boson_events(main, f, lhe))
    elif isinstance(f, CrossSection) and f.process.n_final == 3:
        sections.insert(1, _three_jet_events(main, f, lhe))
    write_report(run, f.name, setting(main), sections, warnings)


def _comparison(
    title: str, generators: Sequence[EventGenerator], rows: Sequence[Row], pairs: bool
) -> Section:
    """Table, convergence, weights and what the first of the generators learned."""
    scale, unit = _unit(generators[0])
    header, cells = table_rows(generators, rows)
    iterations = {
        method_name(g): Iterations(
            [scale * float(e.mean[0]) for e in g.result.iterations],
            [scale * float(e.sdev[0]) for e in g.result.iterations],
            [e.calls for e in g.result.iterations],
        )
        for g in generators
    }
    weights = {method_name(g): g.result.sampler.sample(_POINTS)[1] for g in generators if g.result.sampler}
    efficiencies = {method_name(g): row.efficiency for g, row in zip(generators, rows, strict=True)}
    content: list[Table | Picture] = [
        Table(
            header,
            cells,
            "Each method with the same cuts and phase-space map; calls include those of the adaptation. "
            "Efficiency: accepted share of the points if events above the maximum weight carry a small share "
            "of the cross section (overweight in the run card); with replicas: mean weight over maximum, the "
            f"median of the maxima of 1,000 replicas of n_opt = {N_OPT:,} weights (2001.10028).",
        ),
        Picture(
            plotting.convergence(iterations, quantity=r"$\sigma$", unit=unit),
            "Convergence. Points: the iterations that count, against their calls; lines with bands: the "
            "combined estimate so far; below, its chi2 per degree of freedom.",
        ),
        Picture(
            plotting.weight_distribution(weights, efficiencies),
            f"Weights. Distribution of {_POINTS:,} weights relative to their mean; the narrower, the "
            "fewer points are rejected when events are unweighted.",
        ),
    ]
    if generators[0].method != "bare" and pairs:
        content += variable_pictures(generators[0], method_name(generators[0]), _POINTS)
    return Section(title, content=content)


def _boson_events(main: EventGenerator, f: HadronicCrossSection, lhe: Path) -> Section:
    """Distributions of boson, leptons and jets."""
    scale, unit = _unit(main)
    momenta, weights = _read(lhe)
    points, reference_weights = _reference(main, _POINTS if f.discrete else 4 * _POINTS)
    seen, reference = (boson_observables(p, f.leptons, f.jets) for p in (momenta, points))
    panels = []
    for key, (symbol, of, low, form) in BOSON_PANELS.items():
        if key in seen:
            high = np.quantile(seen[key], 0.995) if form != "log-y" else np.quantile(seen[key], 0.999)
            start = float(np.min(seen[key])) if low is None else low
            panels.append(
                Observable(symbol, seen[key], reference[key], of, low=start, high=float(high), scale=form)
            )
    figure = plotting.observables(
        panels, reference_weights, weights, cross_section=scale * float(main.result.mean), unit=unit
    )
    caption = (
        f"Observables. Points: {_shown(weights)} with their statistical "
        "errors; line and band: weighted points, drawn evenly from the channels of phase space, and their "
        "errors; below, the ratio of the two. Jets are ordered in transverse momentum."
    )
    return Section("Events", content=[Picture(figure, caption)])


def _reference(main: EventGenerator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Momenta and weights of `n` evenly drawn points that owe nothing to the sampler, without zeros."""
    f = main.cross_section
    rng = np.random.default_rng(np.random.SeedSequence(main.seed).spawn(4)[3])
    points, weights = f.evaluate(rng.random((n, f.dim)))
    return points[weights != 0], weights[weights != 0]


def _three_jet_events(main: EventGenerator, f: CrossSection, lhe: Path) -> Section:
    scale, unit = _unit(main)
    momenta, weights = _read(lhe)
    points, reference_weights = _reference(main, 4 * _POINTS)
    seen, reference = three_jet_observables(momenta), three_jet_observables(points)
    half = f.beams.energy / 2

    def panel(symbol: str, key: str, unit: str = "", **options: object) -> Observable:
        factor = half if unit else 1.0
        return Observable(symbol, factor * seen[key], factor * reference[key], unit, **options)  # type: ignore[arg-type]

    thrust = Observable("1-T", 1 - seen["thrust"], 1 - reference["thrust"], scale="log-y")
    panels = [
        thrust,
        panel("y_{23}", "y23", scale="log"),
        panel(r"\cos\theta_q", "cos_quark", low=-1.0, high=1.0),
        panel("E_1", "x1", "GeV", scale="log-y"),
        panel("E_2", "x2", "GeV"),
        panel("E_3", "x3", "GeV"),
    ]
    x = momenta[:, 2:4, 0] / half
    return Section(
        "Events",
        content=[
            Picture(
                plotting.observables(
                    panels,
                    reference_weights,
                    weights,
                    cross_section=scale * float(main.result.mean),
                    unit=unit,
                ),
                f"Observables. Points: {_shown(weights)} with their "
                "statistical errors; line and band: evenly drawn, weighted points and their errors; below, "
                "the ratio of the two. T is the thrust, y_23 the Durham resolution between two and three "
                "jets, theta_q the angle of quark and incoming electron, E_1 > E_2 > E_3 the jets' energies.",
            ),
            Picture(
                plotting.dalitz(x[:, 0], x[:, 1], weights),
                "Dalitz plot. Energy fractions of quark and antiquark in the unweighted events.",
            ),
        ],
    )


def _unit(generator: EventGenerator) -> tuple[float, str]:
    """The unit of the figures: pb, or nb where numbers would be too long for an axis."""
    return (1e-3, "nb") if float(generator.result.mean) > 5e3 else (1.0, "pb")


def _read(lhe: Path) -> tuple[np.ndarray, np.ndarray]:
    """Momenta (n, particles, 4) and weights (n,) of the first events of a file."""
    import pylhe

    momenta, weights = [], []
    found: Any = pylhe.LHEFile.fromfile(str(lhe)).events  # a generator, which holds the file open
    with closing(found) as events:
        for event in itertools.islice(events, _EVENTS):
            # status 2: a resonance, which stands between the incoming and the outgoing particles
            momenta.append([(p.e, p.px, p.py, p.pz) for p in event.particles if p.status != 2])
            weights.append(event.eventinfo.weight)
    return np.array(momenta), np.array(weights)


def _shown(weights: np.ndarray) -> str:
    """How many events of the file the figures show."""
    first = "first " if len(weights) == _EVENTS else ""
    return f"the {first}{len(weights):,} unweighted events of the file"
