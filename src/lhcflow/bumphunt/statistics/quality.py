"""How well a background fit describes a spectrum, and how many parameters it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ...errors import InputError
from ..regions import SignalRegion
from .fitting import Fits, fit
from .model import ENERGY, MAX_PARAMETERS, MIN_PARAMETERS, dijet_model
from .spectrum import Array, Spectrum, mass_bins

_LEAST_EXPECTED = 10.0
"""Bins are joined until so many events are expected in each: Pearson's chi2 then has its distribution."""
_LEVEL = 0.05
FIRST = 3
"""Parameters with which the F-test begins. With two, a spectrum of 1000 events that needs three passes it
every other time, and its p-values are biased by half a standard deviation."""
_OUTLIERS, _TAIL, _FAR = 10, 100, 6.0
"""Most masses that may be outliers at the end of a spectrum, masses below them that give its slope, and the
distance in units of the slope from which masses are outliers."""
_LEAST_BELOW = 3
"""Bins that stay below the signal region when the turn-on of the spectrum is cut away."""


@dataclass(frozen=True)
class Goodness:
    """Pearson's chi2 with neighbouring bins joined, its degrees of freedom and p-value."""

    chi2: float
    ndf: int

    @property
    def p(self) -> float:
        """Chance of a larger chi2."""
        return float(stats.chi2.sf(self.chi2, self.ndf)) if self.ndf > 0 else float("nan")

    @property
    def reduced(self) -> float:
        """chi2 / ndf."""
        return self.chi2 / self.ndf if self.ndf > 0 else float("nan")


def goodness(counts: ArrayLike, expected: ArrayLike, parameters: int) -> Goodness:
    """Compare counts (bins,) with the expectation (bins,) of a fit with so many parameters."""
    n, mu = np.asarray(counts, float), np.asarray(expected, float)
    groups = groups_of_bins(mu)
    n, mu = (np.add.reduceat(v, groups) for v in (n, mu))
    return Goodness(float(np.sum((n - mu) ** 2 / mu)), len(mu) - parameters)


@dataclass(frozen=True)
class Trial:
    """One step of the F-test.

    Attributes
    ----------
    parameters : int
        Of the dijet function.
    goodness : Goodness
        In the sidebands.
    f, p : float
        Of the improvement over one parameter fewer, and its chance; NaN for the first.
    """

    parameters: int
    goodness: Goodness
    f: float
    p: float


def sideband_fit(
    spectrum: Spectrum, region: SignalRegion | None, parameters: int, energy: float = ENERGY
) -> Fits:
    """Fit the dijet function with the signal region masked (or nothing masked: None)."""
    model, keep = dijet_model(spectrum.edges, parameters, energy), _outside(spectrum, region)
    if keep.sum() <= parameters:
        raise InputError(f"{keep.sum()} bins outside the signal region can't fix {parameters} parameters")
    fits = fit(model.only(keep), spectrum.counts[keep])
    if not fits.converged.all():
        raise InputError(
            f"the fit of {parameters} parameters to {spectrum.counts[keep].sum():g} events beside the signal "
            "region did not converge: take fewer parameters"
        )
    return fits


def f_test(
    spectrum: Spectrum,
    region: SignalRegion | None = None,
    first: int = FIRST,
    last: int = 5,
    energy: float = ENERGY,
    level: float = _LEVEL,
) -> tuple[int, list[Trial]]:
    """Choose the number of parameters with Fisher's F-test in the sidebands.

    From ``first`` (3) on, a parameter is added as long as the chi2 it saves has a chance below ``level``
    in ``F = (chi2_1 - chi2_2) / (chi2_2 / ndf_2)``.

    Parameters
    ----------
    region : SignalRegion, optional
        The signal region, which is masked; None to fit everything.
    first, last : int
        Smallest and largest number of parameters.
    level : float
        Significance level of one more parameter.

    Returns
    -------
    (int, list of Trial)
        The number of parameters, and all trials.
    """
    if not MIN_PARAMETERS <= first <= last <= MAX_PARAMETERS:
        raise InputError(f"the F-test goes from {MIN_PARAMETERS} to {MAX_PARAMETERS} parameters at most")
    keep = _outside(spectrum, region)
    counts = spectrum.counts[keep]
    trials: list[Trial] = []
    chosen, open_ = first, True
    # All trials are compared in the same groups of bins.
    groups = None
    for k in range(first, last + 1):
        expected = sideband_fit(spectrum, region, k, energy).expected[0]
        groups = groups_of_bins(expected) if groups is None else groups
        n, mu = (np.add.reduceat(v, groups) for v in (counts, expected))
        found = Goodness(float(np.sum((n - mu) ** 2 / mu)), len(mu) - k)
        f = p = float("nan")
        if trials and found.ndf > 0:
            saved = trials[-1].goodness.chi2 - found.chi2
            f = max(saved, 0.0) / found.reduced
            p = float(stats.f.sf(f, 1, found.ndf))
            open_ = open_ and p < level
            chosen = k if open_ else chosen
        trials.append(Trial(k, found, f, p))
    return chosen, trials


def fit_range(
    m: ArrayLike,
    region: SignalRegion,
    width: float | None = None,
    high: float | None = None,
    energy: float = ENERGY,
) -> Array:
    """Bins (bins + 1,) for the fit, from above the turn-on of the spectrum to its end.

    The low edge starts behind the fullest bin below the signal region and moves up until the
    dijet function fits the sidebands (p > 5 %); the signal region is not looked at. Three bins below it
    always stay.

    Parameters
    ----------
    m : array_like
        (n,) masses in TeV of all events, before any cut on a score.
    region : SignalRegion
        The signal region.
    width : float, optional
        Of a bin in TeV, see `mass_bins`.
    high : end of the range in TeV; if None, that of the data without masses far beyond all others
        (`last_mass`).
    """
    m = np.asarray(m, float)
    if m.size == 0 or not (m.min() < region.low and m.max() > region.high):
        reach = f"{m.min():.3g} to {m.max():.3g}" if m.size else "nothing"
        raise InputError(
            f"the data ({reach} TeV) must reach beyond the signal region "
            f"{region.low:g} to {region.high:g} TeV on both sides"
        )
    if high is None:
        high = last_mass(m)
        high = high if high > region.high else float(m.max())
    edges = mass_bins(region, float(m.min()), min(high, energy * 0.999), width)
    edges = edges[edges < energy]
    spectrum = Spectrum.of(m, edges)
    below = int(np.flatnonzero(spectrum.inside(region))[0])
    if below < _LEAST_BELOW:
        raise InputError(f"only {below} bins lie below the signal region: the fit needs {_LEAST_BELOW}")
    first = int(np.argmax(spectrum.counts[:below]))
    first = min(first + (first > 0), below - _LEAST_BELOW)
    for start in range(first, below - _LEAST_BELOW + 1):
        tried = Spectrum(edges[start:], spectrum.counts[start:])
        k, trials = f_test(tried, region, energy=energy)
        if next(t for t in trials if t.parameters == k).goodness.p > _LEVEL:
            return edges[start:]
    return edges[first:]


def last_mass(m: ArrayLike) -> float:
    """The largest mass that is no outlier.

    Where an exponential spectrum ends, k times the distance of the k-th largest mass to the next smaller one
    follows its slope. Up to ten masses are outliers if their distance exceeds six times the slope, which
    comes from the next hundred: by chance in 3 % of exponential spectra.

    Parameters
    ----------
    m : array
        Masses (n,) in TeV.

    Examples
    --------
    >>> m = np.random.default_rng(1).exponential(0.5, 10_000)
    >>> bool(last_mass(np.append(m, 12.9)) == m.max())
    True
    """
    m = np.asarray(m, float)
    top = -np.partition(-m, _OUTLIERS + _TAIL)[: _OUTLIERS + _TAIL + 1] if m.size > _OUTLIERS + _TAIL else m
    top = np.sort(top)[::-1]
    if len(top) < _OUTLIERS + _TAIL:
        return float(m.max())
    distance = np.arange(1, len(top)) * -np.diff(top)
    slope = float(np.median(distance[_OUTLIERS:])) / np.log(2)
    far = np.flatnonzero(distance[:_OUTLIERS] > _FAR * slope)
    return float(top[far[-1] + 1] if far.size else top[0])


def _outside(spectrum: Spectrum, region: SignalRegion | None) -> NDArray[np.bool_]:
    return np.ones(len(spectrum.counts), bool) if region is None else ~spectrum.inside(region)


def groups_of_bins(expected: Array) -> NDArray[np.int64]:
    """First bins (groups,) of groups of neighbouring bins with at least ten expected events each."""
    starts, total = [0], 0.0
    for i, value in enumerate(expected):
        if total >= _LEAST_EXPECTED:
            starts.append(i)
            total = 0.0
        total += value
    if total < _LEAST_EXPECTED and len(starts) > 1:
        starts.pop()
    return np.array(starts)
