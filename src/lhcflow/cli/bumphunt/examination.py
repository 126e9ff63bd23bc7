"""Cuts on a trained detector's scores: searched, and tested for being cuts on the mass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...bumphunt.statistics import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...bumphunt import Events, SignalRegion
    from ...bumphunt.decorrelation import EfficiencyTest, MassResolution
    from ...bumphunt.statistics import Cut, Search
    from .training import Trained

_CLOSURE = 2.0
"""A cut that keeps so many times more or less beside the signal region gets a warning."""


@dataclass(frozen=True)
class Examined:
    """A cut.

    Attributes
    ----------
    cut : Cut
        What is left behind it.
    efficiency : EfficiencyTest
        Whether its efficiency changes smoothly with the mass.
    valid : bool
        Whether an excess behind it may be called a discovery: neither the features nor the cut follow the
        mass.
    """

    cut: Cut
    efficiency: EfficiencyTest
    valid: bool


def examine(
    working_points: Sequence[float],
    settings: Settings,
    events: Events,
    trained: Trained,
    edges: NDArray[np.float64],
    region: SignalRegion,
    inclusive: Search,
    resolution: MassResolution | None,
    warn: Callable[[str], None],
) -> list[Examined]:
    """All working points that leave enough events for a fit; ``warn`` hears what is wrong with cuts.

    Parameters
    ----------
    edges : array
        Of the fit, in TeV.
    inclusive : Search
        Of the spectrum before the cut.
    resolution : MassResolution or None
        Of the features.
    """
    from ...bumphunt.decorrelation import efficiency_test
    from ...bumphunt.statistics import examine_cuts
    from ...bumphunt.statistics.working_points import passes

    cuts = examine_cuts(
        events.m,
        trained.efficiency,
        trained.template_efficiency,
        working_points,
        edges,
        region,
        inclusive,
        settings,
        events.label,
        warn,
    )
    examined = []
    for cut in cuts:
        point = cut.working_point
        test = efficiency_test(
            events.m,
            passes(trained.efficiency, point),
            edges,
            region,
            trained.template_m,
            passes(trained.template_efficiency, point),
        )
        if not test.valid:
            warn(
                f"the cut at {point:g}: the share that passes does not change smoothly with the mass "
                f"(p = {test.p:.1g}). The cut makes peaks out of background: an excess behind it is no "
                "discovery. Leave out features that follow the mass."
            )
        elif not 1 / _CLOSURE < cut.closure < _CLOSURE:
            warn(
                f"the cut at {point:g}: beside the signal region {cut.closure:.2g} times the share passes "
                "that should: the cut shapes the spectrum, do not believe its fit."
            )
        for text in cut.search.remarks:
            warn(f"the cut at {point:g}: {text}")
        examined.append(Examined(cut, test, test.valid and (resolution is None or resolution.valid)))
    return examined


def following_mass(resolution: MassResolution | None, region: SignalRegion) -> str | None:
    """A warning if the features give the mass away."""
    if resolution is None or resolution.valid:
        return None
    names = resolution.following
    alone = [name for name in names if resolution.each[name] < resolution.limit]
    width = min(resolution.together, *resolution.each.values())
    who = " and ".join(alone) if alone else f"{', '.join(names)} together"
    follow = "follows" if len(alone) == 1 else "follow"
    return (
        f"{who} {follow} the mass: beside the signal region the features tell m to ± {width:.2g} TeV; the "
        f"region has a half width of {region.width / 2:.2g} TeV. A cut on them selects masses and makes "
        "peaks out of background: no excess behind a cut is a discovery. Leave features out with --features."
    )
