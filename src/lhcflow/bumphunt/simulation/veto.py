"""Stop hopeless QCD events early, so that the low edge of pTHat need not cut into the sample.

Jets can be harder than the hard process: with pTHat > 1 TeV a tenth of all events with a leading jet above
1.2 TeV would be missing. Going lower makes most events fail the selection, but nearly all their time is
spent in the soft part of the shower (multiparton interactions above all). The hook looks at the partons
when the evolution has come down to ``scale`` and stops events without any jet candidate near the cut.
"""

from __future__ import annotations

import math
from typing import Any

SCALE = 50.0
"""Evolution scale in GeV at which events are judged."""
MARGIN = 100.0
"""How much pT in GeV a jet may still gain below that scale."""


def early_veto(min_pt: float, radius: float, scale: float = SCALE, margin: float = MARGIN) -> Any:
    """A user hook for ``Pythia.addUserHooksPtr``.

    An event goes on if the partons within ``radius`` of one of them have together, as a vector, a pT
    above ``min_pt - margin``.
    """
    import pythia8mc

    class Veto(pythia8mc.UserHooks):
        def canVetoPT(self) -> bool:
            return True

        def scaleVetoPT(self) -> float:
            return scale

        def doVetoPT(self, iPos: int, event: Any) -> bool:
            partons = [(p.px(), p.py(), p.y(), p.phi()) for p in event if p.isFinal()]
            return not _has_jet(partons, min_pt - margin, radius)

    return Veto()


def _has_jet(partons: list[tuple[float, float, float, float]], threshold: float, radius: float) -> bool:
    """Whether partons (px, py, rapidity, azimuth) have a cone of more than ``threshold`` pT."""
    for px, py, y, phi in partons:
        if px * px + py * py < 0.01 * threshold * threshold:
            continue
        sx = sy = 0.0
        for qx, qy, z, psi in partons:
            turn = math.remainder(phi - psi, 2 * math.pi)
            if (y - z) ** 2 + turn * turn < radius * radius:
                sx += qx
                sy += qy
        if sx * sx + sy * sy > threshold * threshold:
            return True
    return False
