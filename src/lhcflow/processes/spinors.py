"""Two-component spinors, currents and polarisation vectors of massless particles, in numpy.

Arrays are particle-major, the last axis runs over events: vectors (4, n), contravariant; spinors (2, n).
Left-handed spinors obey (p.sigmabar) chi = 0, right-handed ones (p.sigma) chi = 0 with
p.sigma = E - p.tau and p.sigmabar = E + p.tau (tau: Pauli matrices); chi^dagger chi = 2 E.
Source: Dreiner, Haber, Martin, 0812.1594 (section 2 and appendix C).
"""

import numpy as np


def _light_cone(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sqrt(E + pz), sqrt(E - pz) and exp(i phi), accurate along both directions of the z axis."""
    pt2 = p[1] ** 2 + p[2] ** 2
    large = p[0] + np.abs(p[3])
    with np.errstate(invalid="ignore", divide="ignore"):
        small = np.where(large > 0, pt2 / large, 0.0)
        pt = np.sqrt(pt2)
        phase = np.where(pt > 0, (p[1] + 1j * p[2]) / pt, 1.0)
    forward = p[3] > 0
    return np.sqrt(np.where(forward, large, small)), np.sqrt(np.where(forward, small, large)), phase


def spinor(p: np.ndarray, left: bool) -> np.ndarray:
    """Spinor (2, n) of massless momenta `p` (4, n) with positive energy."""
    plus, minus, phase = _light_cone(p)
    if left:
        return np.stack([-minus * phase.conj(), plus + 0j])
    return np.stack([plus + 0j, minus * phase])


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minkowski product of vectors (4, n), without complex conjugation."""
    return a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]


def slash(v: np.ndarray, chi: np.ndarray, bar: bool) -> np.ndarray:
    """(v.sigmabar) chi if `bar`, else (v.sigma) chi."""
    sign = 1 if bar else -1
    x, y, z = sign * v[1], sign * v[2], sign * v[3]
    return np.stack(
        [(v[0] + z) * chi[0] + (x - 1j * y) * chi[1], (x + 1j * y) * chi[0] + (v[0] - z) * chi[1]]
    )


def current(end: np.ndarray, start: np.ndarray, left: bool) -> np.ndarray:
    """end^dagger sigmabar^mu start of left-handed spinors, or with sigma^mu of right-handed ones."""
    a, b = end.conj()
    c, d = start
    vector = np.stack([a * c + b * d, a * d + b * c, 1j * (b * c - a * d), a * c - b * d])
    vector[1:] *= -1 if left else 1
    return vector


def polarisations(p: np.ndarray) -> np.ndarray:
    """Two linear polarisation vectors (2, 4, n) of gluons: real, orthonormal, without time component.

    Source: Duff et al., Building an orthonormal basis, revisited, JCGT 6 (2017) 1.
    """
    energy = np.sqrt(p[1] ** 2 + p[2] ** 2 + p[3] ** 2)
    x, y, z = p[1:] / energy
    sign = np.where(z < 0, -1.0, 1.0)
    a = -1 / (sign + z)
    b, zero = x * y * a, np.zeros_like(x)
    first = np.stack([zero, 1 + sign * x * x * a, sign * b, -sign * x])
    second = np.stack([zero, b, sign + y * y * a, -y])
    return np.stack([first, second])
