"""Four-vectors as numpy arrays: the last axis is (E, px, py, pz), GeV, metric (+, -, -, -)."""

import numpy as np


def dot(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Minkowski product of four-vectors (..., 4), summed over the last axis."""
    return p[..., 0] * q[..., 0] - p[..., 1] * q[..., 1] - p[..., 2] * q[..., 2] - p[..., 3] * q[..., 3]


def mass_squared(p: np.ndarray) -> np.ndarray:
    """p^2 of four-vectors (..., 4), GeV^2."""
    return dot(p, p)


def invariant(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """2 p.q, which is (p + q)^2 for massless four-vectors (..., 4); GeV^2."""
    return 2 * dot(p, q)


def transverse_momentum(p: np.ndarray) -> np.ndarray:
    """pT of four-vectors (..., 4), GeV."""
    return np.hypot(p[..., 1], p[..., 2])


def azimuth(p: np.ndarray) -> np.ndarray:
    """Azimuthal angle in (-pi, pi]."""
    return np.arctan2(p[..., 2], p[..., 1])


def rapidity(p: np.ndarray) -> np.ndarray:
    """y = atanh(pz / E); infinite along the beam."""
    with np.errstate(divide="ignore"):
        return np.arctanh(p[..., 3] / p[..., 0])


def pseudorapidity(p: np.ndarray) -> np.ndarray:
    """eta = asinh(pz / pT); infinite along the beam."""
    with np.errstate(divide="ignore"):
        return np.arcsinh(p[..., 3] / transverse_momentum(p))


def delta_r(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Distance sqrt(d eta^2 + d phi^2) of two four-vectors (..., 4)."""
    phi = np.abs(azimuth(p) - azimuth(q))
    return np.hypot(pseudorapidity(p) - pseudorapidity(q), np.minimum(phi, 2 * np.pi - phi))


def boost(p: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Boost `p` from the rest frame of `frame` into the frame in which `frame` is given.

    Parameters
    ----------
    p, frame : arrays (..., 4), broadcast against each other
        `frame` is time-like with positive energy.
    """
    mass = np.sqrt(mass_squared(frame))
    along = np.sum(p[..., 1:] * frame[..., 1:], axis=-1)
    energy = (frame[..., 0] * p[..., 0] + along) / mass
    factor = (p[..., 0] + energy) / (frame[..., 0] + mass)
    return np.concatenate([energy[..., None], p[..., 1:] + factor[..., None] * frame[..., 1:]], axis=-1)


def to_rest_frame(p: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Boost `p` into the rest frame of `frame`: the inverse of `boost`."""
    return boost(p, frame * np.array([1.0, -1.0, -1.0, -1.0]))


def direction(cos_theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) with polar angle theta to the z axis and azimuth phi."""
    sin_theta = np.sqrt((1 - cos_theta) * (1 + cos_theta))
    return np.stack([sin_theta * np.cos(phi), sin_theta * np.sin(phi), cos_theta], axis=-1)


def massless(momentum: np.ndarray) -> np.ndarray:
    """Four-vectors (..., 4) on the light cone from three-vectors (..., 3)."""
    energy = np.sqrt(np.sum(momentum * momentum, axis=-1, keepdims=True))
    return np.concatenate([energy, momentum], axis=-1)
