"""How much of a cross section comes from outside the grid of the parton densities, in words."""

from __future__ import annotations

import numpy as np

from .jet_cuts import JetCuts
from .pdf import EDGE, Pdf
from .scales import Scale

POINTS_OUTSIDE = 20_000  # that tell the share of the cross section outside, to 0.5 % or better


def may_leave_grid(
    pdf: Pdf, cuts: JetCuts, scale: Scale, energy: float, coupling: tuple[float, float] | None
) -> bool:
    """Whether the cuts and the choice of the scale admit points outside the grid.

    Parameters
    ----------
    energy : float
        Of the collision, GeV.
    coupling : (float, float), optional
        Scales in GeV between which alpha_s is known, if it runs.
    """
    low, high = cuts.min_mass, energy
    choice = scale.choice
    if not isinstance(choice, str):
        low = high = choice
    elif choice == "m_ll":
        high = cuts.max_mass
    elif choice == "ht/2":
        low = low / 2
    elif choice == "ht":
        high = 2 * high
    x = (cuts.min_mass / energy) ** 2  # of a parton whose partner takes all of its proton
    ranges = [pdf.q_range] if coupling is None else [pdf.q_range, coupling]
    return (
        x < pdf.x_range[0] or pdf.x_range[1] < 1 or any(low < inner[0] or high > inner[1] for inner in ranges)
    )


def outside_grid(
    pdf: Pdf, x: np.ndarray, q: np.ndarray, weights: np.ndarray, coupling: tuple[float, float] | None
) -> tuple[str, ...]:
    """A line for each edge that a part of the cross section lies beyond.

    Parameters
    ----------
    x : array (n, 2)
        Momentum fractions of both partons.
    q, weights : arrays (n,)
        Scales in GeV; weights whose mean is the cross section.
    coupling : (float, float), optional
        As in `may_leave_grid`.
    """
    edges: dict[str, np.ndarray] = {}
    for beam in (0, 1):
        for edge, beyond in pdf.outside(x[:, beam], q).items():
            edges[edge] = edges[edge] | beyond if edge in edges else beyond
    found = []
    for edge, beyond in edges.items():
        if share := _share(weights, beyond):
            found.append(
                f"{share} of the cross section come from {edge}, outside the grid of {pdf.name}: densities "
                "were taken at its edge there"
            )
    if coupling is not None:
        low, high = coupling
        if share := _share(weights, (q < low * (1 - EDGE)) | (q > high * (1 + EDGE))):
            found.append(
                f"{share} of the cross section have a scale outside {low:.3g} to {high:.3g} GeV, where "
                "alpha_s is known: the value at the end was taken"
            )
    return tuple(found)


def _share(weights: np.ndarray, beyond: np.ndarray) -> str:
    """The share of the sum of |weights|, in per cent; empty if it is none."""
    size = np.abs(weights)
    share = float(size[beyond].sum() / max(size.sum(), 1e-300))
    if not share:
        return ""
    return "less than 0.01 %" if share < 1e-4 else f"{100 * share:.3g} %"
