"""Phase space of p p -> V (-> two leptons) + n jets in the variables in which it is singular.

With jets in transverse momentum, rapidity and azimuth, and the momentum fractions solved from energy and
longitudinal momentum, the measure has no other factor than a constant:

    dx1 dx2 dPhi = (2 / s) (2 pi)^4  prod_jets [pT^2 dln(pT) dy dphi / (2 (2 pi)^3)]
                   dy_V / (2 (2 pi)^3)  dm^2 / (2 pi)  dcos dphi / (32 pi^2)

A channel is a `History` of the jets: each is radiated either by the beams (poles at pT -> 0) or by
another jet (poles at Delta R -> 0); and the boson recoils against them, or a jet recoils against boson and
other jets (pole at the boson's pT -> 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np

from ..errors import InputError
from . import truncated_logistic as logistic
from .histories import BEAM, histories
from .jet_cuts import JetCuts
from .kinematics import azimuth, boost, direction, mass_squared, to_rest_frame
from .tabulated import TabulatedDensity

JET_MEASURE = 2 * (2 * pi) ** 3
SOFT_BOSON = 15.0  # GeV: below, the density in the boson's pT is flat where a jet recoils


@dataclass(frozen=True)
class Resonance:
    """The boson that decays: mass and width in GeV, and whether a photon interferes."""

    mass: float
    width: float
    photon: bool = False


class BosonJets:
    """Multichannel phase space of a lepton pair and `jets` massless partons, beams included.

    A quarter of it at a fixed azimuth: the boson has a rapidity >= 0, the first lepton lies on one side of
    the plane of beam and boson, and the first jet of a channel has the azimuth 0 (without jets, the lepton
    has). An event stands for itself, its images with opposite pz and py, and all that these become in turns
    around the beam. Densities are those in the whole phase space if one of all these is taken at random.

    Parameters
    ----------
    jets : int
        Number of jets, 0 to 3.
    energy : float
        Of the collider, GeV.
    boson : Resonance
        What the lepton pair comes from.
    cuts : JetCuts
        The channels fill the region pT > jet_pt, |eta| < jet_eta and the range of masses, and Delta R >
        jet_radius between a jet and its parent; what else the cuts exclude has weight 0.

    Attributes
    ----------
    channels : list of History
        The histories.
    dim : int
        3 jets + 3.
    """

    def __init__(self, jets: int, energy: float, boson: Resonance, cuts: JetCuts) -> None:
        if not 0 <= jets <= 3:
            raise InputError(f"phase space is there for 0 to 3 jets, got {jets}")
        if cuts.min_mass + jets * 2 * cuts.jet_pt >= energy:
            raise InputError(f"the cuts {cuts.card()} leave no phase space at {energy:g} GeV")
        self.jets, self.energy, self.boson, self.cuts = jets, energy, boson, cuts
        self.channels = histories(jets)
        self._orders = [history.order() for history in self.channels]
        # columns of pT, rapidity and, but for the first jet, azimuth: jets in the order of the channel
        places = [(4, 5), *((3 + 3 * k, 4 + 3 * k, 5 + 3 * k) for k in range(1, jets))]
        self._columns = [dict(zip(order, places, strict=False)) for order in self._orders]
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

        def soft(v: np.ndarray) -> np.ndarray:  # v = ln(1 + pT^2 / SOFT_BOSON^2), of the boson
            return (1 + SOFT_BOSON**2 * np.expm1(v) / scale**2) ** -1.2

        self._soft = TabulatedDensity(soft, 0.0, log(1 + (energy / 2 / SOFT_BOSON) ** 2))

        def collinear(log_r: np.ndarray) -> np.ndarray:  # without a step at its end
            return (1 - np.minimum(np.exp(log_r) / pi, 1) ** 2) ** 2

        self._log_r = TabulatedDensity(collinear, log(cuts.jet_radius), log(pi))

    @property
    def dim(self) -> int:
        return 3 * self.jets + 3

    @property
    def particles(self) -> int:
        """Number of particles of an event, the incoming ones included."""
        return 4 + self.jets

    @property
    def variables(self) -> tuple[str, ...]:
        """Labels (dim,) of the coordinates, in mathtext without dollar signs; jets as a channel has them."""
        names = ["m_{ll}", "y_V", r"\cos\theta^*", r"\phi^*"][: 4 if self.jets else 3]
        for i in range(1, self.jets + 1):
            names += [rf"p_{{T,{i}}}", rf"y_{i}", rf"\phi_{i}"][: 3 if i > 1 else 2]
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
        history, order, columns = self.channels[channel], self._orders[channel], self._columns[channel]
        pt, phi, spread, good = self._transverse(u, channel)
        # not -sum: the direction of -0 is -pi
        px, py = 0 - (pt * np.cos(phi)).sum(axis=0), 0 - (pt * np.sin(phi)).sum(axis=0)
        mt = np.sqrt(mass2 + px**2 + py**2)
        highest = np.log(np.maximum(root_s / mt, 1.0))
        y_boson = u[:, 1] * highest
        good &= mt < root_s
        plus, minus = mt * np.exp(y_boson), mt * np.exp(-y_boson)
        y = np.zeros((self.jets, n))
        for i in order:
            parent = history.parents[i]
            if parent == BEAM:
                low, high = self._range(pt[i], plus, minus)
                good &= high > low
                y[i] = logistic.sample(u[:, columns[i][1]], y_boson, low, np.maximum(high, low))
            else:
                y[i] = y[parent] + spread[i]
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

    def _transverse(self, u: np.ndarray, channel: int) -> tuple[np.ndarray, ...]:
        """pT, azimuth, rapidity relative to the parent (jets, n), and where there is such an event (n,)."""
        n, history = len(u), self.channels[channel]
        pt, phi, spread = np.zeros((3, self.jets, n))
        good = np.ones(n, dtype=bool)
        for i, columns in self._columns[channel].items():
            angle = 2 * pi * u[:, columns[2]] if len(columns) == 3 else np.zeros(n)
            if i == history.recoil:
                x, y = (pt * np.cos(phi)).sum(axis=0), (pt * np.sin(phi)).sum(axis=0)
                v = SOFT_BOSON * np.sqrt(np.expm1(self._soft.sample(u[:, columns[0]])))
                half = self._half_angle(np.hypot(x, y), v)
                good &= half > 0
                of_boson = np.arctan2(y, x) + (angle / pi - 1) * half
                x, y = x + v * np.cos(of_boson), y + v * np.sin(of_boson)
                pt[i], phi[i] = np.maximum(np.hypot(x, y), 1e-9), np.arctan2(-y, -x)
                continue
            pt[i] = np.exp(self._log_pt.sample(u[:, columns[0]]))
            if history.parents[i] == BEAM:
                phi[i] = angle
            else:
                r = np.exp(self._log_r.sample(u[:, columns[1]]))
                spread[i] = r * np.cos(angle)
                phi[i] = phi[history.parents[i]] + r * np.sin(angle)
        return pt, phi, spread, good

    def _half_angle(self, others: np.ndarray, boson: np.ndarray) -> np.ndarray:
        """Largest angle of the boson's pT to that of the other jets if the recoiling jet passes its cut."""
        with np.errstate(divide="ignore", invalid="ignore"):
            cos = (self.cuts.jet_pt**2 - others**2 - boson**2) / (2 * others * boson)
        return np.arccos(np.clip(np.nan_to_num(cos, nan=-1.0), -1, 1))

    def _leptons(
        self, u: np.ndarray, mass2: np.ndarray, px: np.ndarray, py: np.ndarray, mt: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        """Momenta (n, 2, 4) of the leptons: angles to the beam and to the boson's pT, in its rest frame."""
        phi = pi * u[:, 3] + np.arctan2(py, px) if self.jets else np.zeros(len(u))
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
        recoil = self._recoil_densities(momenta, jets)
        result = np.empty((len(momenta), len(self.channels)))
        for c, (history, order) in enumerate(zip(self.channels, self._orders, strict=True)):
            value = common.copy()
            plus, minus, y_boson = boson
            for i in order:
                pt, y, _ = jets[i]
                if history.parents[i] == BEAM:
                    low, high = self._range(pt, plus, minus)
                    value *= recoil[i] if i == history.recoil else beam[i]
                    value *= logistic.density(y, y_boson, low, high)
                else:
                    value *= child[history.parents[i], i]
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
        # half the density: the mirror image in z is as likely. That in y has the other half of phi*,
        # whose density is that in all of it
        constant = JET_MEASURE * 2 * pi * 8 * pi * self.energy**2 / (2 * (2 * pi) ** 4) / 2
        return jets, constant * flat * line, (mt * np.exp(y_boson), mt * np.exp(-y_boson), y_boson)

    def _jet_densities(self, jets: list[tuple[np.ndarray, ...]]) -> tuple[list[np.ndarray], dict]:
        """Factor of each jet from the beams (without that of its rapidity) and from each other jet."""
        beam, child = [], {}
        for i, (pt, y, phi) in enumerate(jets):
            momentum = self._log_pt.density(np.log(pt)) * JET_MEASURE / pt**2
            beam.append(momentum / (2 * pi))
            for j, (_, y_parent, phi_parent) in enumerate(jets):
                if j == i:
                    continue
                delta = np.abs(phi - phi_parent)
                r = np.maximum(np.hypot(y - y_parent, np.minimum(delta, 2 * pi - delta)), 1e-9)
                radial = self._log_r.density(np.log(r)) / (2 * pi * r**2)
                child[j, i] = np.where(np.abs(y) < self.cuts.jet_eta, momentum * radial, 0.0)
        return beam, child

    def _recoil_densities(self, momenta: np.ndarray, jets: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
        """Factor of each jet if it recoils, without that of its rapidity."""
        if self.jets < 2:
            return []
        boson = momenta[:, 2, 1:3] + momenta[:, 3, 1:3]
        v2 = (boson**2).sum(axis=1)
        density = self._soft.density(np.log1p(v2 / SOFT_BOSON**2)) / (v2 + SOFT_BOSON**2)
        factors = []
        for i, (pt, _, _) in enumerate(jets):
            others = boson + momenta[:, 4 + i, 1:3]  # minus the sum of the other jets
            half = self._half_angle(np.hypot(others[:, 0], others[:, 1]), np.sqrt(v2))
            allowed = (half > 0) & (pt > self.cuts.jet_pt * (1 - 1e-9))
            factors.append(np.where(allowed, density * JET_MEASURE / np.maximum(half, 1e-9), 0.0))
        return factors

    def inverse(self, momenta: np.ndarray, channel: int) -> np.ndarray:
        """The coordinates (n, dim) from which `generate` makes `momenta`, but for mirrors and turns."""
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
        history, order, columns = self.channels[channel], self._orders[channel], self._columns[channel]
        if not self.jets:
            return u
        star = azimuth(rest) - np.arctan2(boson[:, 2], boson[:, 1])
        star = (star + pi) % (2 * pi) - pi
        side = np.where(star < 0, -1.0, 1.0)
        u[:, 3] = np.abs(star) / pi
        for i in order:
            pt, y, phi = jets[i]
            parent = history.parents[i]
            if parent == BEAM:
                low, high = self._range(pt, plus, minus)
                u[:, columns[i][1]] = logistic.cumulative(y, y_boson, low, high)
                angle = phi - jets[order[0]][2]
            else:
                _, y_parent, phi_parent = jets[parent]
                across = (phi - phi_parent + pi) % (2 * pi) - pi
                u[:, columns[i][1]] = self._log_r.cumulative(np.log(np.hypot(y - y_parent, across)))
                angle = np.arctan2(across, y - y_parent)
            u[:, columns[i][0]] = self._log_pt.cumulative(np.log(pt))
            if i != order[0]:
                u[:, columns[i][2]] = side * angle / (2 * pi) % 1
            plus, minus = plus + pt * np.exp(y), minus + pt * np.exp(-y)
        if history.recoil is not None:
            i = history.recoil
            v = np.hypot(boson[:, 1], boson[:, 2])
            x, z = (-boson[:, k] - momenta[:, 4 + i, k] for k in (1, 2))  # of the other jets
            u[:, columns[i][0]] = self._soft.cumulative(np.log1p((v / SOFT_BOSON) ** 2))
            angle = (np.arctan2(boson[:, 2], boson[:, 1]) - np.arctan2(z, x) + pi) % (2 * pi) - pi
            u[:, columns[i][2]] = (1 + side * angle / self._half_angle(np.hypot(x, z), v)) / 2
        return u

    def _range(self, pt: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rapidities that cuts and energy leave to a jet, given E +- pz of what is there already."""
        eta = self.cuts.jet_eta
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.log(np.maximum(self.energy - plus, 0) / pt)
            low = -np.log(np.maximum(self.energy - minus, 0) / pt)
        return np.maximum(low, -eta), np.minimum(high, eta)


def _along(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Boost four-vectors (..., 4) along the beam by rapidities (...)."""
    cosh, sinh = np.cosh(y), np.sinh(y)
    result = p.copy()
    result[..., 0] = cosh * p[..., 0] + sinh * p[..., 3]
    result[..., 3] = sinh * p[..., 0] + cosh * p[..., 3]
    return result
