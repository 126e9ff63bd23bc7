"""What ``lhcflow generate`` says of generators, in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    from ..processes import EventGenerator
    from ..processes.comparison import Row

    # The name of a phase-space map, its generators, and what they found.
    Comparison: TypeAlias = tuple[str, list[EventGenerator], list[Row]]

_CUTS = {
    "durham": "Durham y_cut > {:g}",
    "jade": "JADE y_cut > {:g}",
    "min_mass": "m_ij > {:g} GeV",
    "jet_pt": "jets with pT > {:g} GeV",
    "jet_eta": "|eta| < {:g}",
    "jet_radius": "R = {:g}",
    "lepton_pt": "leptons with pT > {:g} GeV",
    "lepton_eta": "leptons with |eta| < {:g}",
    "missing_pt": "missing pT > {:g} GeV",
    "lepton_jet": "Delta R of leptons and jets > {:g}",
}


def setting(generator: EventGenerator) -> str:
    """Energy, densities, scale and cuts in words."""
    card = generator.cross_section.card()
    cuts = dict(card["cuts"])
    parts = [f"{card['energy'] if 'energy' in card else card['beams']['energy']:g} GeV"]
    if "pdf" in card:
        unit = " GeV" if card["scale"][0].isdigit() else ""
        parts += [card["pdf"], f"scale {card['scale']}{unit}"]
        parts.append(f"{cuts.pop('min_mass', 0):g} < m_ll < {cuts.pop('max_mass'):g} GeV")
        if not generator.cross_section.name.count(" j"):
            cuts = {name: value for name, value in cuts.items() if not name.startswith("jet_")}
    parts += [_CUTS[name].format(value) for name, value in cuts.items()]
    return ", ".join(parts if cuts or "pdf" in card else [*parts, "no cuts"])


def method_name(generator: EventGenerator) -> str:
    """What stands in tables and figures."""
    if generator.method == "bare":
        return "flat phase space" if generator.card()["phase_space"] == "flat" else "channels"
    return "VEGAS" if generator.method == "vegas" else generator.method


def table_rows(
    generators: Sequence[EventGenerator], rows: Sequence[Row]
) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the comparison, for the terminal and the report."""
    from ..integration.results import value_with_error

    header = ["method", "cross section", "chi2/dof", "Q", "efficiency", "replicas", "calls", "seconds"]
    cells = [
        [
            method_name(generator),
            value_with_error(row.cross_section, row.error) + " pb",
            f"{row.chi2:.1f}/{row.dof}",
            f"{row.q:.2f}",
            f"{row.efficiency:.3g}",
            f"{row.replica_efficiency:.3g}",
            f"{row.calls:,}",
            f"{row.seconds:.1f}",
        ]
        for generator, row in zip(generators, rows, strict=True)
    ]
    return header, cells
