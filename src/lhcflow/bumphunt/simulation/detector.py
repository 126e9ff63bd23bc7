"""A parametric detector: acceptance, efficiency and resolution by formula.

This is no simulation of a detector: showers, overlaps, material, magnetic field and pile-up are absent.
Its numbers are of the size of those in the public CMS card of Delphes (1307.6346):

=================  =====================  ===========  =============================  ==================
particles          acceptance             efficiency   resolution of pT               angles
=================  =====================  ===========  =============================  ==================
charged            pT > 0.5, abs eta 2.5  95 %         1 %                            exact
photons            pT > 0.25, abs eta 4   100 %        10 % / sqrt(E / GeV) + 1 %     towers of 0.0174
neutral hadrons    pT > 0.25, abs eta 4   100 %        50 % / sqrt(E / GeV) + 5 %     towers of 0.087
=================  =====================  ===========  =============================  ==================

Terms of a resolution are added in quadrature; what is left is massless.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHARGED, PHOTON, NEUTRAL = 0, 1, 2
"""Classes of particles."""

_MIN_PT = np.array([0.5, 0.25, 0.25])
_MAX_ETA = np.array([2.5, 4.0, 4.0])
_EFFICIENCY = np.array([0.95, 1.0, 1.0])
_STOCHASTIC = np.array([0.0, 0.10, 0.50])
_CONSTANT = np.array([0.01, 0.01, 0.05])
_TOWER = np.array([0.0, 0.0174, 0.087])


def respond(
    momenta: Array, kind: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """What the detector makes of particles.

    Parameters
    ----------
    momenta : Array
        (n, 4) as (E, px, py, pz) in GeV.
    kind : ndarray
        (n,) `CHARGED`, `PHOTON` or `NEUTRAL`.
    rng : np.random.Generator
        Three random numbers are drawn per particle, seen or not.

    Returns
    -------
    (Array, ndarray)
        Measured momenta (n, 4), massless, and the mask (n,) of what is seen.
    """
    energy, px, py, pz = momenta.T
    true_pt = np.hypot(px, py)
    eta = np.arcsinh(pz / np.maximum(true_pt, 1e-9))
    phi = np.arctan2(py, px)
    seen = (
        (true_pt > _MIN_PT[kind])
        & (np.abs(eta) < _MAX_ETA[kind])
        & (rng.random(len(kind)) < _EFFICIENCY[kind])
    )
    spread = np.hypot(_STOCHASTIC[kind] / np.sqrt(np.maximum(energy, 0.1)), _CONSTANT[kind])
    pt = true_pt * (1 + spread * rng.standard_normal(len(kind)))
    cell = _TOWER[kind]
    towers = cell > 0
    eta[towers] = (np.floor(eta[towers] / cell[towers]) + 0.5) * cell[towers]
    phi[towers] = (np.floor(phi[towers] / cell[towers]) + 0.5) * cell[towers]
    seen &= pt > 1e-3
    pt = np.where(seen, pt, 0.0)
    eta = np.where(seen, eta, 0.0)
    measured = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    return measured, seen
