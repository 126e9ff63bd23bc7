"""The squared amplitude of u d~ -> W+ g at momenta of one's own."""

import numpy as np

from lhcflow.processes import Process

process = Process("u d~ > e+ ve g")
rng = np.random.default_rng(1)


def massless(energies: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Momenta (E, px, py, pz)."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.concatenate([energies[..., None], energies[..., None] * unit], axis=-1)


# Three massless particles in a plane: energies and the angles between them follow from momentum conservation.
x = np.array([0.7, 0.8, 0.5])  # 2 E / sqrt(s), with sum 2
cos12 = 1 - 2 * (x[0] + x[1] - 1) / (x[0] * x[1])
cos13 = 1 - 2 * (x[0] + x[2] - 1) / (x[0] * x[2])
half = 100.0  # GeV, half the centre-of-mass energy
final = massless(
    half * x,
    np.array([[0, 0, 1], [np.sqrt(1 - cos12**2), 0, cos12], [-np.sqrt(1 - cos13**2), 0, cos13]]),
)
beams = massless(np.array([half, half]), np.array([[0.6, 0, 0.8], [-0.6, 0, -0.8]]))
momenta = np.concatenate([beams, final])[None]
print(f"|M|^2 = {process.squared_amplitude(momenta, alpha_s=0.118)[0]:.6g}")
