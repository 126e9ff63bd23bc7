"""Jets of many events at once: anti-kT, selection, N-subjettiness, all by FastJet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..features import JetColumns
from .settings import Simulation

Array = NDArray[np.float64]

_SOFTEST = 50.0  # GeV; a second leading jet below it does not occur


def leading_jets(
    momenta: Array, counts: NDArray[np.int64], settings: Simulation
) -> tuple[Array, NDArray[np.bool_]]:
    """Cluster events and keep those whose two leading jets pass the selection.

    Parameters
    ----------
    momenta : Array
        (particles, 4) of all events one after the other, as (E, px, py, pz) in GeV.
    counts : ndarray
        (n,) particles of each event.
    settings : Simulation
        Jet radius and cuts.

    Returns
    -------
    (Array, ndarray)
        `JetColumns` (accepted, 14) of the leading and the second jet, and
        the mask (n,) of accepted events.
    """
    import awkward as ak
    import fastjet

    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.jet_radius)
    clusters: Any = fastjet.ClusterSequence(_events(momenta, counts), definition)
    jets: Any = clusters.inclusive_jets(min_pt=_SOFTEST)
    constituents: Any = clusters.constituents(min_pt=_SOFTEST)
    pt = np.hypot(jets.px, jets.py)
    order = ak.argsort(pt, axis=1, ascending=False)[:, :2]
    accepted = ak.to_numpy(ak.num(order) == 2)
    jets, constituents, pt = jets[order][accepted], constituents[order][accepted], pt[order][accepted]
    eta = np.arcsinh(jets.pz / pt)
    passed = ak.to_numpy((pt[:, 0] > settings.min_pt) & ak.all(abs(eta) < settings.max_eta, axis=1))
    accepted[accepted] = passed
    jets, constituents = jets[passed], constituents[passed]
    if not passed.any():
        return np.empty((0, len(JetColumns))), accepted
    energy, px, py, pz = (ak.to_numpy(jets[name]) for name in ("E", "px", "py", "pz"))
    mass = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))
    tau = _subjettiness(ak.flatten(constituents, axis=1), definition, settings.jet_radius).reshape(-1, 2, 3)
    columns = np.concatenate([np.stack([px, py, pz, mass], axis=2), tau], axis=2)
    return columns.reshape(len(columns), -1), accepted


def _subjettiness(jets: Any, definition: Any, radius: float) -> Array:
    """tau1 to tau3 (jets, 3) with one-pass kT axes and beta = 1 (1011.2268)."""
    import awkward as ak
    import fastjet

    clusters: Any = fastjet.ClusterSequence(jets, definition)
    tau = clusters.njettiness(
        measure_definition="NormalizedMeasure",
        axes_definition="OnePass_KT_Axes",
        njets=[1, 2, 3],
        beta=1.0,
        R0=radius,
    )
    return ak.to_numpy(tau)


def _events(momenta: Array, counts: NDArray[np.int64]) -> Any:
    import awkward as ak

    columns = dict(zip(("E", "px", "py", "pz"), np.ascontiguousarray(momenta.T), strict=True))
    return ak.unflatten(ak.zip(columns, with_name="Momentum4D"), counts)
