"""Random points of phase space for tests of amplitudes."""

import numpy as np

from lhcflow.processes import Rambo

METRIC = np.array([1.0, -1, -1, -1])


def metric(p, q):
    """Minkowski product of momenta (..., 4)."""
    return (p * q * METRIC).sum(axis=-1)


def scattering(n_final, energy, n, seed, hardness=0.0):
    """Random momenta (n, 2 + n_final, 4) with the first beam along +z.

    All invariants of two particles are above `hardness` times the total one: amplitudes lose digits near
    their poles, in any code.
    """
    phase_space, rng = Rambo(n_final), np.random.default_rng(seed)
    found = np.zeros((0, 2 + n_final, 4))
    while len(found) < n:
        momenta = np.zeros((n, 2 + n_final, 4))
        momenta[:, 0] = energy / 2 * np.array([1.0, 0, 0, 1])
        momenta[:, 1] = energy / 2 * np.array([1.0, 0, 0, -1])
        momenta[:, 2:] = phase_space.generate(rng.random((n, phase_space.dim)), np.full(n, energy))
        pairs = 2 * metric(momenta[:, :, None], momenta[:, None])
        smallest = (pairs + 2 * energy**2 * np.eye(2 + n_final)).min(axis=(1, 2))
        found = np.concatenate([found, momenta[smallest >= hardness * energy**2]])
    return found[:n]
