"""Squared amplitudes of a quark line and a lepton line joined by gamma*/Z or W, with up to one gluon.

With all particles outgoing, every helicity amplitude has the maximally-helicity-violating form: for
equal chiralities <q l>^2 / (<q g> <g q~> <l l~>) or its parity conjugate [q~ l~]^2 / ..., so that

    sum |M|^2 = 8 N_c C_F g_s^2 e^4 |s_ll| / |s_qg s_q~g|
                * (same * (s_ql^2 + s_q~l~^2) + opposite * (s_ql~^2 + s_q~l^2))

with the squared couplings of equal and of opposite chiralities of the two lines, summed over the two.
Crossing is a change of sign of momenta.
Source: Ellis, Stirling, Webber, QCD and Collider Physics, section 3.5; hep-ph/9708239 (section 2).
"""

import numpy as np

from .kinematics import invariant
from .structure import Structure

COLOURS = 3
CASIMIR_F = 4 / 3


def kinematic_factors(
    momenta: np.ndarray, structure: Structure, incoming: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parts of the squared amplitude that no coupling enters.

    Parameters
    ----------
    momenta : array (n, particles, 4)
        Incoming particles first, in GeV.

    Returns
    -------
    s : array (n,)
        Invariant mass squared of the lepton pair; GeV^2.
    same, opposite : arrays (n,)
        Factors of the couplings with the same and with opposite chiralities of the two lines;
        colour summed, couplings g_s and e left out.
    """
    p = np.ascontiguousarray(np.moveaxis(momenta, 0, -1))  # (particles, 4, n): long rows, not strides

    def s(i: int, j: int) -> np.ndarray:
        sign = 1 if (i < incoming) == (j < incoming) else -1
        return sign * invariant(p[i].T, p[j].T)

    # named as if all were outgoing: an incoming d~ is an outgoing d
    (quark,), (antiquark,) = structure.ends, structure.starts
    lepton, antilepton = structure.lepton_end, structure.lepton_start
    s_ll = s(lepton, antilepton)
    same, opposite = s(quark, lepton) ** 2, s(quark, antilepton) ** 2
    if not structure.gluons:
        return s_ll, 4 * COLOURS * same, 4 * COLOURS * opposite
    (gluon,) = structure.gluons
    same += s(antiquark, antilepton) ** 2
    opposite += s(antiquark, lepton) ** 2
    antenna = np.abs(s_ll / (s(quark, gluon) * s(antiquark, gluon)))
    antenna *= 8 * COLOURS * CASIMIR_F
    return s_ll, same * antenna, opposite * antenna
