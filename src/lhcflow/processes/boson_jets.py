"""Phase space of p p -> V (-> two leptons) + n jets in the variables in which it is singular.

With jets in transverse momentum, rapidity and azimuth, and the momentum fractions solved from energy and
longitudinal momentum, the measure has no other factor than a constant:

    dx1 dx2 dPhi = (2 / s) (2 pi)^4  prod_jets [pT^2 dln(pT) dy dphi / (2 (2 pi)^3)]
                   dy_V / (2 (2 pi)^3)  dm^2 / (2 pi)  dcos dphi / (32 pi^2)

A channel is a history of the jets: each is radiated either by the beams (poles at pT -> 0) or by another
jet (poles at Delta R -> 0), recursively. Histories of n jets are the rooted forests on n nodes,
(n + 1)^(n - 1) of them: 1, 1, 3, 16 for n = 0 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import log, pi

import numpy as np

from ..errors import InputError
from .jet_cuts import JetCuts
from .kinematics import azimuth, boost, direction, mass_squared, to_rest_frame
from .tabulated import TabulatedDensity

BEAM = -1
RAPIDITY_WIDTH = 1.5  # of jets around the boson
JET_MEASURE = 2 * (2 * pi) ** 3


@dataclass(frozen=True)
class Resonance:
    """The boson that decays: mass and width in GeV, and whether a photon interferes."""

    mass: float
    width: float
    photon: bool = False


def histories(jets: int) -> list[tuple[int, ...]]:
    """All ways in which `jets` jets may descend from the beams (-1) and from each other.

    Examples
    --------
    >>> histories(2)
    [(-1, -1), (-1, 0), (1, -1)]
    """

    def rooted(parents: tuple[int, ...]) -> bool:
        for i in range(jets):
            for _ in range(jets):
                i = parents[i] if i != BEAM else BEAM
            if i != BEAM:
                return False
        return True

    return [p for p in product(range(BEAM, jets), repeat=jets) if rooted(p)]


class BosonJets:
    """Multichannel phase space of a lepton pair and `jets` massless partons, beams included.

    One half of it: the boson has a rapidity >= 0, and an event stands for itself and its mirror image.
    Densities are those in the whole phase space if one of the two is taken at random.

    Parameters
    ----------
    jets : number of jets, 0 to 3.
    energy : of the collider, GeV.
    boson : what the lepton pair comes from.
    cuts : the channels fill the region pT > jet_pt, |eta| < jet_eta and the range of masses, and Delta R >
        jet_radius between a jet and the one it descends from; what else the cuts exclude has weight 0.

    Attributes
    ----------
    channels : the histories.
    dim : 3 jets + 4.
    """

    def __init__(self, jets: int, energy: float, boson: Resonance, cuts: JetCuts) -> None:
        if not 0 <= jets <= 3:
            raise InputError(f"phase space is there for 0 to 3 jets, got {jets}")
        if cuts.min_mass + jets * 2 * cuts.jet_pt >= energy:
            raise InputError(f"the cuts {cuts.card()} leave no phase space at {energy:g} GeV")
        self.jets, self.energy, self.boson, self.cuts = jets, energy, boson, cuts
        self.channels = histories(jets)
        self._orders = [_descent(parents) for parents in self.channels]
        scale, width = boson.mass, boson.mass * boson.width
        high = min(cuts.max_mass, energy)

        def line_shape(t: np.ndarray) -> np.ndarray:
            s = np.maximum(scale**2 + width * np.tan(t), 1e-6)
            photon = ((s - scale**2) ** 2 + width**2) / s**2 if boson.photon else 0.0
            return (1 + photon) * np.sqrt(scale**2 / s)

        low, high = (np.arctan((m**2 - scale**2) / width) for m in (cuts.min_mass, high))
        self._line = TabulatedDensity(line_shape, low, high)
        top = log(energy / 2)

        def spectrum(log_pt: np.ndarray) -> np.ndarray:
            return (1 + np.exp(2 * log_pt) / scale**2) ** -1.2 * (1 - np.exp(log_pt - top) + 1e-3) ** 4

        self._log_pt = TabulatedDensity(spectrum, log(cuts.jet_pt), top)

    @property
    def dim(self) -> int:
        return 3 * self.jets + 4

    @property
    def particles(self) -> int:
        """Number of particles of an event, the incoming ones included."""
        return 4 + self.jets

    @property
    def variables(self) -> tuple[str, ...]:
        """Labels (dim,) of the coordinates, in mathtext without dollar signs."""
        names = ["m_{ll}", "y_V", r"\cos\theta^*", r"\phi^*"]
        for i in range(1, self.jets + 1):
            names += [rf"p_{{T,{i}}}", rf"y_{i}", rf"\phi_{i}"]
        return tuple(names)

    def generate(self, u: np.ndarray, channel: int) -> tuple[np.ndarray, np.ndarray]:
        """Momenta of the points `u` (n, dim) in one channel.

        Returns
        -------
        momenta : array (n, particles, 4)
            The two partons coming in along +z and -z, the two leptons, the jets; laboratory, GeV.
        good : array (n,) of bool
            False where there is no such event; its momenta mean nothing.
        """
        n, root_s = len(u), self.energy
        t = self._line.sample(u[:, 0])
        mass2 = self.boson.mass**2 + self.boson.mass * self.boson.width * np.tan(t)
        pt, y, phi = np.empty((self.jets, n)), np.zeros((self.jets, n)), np.zeros((self.jets, n))
        for i in range(self.jets):
            pt[i] = np.exp(self._log_pt.sample(u[:, 4 + 3 * i]))
        good = np.ones(n, dtype=bool)
        parents, order = self.channels[channel], self._orders[channel]
        angle = [2 * pi * u[:, 6 + 3 * i] for i in range(self.jets)]
        # azimuths first: the boson's transverse momentum is the recoil; rapidities of children follow
        spread = {}
        first = order[0] if order else BEAM
        for i in order:
            if parents[i] == BEAM:
                phi[i] = angle[i] + (phi[first] if i != first else 0.0)
            else:
                r = self._radius(u[:, 5 + 3 * i])
                spread[i] = r * np.cos(angle[i])
                phi[i] = phi[parents[i]] + r * np.sin(angle[i])
        # not -sum: the direction of -0 is -pi
        px, py = 0 - (pt * np.cos(phi)).sum(axis=0), 0 - (pt * np.sin(phi)).sum(axis=0)
        mt = np.sqrt(mass2 + px**2 + py**2)
        highest = np.log(np.maximum(root_s / mt, 1.0))
        y_boson = u[:, 1] * highest
        good &= mt < root_s
        plus, minus = mt * np.exp(y_boson), mt * np.exp(-y_boson)
        for i in order:
            if parents[i] == BEAM:
                low, high = self._range(pt[i], plus, minus)
                good &= high > low
                y[i] = _logistic(u[:, 5 + 3 * i], y_boson, low, np.maximum(high, low))
            else:
                y[i] = y[parents[i]] + spread[i]
                good &= np.abs(y[i]) < self.cuts.jet_eta
            plus, minus = plus + pt[i] * np.exp(y[i]), minus + pt[i] * np.exp(-y[i])
        good &= (plus < root_s) & (minus < root_s)
        momenta = np.zeros((n, self.particles, 4))
        momenta[:, 0, 0] = momenta[:, 0, 3] = plus / 2
        momenta[:, 1, 0], momenta[:, 1, 3] = minus / 2, -minus / 2
        momenta[:, 2:4] = self._leptons(u, mass2, px, py, mt, y_boson)
        for i in range(self.jets):
            momenta[:, 4 + i] = (
                pt[i] * np.stack([np.cosh(y[i]), np.cos(phi[i]), np.sin(phi[i]), np.sinh(y[i])])
            ).T
        return momenta, good

    def _leptons(
        self, u: np.ndarray, mass2: np.ndarray, px: np.ndarray, py: np.ndarray, mt: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        """Momenta (n, 2, 4) of the leptons: angles to the beam and to the boson's pT, in its rest frame."""
        phi = 2 * pi * u[:, 3] + np.arctan2(py, px)
        unit = direction(2 * u[:, 2] - 1, phi)
        half = np.sqrt(mass2)[:, None] / 2
        rest = np.empty((len(u), 2, 4))
        rest[:, :, 0] = half
        rest[:, 0, 1:], rest[:, 1, 1:] = half * unit, -half * unit
        transverse = np.stack([mt, px, py, np.zeros_like(mt)], axis=1)
        return _along(boost(rest, transverse[:, None]), y[:, None])

    def densities(self, momenta: np.ndarray) -> np.ndarray:
        """Densities (n, channels) of the channels with respect to dx1 dx2 dPhi, in GeV^(-2 jets)."""
        jets, common, boson = self._kinematics(momenta)
        beam, child = self._jet_densities(jets)
        result = np.empty((len(momenta), len(self.channels)))
        for c, (parents, order) in enumerate(zip(self.channels, self._orders, strict=True)):
            value = common.copy()
            plus, minus, y_boson = boson
            for i in order:
                pt, y, _ = jets[i]
                if parents[i] == BEAM:
                    low, high = self._range(pt, plus, minus)
                    value *= beam[i] * _logistic_density(y, y_boson, low, high)
                else:
                    value *= child[parents[i], i]
                plus, minus = plus + pt * np.exp(y), minus + pt * np.exp(-y)
            result[:, c] = value
        return result

    def _kinematics(
        self, momenta: np.ndarray
    ) -> tuple[list[tuple[np.ndarray, ...]], np.ndarray, tuple[np.ndarray, ...]]:
        """(pT, y, phi) of the jets, density of all else, (plus, minus, y) of the boson, after mirroring."""
        boson = momenta[:, 2] + momenta[:, 3]
        mirror = np.where(boson[:, 3] < 0, -1.0, 1.0)
        mass2 = mass_squared(boson)
        mt = np.sqrt(mass2 + boson[:, 1] ** 2 + boson[:, 2] ** 2)
        y_boson = np.arcsinh(np.abs(boson[:, 3]) / mt)
        jets = []
        for i in range(self.jets):
            p = momenta[:, 4 + i]
            pt = np.hypot(p[:, 1], p[:, 2])
            jets.append((pt, np.arcsinh(mirror * p[:, 3] / pt), azimuth(p)))
        scale, width = self.boson.mass, self.boson.mass * self.boson.width
        line = self._line.density(np.arctan((mass2 - scale**2) / width)) * width
        line /= (mass2 - scale**2) ** 2 + width**2  # dt / dm^2
        highest = np.log(self.energy / mt)
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = np.where((highest > 0) & (y_boson <= highest), 1 / highest, 0.0)
        # half the density: the mirror image is as likely
        constant = JET_MEASURE * 2 * pi * 8 * pi * self.energy**2 / (2 * (2 * pi) ** 4) / 2
        return jets, constant * flat * line, (mt * np.exp(y_boson), mt * np.exp(-y_boson), y_boson)

    def _jet_densities(self, jets: list[tuple[np.ndarray, ...]]) -> tuple[list[np.ndarray], dict]:
        """Factor of each jet from the beams (without that of its rapidity) and from each other jet."""
        beam, child = [], {}
        span = log(pi / self.cuts.jet_radius)
        for i, (pt, y, phi) in enumerate(jets):
            momentum = self._log_pt.density(np.log(pt)) * JET_MEASURE / pt**2
            beam.append(momentum / (2 * pi))
            for j, (_, y_parent, phi_parent) in enumerate(jets):
                if j == i:
                    continue
                delta = np.abs(phi - phi_parent)
                r = np.hypot(y - y_parent, np.minimum(delta, 2 * pi - delta))
                inside = (r > self.cuts.jet_radius * (1 - 1e-9)) & (r < pi) & (np.abs(y) < self.cuts.jet_eta)
                child[j, i] = np.where(inside, momentum / (2 * pi * span * np.maximum(r, 1e-9) ** 2), 0.0)
        return beam, child

    def inverse(self, momenta: np.ndarray, channel: int) -> np.ndarray:
        """The coordinates (n, dim) from which :meth:`generate` makes `momenta` or their mirror image."""
        jets, _, (plus, minus, y_boson) = self._kinematics(momenta)
        boson = momenta[:, 2] + momenta[:, 3]
        mirror = np.where(boson[:, 3] < 0, -1.0, 1.0)
        mass2, mt = mass_squared(boson), np.sqrt(plus * minus)
        u = np.empty((len(momenta), self.dim))
        scale, width = self.boson.mass, self.boson.mass * self.boson.width
        u[:, 0] = self._line.cumulative(np.arctan((mass2 - scale**2) / width))
        u[:, 1] = y_boson / np.log(self.energy / mt)
        lepton = momenta[:, 2] * np.stack([np.ones_like(mirror)] * 3 + [mirror], axis=1)
        transverse = np.stack([mt, boson[:, 1], boson[:, 2], np.zeros_like(mt)], axis=1)
        rest = to_rest_frame(_along(lepton, -y_boson), transverse)
        u[:, 2] = (1 + rest[:, 3] / np.linalg.norm(rest[:, 1:], axis=1)) / 2
        along = np.arctan2(boson[:, 2], boson[:, 1]) if self.jets else 0.0
        u[:, 3] = (azimuth(rest) - along) / (2 * pi) % 1
        parents, order = self.channels[channel], self._orders[channel]
        for i in order:
            pt, y, phi = jets[i]
            u[:, 4 + 3 * i] = self._log_pt.cumulative(np.log(pt))
            if parents[i] == BEAM:
                low, high = self._range(pt, plus, minus)
                u[:, 5 + 3 * i] = _logistic_cumulative(y, y_boson, low, high)
                angle = phi - (jets[order[0]][2] if i != order[0] else 0.0)
            else:
                _, y_parent, phi_parent = jets[parents[i]]
                across = (phi - phi_parent + pi) % (2 * pi) - pi
                r = np.hypot(y - y_parent, across)
                u[:, 5 + 3 * i] = np.log(r / self.cuts.jet_radius) / log(pi / self.cuts.jet_radius)
                angle = np.arctan2(across, y - y_parent)
            u[:, 6 + 3 * i] = angle / (2 * pi) % 1
            plus, minus = plus + pt * np.exp(y), minus + pt * np.exp(-y)
        return u

    def _radius(self, u: np.ndarray) -> np.ndarray:
        """Delta R to the parent, logarithmically even from jet_radius to pi."""
        return self.cuts.jet_radius * (pi / self.cuts.jet_radius) ** u

    def _range(self, pt: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rapidities that cuts and energy leave to a jet, given E +- pz of what is there already."""
        eta = self.cuts.jet_eta
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.log(np.maximum(self.energy - plus, 0) / pt)
            low = -np.log(np.maximum(self.energy - minus, 0) / pt)
        return np.maximum(low, -eta), np.minimum(high, eta)


def _descent(parents: tuple[int, ...]) -> list[int]:
    """The jets in an order in which parents come before their children, beam jets first."""
    order = [i for i, p in enumerate(parents) if p == BEAM]
    while len(order) < len(parents):
        order += [i for i, p in enumerate(parents) if i not in order and p in order]
    return order


def _along(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Boost four-vectors (..., 4) along the beam by rapidities (...)."""
    cosh, sinh = np.cosh(y), np.sinh(y)
    result = p.copy()
    result[..., 0] = cosh * p[..., 0] + sinh * p[..., 3]
    result[..., 3] = sinh * p[..., 0] + cosh * p[..., 3]
    return result


def _sigmoid(y: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(y - centre) / RAPIDITY_WIDTH))


def _logistic(u: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Points of a logistic density around `centre`, cut to [low, high]."""
    a, b = _sigmoid(low, centre), _sigmoid(high, centre)
    c = np.clip(a + u * (b - a), 1e-15, 1 - 1e-15)
    return np.clip(centre + RAPIDITY_WIDTH * np.log(c / (1 - c)), low, high)


def _logistic_cumulative(y: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    a, b = _sigmoid(low, centre), _sigmoid(high, centre)
    return (_sigmoid(y, centre) - a) / (b - a)


def _logistic_density(y: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    a, b, c = _sigmoid(low, centre), _sigmoid(high, centre), _sigmoid(y, centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = c * (1 - c) / (RAPIDITY_WIDTH * (b - a))
    slack = 1e-9
    return np.where((high > low) & (y > low - slack) & (y < high + slack), density, 0.0)
