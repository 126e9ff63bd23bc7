"""Phase-space channels for e+ e- -> q q~ g and their combination.

With y1 = s_q~g / s = 1 - x1 and y2 = s_qg / s = 1 - x2 the squared amplitude is exactly the sum of a term
with the quark's and one with the antiquark's direction (all azimuths flat):

    |M|^2 ~ [ (1 - y1)^2 h(cos theta_q) + (1 - y2)^2 h(-cos theta_q~) ] / (y1 y2),   h(c) = 1 + a c + c^2

One channel for each term makes the integrand flat up to the shape of the cuts; flat phase space is the
third channel.
"""

from math import pi
from typing import Protocol

import numpy as np

from ..errors import InputError
from .cuts import Cuts
from .kinematics import direction, invariant
from .phase_space import PhaseSpace, volume
from .tabulated import TabulatedDensity


class Channel(PhaseSpace, Protocol):
    """A phase-space map with an inverse."""

    def inverse(self, momenta: np.ndarray) -> np.ndarray:
        """The coordinates (n, dim) from which `generate` makes `momenta` (n, n_final, 4)."""
        ...


class GluonPoles:
    """Both gluon poles, 1 / (s_qg s_q~g), around the direction of the quark or the antiquark.

    The five coordinates are y1, y2, cos(theta) and phi of the axis, and the rotation around the axis.
    With `axis` = 1 quark and antiquark change places.

    Parameters
    ----------
    axis : int
        0 for the quark, 1 for the antiquark: the position among the outgoing particles.
    cuts : Cuts
        The region of y1 and y2 that they leave is filled exactly.
    sqrt_s : float
        The highest energy in GeV, at which a cut on masses leaves most.
    asymmetry : float
        a of 1 + a c + c^2, c = cos(theta) of the axis to the first beam; |a| <= 2.
    """

    n_final = 3
    dim = 5
    variables = ("y_1", "y_2", r"\cos\theta", r"\phi", r"\psi")

    def __init__(self, axis: int, cuts: Cuts, sqrt_s: float, asymmetry: float = 0.0) -> None:
        bound = cuts.min_invariant(sqrt_s)
        if bound <= 0:
            raise InputError("the gluon poles need a cut: give y_cut or min_mass, as in Cuts(durham=0.01)")
        cuts.check(3, sqrt_s)
        self.axis, self.cuts, self.sqrt_s = axis, cuts, sqrt_s

        def marginal(log_y: np.ndarray) -> np.ndarray:  # of (1 - y1)^2 / (y1 y2) in log(y1)
            low, high = self._range(np.exp(log_y))
            return (1 - np.exp(log_y)) ** 2 * np.log(high / low)

        self._log_y = TabulatedDensity(marginal, np.log(bound), np.log(1 - 2 * bound))
        self._cos = TabulatedDensity(lambda x: 1 + asymmetry * x + x * x + 1e-9, -1.0, 1.0)

    def __repr__(self) -> str:
        return f"GluonPoles({('quark', 'antiquark')[self.axis]}, {self.cuts.card()})"

    def generate(self, u: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Momenta (n, 3, 4) of quark, antiquark, gluon; arguments as in `PhaseSpace`."""
        y1 = np.exp(self._log_y.sample(u[:, 0]))
        low, high = self._range(y1)
        y2 = low * (high / low) ** u[:, 1]
        unit = direction(self._cos.sample(u[:, 2]), 2 * pi * u[:, 3])
        e1, e2 = _transverse(unit)
        psi = (2 * pi * u[:, 4])[:, None]
        sine, cosine = _opening(y1, y2)
        other = cosine[:, None] * unit + sine[:, None] * (np.cos(psi) * e1 + np.sin(psi) * e2)
        momenta = np.empty((len(u), 3, 4))
        half = np.asarray(sqrt_s) / 2
        for i, x, axis in ((self.axis, 1 - y1, unit), (1 - self.axis, 1 - y2, other)):
            momenta[:, i, 0] = half * x
            momenta[:, i, 1:] = (half * x)[:, None] * axis
        momenta[:, 2, 0] = half * (y1 + y2)
        momenta[:, 2, 1:] = -momenta[:, 0, 1:] - momenta[:, 1, 1:]
        return momenta

    def density(self, momenta: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Density (n,) with respect to phase space; 0 outside the cuts on y1 and y2."""
        y1, y2, cos = self._invariants(momenta)
        low, high = self._range(y1)
        allowed = (high > low) & (y2 > low * (1 - 1e-9)) & (y2 < high * (1 + 1e-9))
        log_range = np.log(np.where(allowed, high / low, np.e))
        dalitz = self._log_y.density(np.log(y1)) / (y1 * y2 * log_range)
        # d phase space = 2 volume dy1 dy2 * dcos/2 dphi/(2 pi) dpsi/(2 pi)
        return np.where(allowed, dalitz * self._cos.density(cos) / volume(3, sqrt_s), 0.0)

    def inverse(self, momenta: np.ndarray) -> np.ndarray:
        """The coordinates (n, 5) of `momenta` (n, 3, 4)."""
        y1, y2, cos = self._invariants(momenta)
        low, high = self._range(y1)
        axis = momenta[:, self.axis, 1:]
        unit = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        e1, e2 = _transverse(unit)
        other = momenta[:, 1 - self.axis, 1:]
        psi = np.arctan2(np.sum(other * e2, axis=1), np.sum(other * e1, axis=1))
        u = np.empty((len(momenta), 5))
        u[:, 0] = self._log_y.cumulative(np.log(y1))
        u[:, 1] = np.log(y2 / low) / np.log(high / low)
        u[:, 2] = self._cos.cumulative(cos)
        u[:, 3] = np.arctan2(axis[:, 1], axis[:, 0]) / (2 * pi) % 1
        u[:, 4] = psi / (2 * pi) % 1
        return u

    def _range(self, y1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Range (low, high) of y2 that the cuts leave at y1; equal ends where they leave none."""
        low, high = self.cuts.dalitz_range(y1, self.sqrt_s)
        return low, np.maximum(low, high)

    def _invariants(self, momenta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        axis, other, gluon = momenta[:, self.axis], momenta[:, 1 - self.axis], momenta[:, 2]
        s = momenta[..., 0].sum(axis=1) ** 2
        y1 = np.maximum(invariant(other, gluon) / s, 1e-300)  # rounding must not reach the logarithm
        return y1, invariant(axis, gluon) / s, axis[:, 3] / axis[:, 0]


def _transverse(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (n, 3) that form a right-handed frame with `unit`."""
    phi = np.arctan2(unit[:, 1], unit[:, 0])
    zero = np.zeros_like(phi)
    e2 = np.stack([-np.sin(phi), np.cos(phi), zero], axis=1)
    return np.cross(e2, unit), e2


def _opening(y1: np.ndarray, y2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of the angle between quark and antiquark.

    sin^2(alpha/2) = y3 / (x1 x2) and cos^2(alpha/2) = y1 y2 / (x1 x2), with x1 x2 = y3 + y1 y2.
    """
    y3 = np.maximum(1 - y1 - y2, 0)
    product = y1 * y2
    return 2 * np.sqrt(y3 * product) / (y3 + product), (product - y3) / (y3 + product)


class Multichannel:
    """Several maps of the same phase space; the first coordinate chooses the channel.

    The density is sum_i alpha_i g_i whatever channel made the event (Kleiss, Pittau, hep-ph/9405257).

    Parameters
    ----------
    channels : sequence of Channel
        All with the same number of coordinates and particles.
    weights : sequence of float, optional
        alpha_i, not negative, scaled to the sum 1; equal by default.
    """

    def __init__(self, channels: "list[Channel]", weights: "list[float] | np.ndarray | None" = None) -> None:
        self.channels = list(channels)
        self.n_final = channels[0].n_final
        alpha = np.ones(len(channels)) if weights is None else np.asarray(weights, dtype=np.float64)
        if (
            alpha.shape != (len(channels),)
            or not np.isfinite(alpha).all()
            or (alpha < 0).any()
            or not alpha.any()
        ):
            raise InputError(
                f"{len(channels)} channels need as many weights >= 0 with a sum > 0, got {weights}"
            )
        self.weights = alpha / alpha.sum()

    @property
    def dim(self) -> int:
        return 1 + self.channels[0].dim

    @property
    def variables(self) -> tuple[str, ...]:
        return (r"\mathrm{channel}", *self.channels[0].variables)

    def __repr__(self) -> str:
        parts = ", ".join(f"{a:.4f} {c!r}" for a, c in zip(self.weights, self.channels, strict=True))
        return f"Multichannel({parts})"

    def channel(self, u: np.ndarray) -> np.ndarray:
        """Channel numbers (n,) chosen by the first coordinate of `u` (n, dim)."""
        edges = np.cumsum(self.weights)
        last = np.flatnonzero(self.weights)[-1]  # rounding and u = 1 must not choose a closed channel
        return np.searchsorted(edges[:last], u[:, 0], side="right")

    def generate(self, u: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Momenta (n, n_final, 4); arguments as in `PhaseSpace`."""
        momenta = np.empty((len(u), self.n_final, 4))
        chosen = self.channel(u)
        sqrt_s = np.broadcast_to(sqrt_s, (len(u),))
        for i, channel in enumerate(self.channels):
            mine = chosen == i
            momenta[mine] = channel.generate(u[mine, 1:], sqrt_s[mine])
        return momenta

    def densities(self, momenta: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """Density of each channel, (n, channels)."""
        return np.stack([c.density(momenta, sqrt_s) for c in self.channels], axis=1)

    def density(self, momenta: np.ndarray, sqrt_s: np.ndarray) -> np.ndarray:
        """sum_i alpha_i g_i, (n,)."""
        return self.densities(momenta, sqrt_s) @ self.weights

    def inverse(self, momenta: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Coordinates (n, dim) from which the channels numbered `channel` (n,) make `momenta`."""
        edges = np.concatenate([[0.0], np.cumsum(self.weights)])
        u = np.empty((len(momenta), self.dim))
        u[:, 0] = (edges[channel] + edges[channel + 1]) / 2
        for i, map_ in enumerate(self.channels):
            mine = channel == i
            u[mine, 1:] = map_.inverse(momenta[mine])
        return u
