"""|M|^2 of e+ e- -> q qbar g by explicit Dirac matrices: no helicity formula, no crossing."""

import numpy as np

_I2, _SIGMA = np.eye(2), np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
GAMMA = np.zeros((4, 4, 4), dtype=complex)  # chiral representation, upper index
GAMMA[0, :2, 2:] = GAMMA[0, 2:, :2] = _I2
for _i in range(3):
    GAMMA[1 + _i, :2, 2:], GAMMA[1 + _i, 2:, :2] = _SIGMA[_i], -_SIGMA[_i]
GAMMA5 = np.diag([-1, -1, 1, 1]).astype(complex)
METRIC = np.diag([1.0, -1, -1, -1])
LEFT, RIGHT = (np.eye(4) - GAMMA5) / 2, (np.eye(4) + GAMMA5) / 2


def slash(p):
    return np.einsum("m,mn,nij->ij", p, METRIC, GAMMA)


def squared_amplitude(momenta, charge, isospin, p, alpha_s):
    """Averaged over the spins of e+ (first) and e-, summed over the rest; one point (5, 4)."""
    positron, electron, quark, antiquark, gluon = momenta
    s = (positron + electron)[0] ** 2 - np.sum((positron + electron)[1:] ** 2)
    sin2 = 1 - p.mw**2 / p.mz**2
    norm = np.sqrt(sin2 * (1 - sin2))
    z_propagator = 1 / (s - p.mz**2 + 1j * p.mz * p.wz)
    k, k_bar = quark + gluon, antiquark + gluon
    k2, k_bar2 = 2 * mdot(quark, gluon), 2 * mdot(antiquark, gluon)
    total = 0.0
    for lepton_chirality, lepton_t3 in ((LEFT, -0.5), (RIGHT, 0.0)):
        g_l = (lepton_t3 + sin2) / norm
        # lepton tensor L^{mu nu}
        lepton = np.array(
            [
                [
                    np.trace(slash(positron) @ GAMMA[m] @ lepton_chirality @ slash(electron) @ GAMMA[n])
                    for n in range(4)
                ]
                for m in range(4)
            ]
        )
        for quark_chirality, t3 in ((LEFT, isospin), (RIGHT, 0.0)):
            g_q = (t3 - charge * sin2) / norm
            coupling = abs(-charge / s + g_l * g_q * z_propagator) ** 2
            for rho in range(4):
                vertex = [
                    GAMMA[rho] @ slash(k) @ GAMMA[m] @ quark_chirality / k2
                    - GAMMA[m] @ quark_chirality @ slash(k_bar) @ GAMMA[rho] / k_bar2
                    for m in range(4)
                ]
                bar = [GAMMA[0] @ v.conj().T @ GAMMA[0] for v in vertex]
                hadron = np.array(
                    [
                        [np.trace(slash(quark) @ vertex[m] @ slash(antiquark) @ bar[n]) for n in range(4)]
                        for m in range(4)
                    ]
                )
                contracted = np.einsum("mn,ma,nb,ab->", hadron, METRIC, METRIC, lepton).real
                total += -METRIC[rho, rho] * coupling * contracted
    colour = 4.0  # tr(T^a T^a)
    return colour * (4 * np.pi * p.alpha) ** 2 * (4 * np.pi * alpha_s) * total / 4


def mdot(a, b):
    return a[0] * b[0] - np.dot(a[1:], b[1:])
