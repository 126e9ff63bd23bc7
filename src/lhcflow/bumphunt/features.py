"""Features of a dijet event, computed from the two leading jets.

The columns of the jets are those of the LHC Olympics R&D features file (Zenodo 4536377), in GeV; the
features are those of ANODE and CATHODE (2001.04990, 2109.00546), masses in TeV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

JetColumns: tuple[str, ...] = tuple(
    f"{quantity}j{jet}" for jet in (1, 2) for quantity in ("px", "py", "pz", "m", "tau1", "tau2", "tau3")
)
"""Columns of the jets: momentum and mass in GeV, N-subjettiness for 1 to 3 axes; jet 1 and then jet 2."""

FEATURES = ("mJ1", "dmJ", "tau21J1", "tau21J2")
"""The four features of ANODE and CATHODE. J1 is the lighter of the two jets, J2 the heavier one."""

_KNOWN = (*FEATURES[:1], "mJ2", *FEATURES[1:], "tau32J1", "tau32J2", "dR", "ptJ1", "ptJ2")
_GEV = 1e-3  # in TeV
_NO_ZERO = 1e-5  # as in CATHODE: tau21 = tau2 / (1e-5 + tau1)


def required_columns(names: Sequence[str] = FEATURES) -> tuple[str, ...]:
    """The `JetColumns` from which these features and the dijet mass are computed.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    unknown = [name for name in names if name not in _KNOWN]
    if unknown:
        raise InputError(f"unknown features {', '.join(unknown)}: there are {', '.join(_KNOWN)}")
    axes = {axis for name in names if name.startswith("tau") for axis in (name[3], name[4])}
    return tuple(c for c in JetColumns if not c.startswith("tau") or c[3] in axes)


def jet_features(jets: Mapping[str, ArrayLike], names: Sequence[str] = FEATURES) -> tuple[Array, Array]:
    """Compute features and the dijet mass from the two jets.

    Parameters
    ----------
    jets : mapping
        The `required_columns`, (n,) each; others are not looked at.
    names : sequence of str
        Which features: ``mJ1`` and ``mJ2`` (masses of the lighter and the heavier jet), ``dmJ``
        (their difference), ``tau21J1``, ``tau21J2``, ``tau32J1``, ``tau32J2``, ``dR`` (distance of the
        jets in rapidity and azimuth), ``ptJ1``, ``ptJ2``. Masses and momenta in TeV.

    Returns
    -------
    features, m : arrays
        Of shapes (n, len(names)) and (n,), the second in TeV.

    Raises
    ------
    InputError
        If a column is missing or a name unknown.
    """
    missing = [c for c in required_columns(names) if c not in jets]
    if missing:
        raise InputError(f"columns are missing: {', '.join(missing)}")

    def pair(quantity: str) -> Array:
        return np.stack([np.asarray(jets[f"{quantity}j{jet}"], dtype=float) for jet in (1, 2)])

    px, py, pz, mass = (pair(quantity) for quantity in ("px", "py", "pz", "m"))
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    total = [component.sum(axis=0) for component in (energy, px, py, pz)]
    m = _GEV * np.sqrt(np.maximum(total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2, 0))
    lighter = np.argsort(mass, axis=0, kind="stable")

    def ordered(quantity: Array) -> Array:
        return np.take_along_axis(quantity, lighter, axis=0)

    def feature(name: str) -> Array:
        if name.startswith("tau"):
            jet = int(name[-1]) - 1
            upper, lower = (ordered(pair(f"tau{axis}"))[jet] for axis in name[3:5])
            return upper / (_NO_ZERO + lower)
        if name.startswith("pt"):
            return _GEV * ordered(np.hypot(px, py))[int(name[-1]) - 1]
        if name == "dR":
            return _distance(px, py, pz, energy)
        first, second = _GEV * ordered(mass)
        return {"mJ1": first, "mJ2": second, "dmJ": second - first}[name]

    columns = [feature(name) for name in names]
    return (np.stack(columns, axis=1) if columns else np.empty((len(m), 0))), m


def _distance(px: Array, py: Array, pz: Array, energy: Array) -> Array:
    """Distance (n,) of both jets in rapidity and azimuth; infinite for a jet along the beam."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rapidity = np.arctanh(pz / energy)
        azimuth = np.arctan2(py, px)
        # The difference of two angles, in -pi to pi.
        dphi = np.mod(azimuth[0] - azimuth[1] + np.pi, 2 * np.pi) - np.pi
        return np.hypot(rapidity[0] - rapidity[1], dphi)
