"""Features of a dijet event, computed from the two leading jets.

The columns of the jets are those of the LHC Olympics R&D features file (Zenodo 4536377), in GeV; the
features are those of ANODE and CATHODE (2001.04990, 2109.00546), masses in TeV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]

JetColumns: tuple[str, ...] = tuple(
    f"{quantity}j{jet}" for jet in (1, 2) for quantity in ("px", "py", "pz", "m", "tau1", "tau2", "tau3")
)
"""Columns of the jets: momentum and mass in GeV, N-subjettiness for 1 to 3 axes; jet 1 and then jet 2."""

FEATURES = ("mJ1", "dmJ", "tau21J1", "tau21J2")
"""The four features of ANODE and CATHODE. J1 is the lighter of the two jets, J2 the heavier one."""

_GEV = 1e-3  # in TeV
_NO_ZERO = 1e-5  # as in CATHODE: tau21 = tau2 / (1e-5 + tau1)


def jet_features(jets: Mapping[str, Array], names: Sequence[str] = FEATURES) -> tuple[Array, Array]:
    """Compute features and the dijet mass from the two jets.

    Parameters
    ----------
    jets : the :data:`JetColumns`, (n,) each.
    names : which features: ``mJ1`` and ``mJ2`` (masses of the lighter and the heavier jet), ``dmJ``
        (their difference), ``tau21J1``, ``tau21J2``, ``tau32J1``, ``tau32J2``, ``dR`` (distance of the
        jets in rapidity and azimuth), ``ptJ1``, ``ptJ2``. Masses and momenta in TeV.

    Returns
    -------
    features (n, len(names)), and m_jj (n,) in TeV.

    Raises
    ------
    InputError
        If a column is missing or a name unknown.
    """
    missing = [c for c in JetColumns if c not in jets]
    if missing:
        raise InputError(f"columns are missing: {', '.join(missing)}")
    columns = np.stack([np.asarray(jets[c], dtype=float) for c in JetColumns])
    pair = columns.reshape(2, 7, -1)  # jet, quantity, event
    px, py, pz, mass = (pair[:, i] for i in range(4))
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    total = [component.sum(axis=0) for component in (energy, px, py, pz)]
    m = _GEV * np.sqrt(np.maximum(total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2, 0))

    lighter = np.argsort(mass, axis=0, kind="stable")

    def ordered(quantity: Array) -> Array:
        return np.take_along_axis(quantity, lighter, axis=0)

    tau1, tau2, tau3 = (ordered(pair[:, i]) for i in (4, 5, 6))
    masses = _GEV * ordered(mass)
    tau21, tau32 = tau2 / (_NO_ZERO + tau1), tau3 / (_NO_ZERO + tau2)
    pt = _GEV * ordered(np.hypot(px, py))
    rapidity = np.arctanh(pz / energy)
    azimuth = np.arctan2(py, px)
    # The difference of two angles, in -pi to pi.
    dphi = np.mod(azimuth[0] - azimuth[1] + np.pi, 2 * np.pi) - np.pi
    known = {
        "mJ1": masses[0],
        "mJ2": masses[1],
        "dmJ": masses[1] - masses[0],
        "tau21J1": tau21[0],
        "tau21J2": tau21[1],
        "tau32J1": tau32[0],
        "tau32J2": tau32[1],
        "dR": np.hypot(rapidity[0] - rapidity[1], dphi),
        "ptJ1": pt[0],
        "ptJ2": pt[1],
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"unknown features {', '.join(unknown)}: there are {', '.join(known)}")
    return np.stack([known[name] for name in names], axis=1), m
