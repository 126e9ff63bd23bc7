"""Textbook formulas, written independently of the package, that the tests compare with."""

import numpy as np
from scipy.special import spence

HBARC2 = 0.3893793721e9  # pb GeV^2
U_TYPE = (2 / 3, 0.5)
D_TYPE = (-1 / 3, -0.5)
FLAVOURS = (U_TYPE, D_TYPE, D_TYPE, U_TYPE, D_TYPE)


def born(s, flavours, p):
    """sigma(e+ e- -> q qbar) in pb and its forward-backward asymmetric part, vector and axial couplings.

    d sigma / d cos = pi alpha^2 N_c / (2 s) [G1 (1 + c^2) + 2 G3 c]; PDG review of the electroweak model.
    Returns (sigma, sigma_FB / sigma).
    """
    sin2 = 1 - p.mw**2 / p.mz**2
    kappa = 1 / (4 * sin2 * (1 - sin2))
    chi = kappa * s / (s - p.mz**2 + 1j * p.mz * p.wz)
    ve, ae = -0.5 * 2 + 4 * sin2, -1.0  # v = 2 T3 - 4 Q sin2, a = 2 T3
    g1 = g3 = 0.0
    for q, t3 in flavours:
        v, a = 2 * t3 - 4 * q * sin2, 2 * t3
        # electron charge -1; couplings to the Z are (v, a) / (4 sw cw) in units of e
        z = chi / 4
        g1 += q**2 + 2 * (-1) * q * ve * v * z.real + (ve**2 + ae**2) * (v**2 + a**2) * abs(z) ** 2
        g3 += 2 * (-1) * q * ae * a * z.real + 4 * ve * ae * v * a * abs(z) ** 2
    prefactor = np.pi * p.alpha**2 * 3 / (2 * s) * HBARC2
    return prefactor * g1 * 8 / 3, 3 / 4 * g3 / g1


def jade_three_jets(y, alpha_s):
    """Three-jet fraction at order alpha_s, JADE: Ellis, Stirling, Webber, section 3.3 (C_F = 4/3)."""
    ratio = y / (1 - y)
    dilog = spence(1 - ratio)
    bracket = 2 * np.log(ratio) ** 2 + 3 * (1 - 2 * y) * np.log(y / (1 - 2 * y))
    bracket += 5 / 2 - 6 * y - 9 / 2 * y**2 + 4 * dilog - np.pi**2 / 3
    return 4 / 3 * alpha_s / (2 * np.pi) * bracket


def dalitz_element(y1, y2):
    """(x1^2 + x2^2) / ((1 - x1)(1 - x2)) with y = 1 - x."""
    return ((1 - y1) ** 2 + (1 - y2) ** 2) / (y1 * y2)


def durham_three_jets(y_cut, alpha_s, cells=3000):
    """Three-jet fraction at order alpha_s, Durham: midpoint rule in log(y1), log(y2), angles by energies."""
    edges = np.linspace(np.log(y_cut), 0, cells + 1)
    y = np.exp((edges[1:] + edges[:-1]) / 2)
    step = edges[1] - edges[0]
    total = 0.0
    for y1 in y:
        y3 = 1 - y1 - y
        x1, x2, x3 = 1 - y1, 1 - y, y1 + y
        passed = y3 > 0
        for mass, a, b in ((y3, x1, x2), (y, x1, x3), (y1, x2, x3)):
            cos = 1 - 2 * mass / (a * b)
            passed = passed & (np.minimum(a, b) ** 2 * (1 - cos) / 2 > y_cut)
        total += np.sum(np.where(passed, dalitz_element(y1, y) * y1 * y, 0))
    return 4 / 3 * alpha_s / (2 * np.pi) * total * step**2
