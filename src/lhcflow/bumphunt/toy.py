"""A dijet-like sample with known densities: what the best possible detector would do can be computed.

The features imitate the LHC Olympics' (m_J1 and Delta m_J in TeV, tau21 of both jets): the background's
depend on the mass m and on each other, the signal sits in a corner of them and is a peak in m.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..errors import InputError
from .datasets import Events
from .features import FEATURES

Array = NDArray[np.float64]

LOW, HIGH = 2.6, 7.0
"""Range of m in TeV."""
_ENERGY = 13.0
_DIJET = (9.0, 4.5)
_PEAK, _WIDTH = 3.5, 0.13
_SHIFT = 0.1
_PT = 1.2
"""Smallest transverse momentum of the leading jet in TeV; it limits how far apart the jets can be."""


class Toy:
    """Events of background and signal with exact densities.

    Parameters
    ----------
    shifted : bool
        Add 0.1 m to both masses, which ties them to m (the "shifted" sample of 2109.00546).
    noise : int
        Number of further features that are standard normal and say nothing.
    edge : bool
        Add ``dR``, the distance of the jets, whose range grows with m, because the leading jet has pT > 1.2
        TeV: the moving kinematic edge that makes cuts sculpt the spectrum.

    Attributes
    ----------
    names : tuple of str
        Of the features.

    Examples
    --------
    >>> toy = Toy()
    >>> events = toy.sample(background=1000, signal=10, seed=1)
    >>> len(events), events.names
    (1010, ('mJ1', 'dmJ', 'tau21J1', 'tau21J2'))
    >>> toy.log_ratio(events.features, events.m).shape
    (1010,)
    """

    def __init__(self, shifted: bool = False, noise: int = 0, edge: bool = False) -> None:
        if noise < 0:
            raise InputError(f"the number of noise features must be >= 0, got {noise}")
        self.shifted, self.noise, self.edge = shifted, noise, edge
        separation = ("dR",) if edge else ()
        self.names: tuple[str, ...] = (*FEATURES, *separation, *(f"noise{i}" for i in range(noise)))

    def sample(
        self, background: int, signal: int, seed: int = 0, region: tuple[float, float] | None = None
    ) -> Events:
        """Draw events in random order, with their labels.

        Parameters
        ----------
        background, signal : int
            Numbers of events.
        region : (float or float), optional
            Range of m in TeV to which they are limited; all of it if None.
        """
        rng = np.random.default_rng(np.random.SeedSequence((seed, 0x707)))
        m = np.concatenate([_draw_background_mass(background, rng, region), _draw_peak(signal, rng, region)])
        label = np.repeat([0, 1], [background, signal])
        order = rng.permutation(len(m))
        m, label = m[order], label[order]
        X = np.empty((len(m), len(self.names)))
        for value, physics in enumerate((_Background, _Signal)):
            X[label == value] = self._draw(physics(m[label == value]), rng)
        return Events(X, m, self.names, label)

    def log_background(self, X: ArrayLike, m: ArrayLike) -> Array:
        """Log density (n,) of the background's features ``X`` (n, features), given ``m`` (n,)."""
        return self._log_prob(_Background, X, m)

    def log_signal(self, X: ArrayLike, m: ArrayLike) -> Array:
        """Log density (n,) of the signal's features ``X`` (n, features), given ``m`` (n,)."""
        return self._log_prob(_Signal, X, m)

    def log_ratio(self, X: ArrayLike, m: ArrayLike) -> Array:
        """``log p_s(X | m) / p_b(X | m)`` (n,): no statistic of X and m separates better at a given mass."""
        return self.log_signal(X, m) - self.log_background(X, m)

    def log_ratio_without_mass(self, X: ArrayLike, region: tuple[float, float], points: int = 200) -> Array:
        """``log p_s(X) / p_b(X)`` (n,) in a range of m: the best statistic that does not look at m.

        Both densities are averaged over the spectrum in ``region`` with ``points`` quantiles of it.
        """
        X = np.asarray(X, float)
        centres = (np.arange(points) + 0.5) / points
        peak = stats.norm(_PEAK, _WIDTH)
        low, high = peak.cdf(region)
        masses = {
            _Signal: peak.ppf(low + centres * (high - low)),
            _Background: _background_quantile(centres, region),
        }
        logs = {
            physics: np.logaddexp.reduce([self._log_prob(physics, X, np.full(len(X), m)) for m in grid])
            for physics, grid in masses.items()
        }
        with np.errstate(invalid="ignore"):
            ratio = logs[_Signal] - logs[_Background]
        return np.where(np.isnan(ratio), 0.0, ratio)  # impossible at all masses of the grid

    def _draw(self, physics: _Physics, rng: np.random.Generator) -> Array:
        n = len(physics.m)
        columns: list[Array] = [d.rvs(n, random_state=rng) for d in (physics.mass_1, physics.mass_2)]
        columns += [d.rvs(n, random_state=rng) for d in physics.substructure(columns[0], columns[1])]
        if self.edge:
            columns.append(_delta_r(physics.separation.rvs(n, random_state=rng) * _reach(physics.m)))
        if self.shifted:
            columns[0] = columns[0] + _SHIFT * physics.m
            columns[1] = columns[1] + _SHIFT * physics.m
        columns += [rng.standard_normal(n) for _ in range(self.noise)]
        return np.stack(columns, axis=1)

    def _log_prob(self, kind: type[_Physics], X: ArrayLike, m: ArrayLike) -> Array:
        X, m = np.asarray(X, float), np.asarray(m, float)
        if X.ndim != 2 or X.shape[1] != len(self.names) or m.shape != X.shape[:1]:
            wanted = f"(n, {len(self.names)}) and (n,)"
            raise InputError(f"the toy needs X and m of shapes {wanted}, got {X.shape} and {m.shape}")
        physics = kind(m)
        shift = _SHIFT * m if self.shifted else 0.0
        mass_1, mass_2 = X[:, 0] - shift, X[:, 1] - shift
        with np.errstate(divide="ignore"):
            total = physics.mass_1.logpdf(mass_1) + physics.mass_2.logpdf(mass_2)
            for d, x in zip(physics.substructure(mass_1, mass_2), (X[:, 2], X[:, 3]), strict=True):
                total = total + d.logpdf(x)
            if self.edge:
                delta_r = X[:, 4]
                eta = np.sqrt(np.maximum(delta_r**2 - np.pi**2, 1e-300))
                reach = _reach(m)
                # d(eta / reach) / d(delta_r) = delta_r / (eta reach)
                total = total + physics.separation.logpdf(eta / reach) + np.log(delta_r / (eta * reach))
        return total + stats.norm.logpdf(X[:, len(self.names) - self.noise :]).sum(1)


class _Physics:
    """The distributions of one kind of event at the masses ``m`` (n,)."""

    def __init__(self, m: Array) -> None:
        self.m = m
        self.mass_1, self.mass_2 = self.masses()
        self.separation = self.delta_eta()

    def masses(self) -> Sequence:
        """Of the lighter jet's mass, and of the difference of the masses."""
        raise NotImplementedError

    def substructure(self, mass_1: Array, mass_2: Array) -> Sequence:
        """Of tau21 of both jets, given the masses."""
        raise NotImplementedError

    def delta_eta(self):
        """Of |Delta eta| relative to its largest value."""
        raise NotImplementedError


class _Background(_Physics):
    def masses(self):
        return stats.gamma(3.0, scale=0.013 * self.m), stats.gamma(1.4, scale=0.035 * self.m)

    def substructure(self, mass_1, mass_2):
        # Heavier jets look more two-pronged; the slope in m makes the densities depend on it.
        means = [
            0.62 - 0.25 * np.tanh(4 * np.maximum(mass, 0)) + 0.03 * (self.m - 3.5)
            for mass in (mass_1, mass_1 + mass_2)
        ]
        return [stats.beta(9 * np.clip(mean, 0.1, 0.9), 9 * np.clip(1 - mean, 0.1, 0.9)) for mean in means]

    def delta_eta(self):
        return stats.beta(1.3, 1.0)


class _Signal(_Physics):
    def masses(self):
        return stats.norm(0.1, 0.012), stats.norm(0.39, 0.03)

    def substructure(self, mass_1, mass_2):
        return [stats.beta(3.2, 6.0), stats.beta(2.4, 7.2)]

    def delta_eta(self):
        return stats.beta(1.0, 1.6)


def _reach(m: Array) -> Array:
    """Largest |Delta eta| of two jets with pT = 1.2 TeV and invariant mass m."""
    return 2 * np.arccosh(m / (2 * _PT))


def _delta_r(eta: Array) -> Array:
    return np.hypot(np.pi, eta)


def _spectrum(m: Array) -> Array:
    """The background's spectrum, not normalised: a dijet function (1 - y)^a y^-b, y = m / 13 TeV."""
    y = m / _ENERGY
    return (1 - y) ** _DIJET[0] * y ** -_DIJET[1]


_GRID = np.linspace(LOW, HIGH, 20_001)
_CUMULATIVE = np.concatenate([[0.0], np.cumsum(_spectrum(0.5 * (_GRID[1:] + _GRID[:-1])))])
_CUMULATIVE /= _CUMULATIVE[-1]


def background_fraction(low: float, high: float) -> float:
    """Share of the background with ``low < m < high`` (TeV)."""
    below = np.interp([low, high], _GRID, _CUMULATIVE)
    return float(below[1] - below[0])


def _background_quantile(q: Array, region: tuple[float, float] | None) -> Array:
    low, high = np.interp((LOW, HIGH) if region is None else region, _GRID, _CUMULATIVE)
    return np.interp(low + q * (high - low), _CUMULATIVE, _GRID)


def _draw_background_mass(n: int, rng: np.random.Generator, region: tuple[float, float] | None) -> Array:
    return _background_quantile(rng.random(n), region)


def _draw_peak(n: int, rng: np.random.Generator, region: tuple[float, float] | None) -> Array:
    peak = stats.norm(_PEAK, _WIDTH)
    low, high = peak.cdf((LOW, HIGH) if region is None else region)
    return peak.ppf(low + rng.random(n) * (high - low))
