"""Squared amplitudes of a quark line and a lepton line joined by gamma*/Z or W, with up to one gluon.

With all particles outgoing, every helicity amplitude has the maximally-helicity-violating form: for
equal chiralities <q l>^2 / (<q g> <g q~> <l l~>) or its parity conjugate [q~ l~]^2 / ..., so that

    sum |M|^2 = 8 N_c C_F g_s^2 e^4 |s_ll| / |s_qg s_q~g|
                * (same * (s_ql^2 + s_q~l~^2) + opposite * (s_ql~^2 + s_q~l^2))

with (same, opposite) of :meth:`Parameters.neutral`. Crossing is a change of sign of momenta.
Source: Ellis, Stirling, Webber, QCD and Collider Physics, section 3.5; hep-ph/9708239 (section 2).
"""

import math
from dataclasses import dataclass

import numpy as np

from .couplings import Parameters
from .kinematics import invariant
from .particles import Particle

COLOURS = 3
CASIMIR_F = 4 / 3


@dataclass(frozen=True)
class Legs:
    """Where quark, antiquark, lepton, antilepton (and the gluon) stand among the external particles.

    They are named as if all were outgoing: an incoming d~ is an outgoing d.
    """

    quark: int
    antiquark: int
    lepton: int
    antilepton: int
    gluon: int | None


def kinematic_factors(
    momenta: np.ndarray, legs: Legs, incoming: int = 2
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

    s_ll = s(legs.lepton, legs.antilepton)
    same, opposite = s(legs.quark, legs.lepton) ** 2, s(legs.quark, legs.antilepton) ** 2
    if legs.gluon is None:
        return s_ll, 4 * COLOURS * same, 4 * COLOURS * opposite
    same += s(legs.antiquark, legs.antilepton) ** 2
    opposite += s(legs.antiquark, legs.lepton) ** 2
    antenna = np.abs(s_ll / (s(legs.quark, legs.gluon) * s(legs.antiquark, legs.gluon)))
    antenna *= 8 * COLOURS * CASIMIR_F
    return s_ll, same * antenna, opposite * antenna


def chirality_couplings(
    quark: Particle, antiquark: Particle, lepton: Particle, parameters: Parameters, s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """e^4 times the boson exchange for equal and for opposite chiralities, (n,) each.

    `quark`, `antiquark` and `lepton` are the outgoing ones; unequal quark flavours mean W exchange.
    """
    neutral = quark.pdg == -antiquark.pdg
    same, opposite = parameters.neutral(quark, lepton, s) if neutral else parameters.charged(s)
    e4 = (4 * math.pi * parameters.alpha) ** 2
    return e4 * same, e4 * opposite
