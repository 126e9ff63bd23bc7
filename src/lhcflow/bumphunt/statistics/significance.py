"""Local significances by the profile likelihood, at one mass or many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...errors import InputError
from ..regions import SignalRegion
from .fitting import Fits, fit
from .model import ENERGY, BinnedModel, dijet_model
from .peaks import gaussian_peak
from .spectrum import Array, Spectrum


@dataclass(frozen=True)
class Significance:
    """Of an excess in one spectrum.

    Attributes
    ----------
    observed : float
        Events in the signal region.
    background, background_error : float
        Expected there, from the sidebands, and its uncertainty.
    yield_, yield_error : float
        Fitted signal events.
    z : float
        Local significance in standard deviations, negative for a deficit.
    """

    observed: float
    background: float
    background_error: float
    yield_: float
    yield_error: float
    z: float

    @property
    def p0(self) -> float:
        """Local p-value: chance of at least this excess from background alone."""
        return float(stats.norm.sf(self.z))


def signed_z(model: BinnedModel, counts: ArrayLike, start: Fits | None = None) -> tuple[Array, Fits]:
    """Signed significances (n,) of a model's signal in spectra (n, bins), and the fits with signal.

    ``z = sign(s) sqrt(2 log L(s) / L(0))`` with the background fitted in both (1007.1727, eq. 52 for s > 0).

    Parameters
    ----------
    start : Fits, optional
        Background fits of the same spectra, made here if None.
    """
    null = fit(model, counts, yields=0.0) if start is None else start
    with_signal = fit(model, counts, start=null)
    q = np.maximum(null.deviance - with_signal.deviance, 0.0)
    return np.sign(with_signal.yields) * np.sqrt(q), with_signal


def count_model(
    edges: ArrayLike, region: SignalRegion, parameters: int, energy: float = ENERGY
) -> BinnedModel:
    """The dijet function with the signal region as one bin, whose excess may have any shape."""
    spectrum, place = Spectrum(edges, np.zeros(len(np.asarray(edges)) - 1)).merged(region)
    signal = np.zeros(len(spectrum.counts))
    signal[place] = 1.0
    return dijet_model(spectrum.edges, parameters, energy).with_signal(signal)


def count_significance(
    spectrum: Spectrum, region: SignalRegion, parameters: int, energy: float = ENERGY
) -> Significance:
    """Excess of the signal region over the fit of the sidebands, whatever its shape.

    The uncertainty of the background fit is part of the profile likelihood. For the same reason that
    the region is one bin, the fit with signal is a fit with the region masked.
    """
    merged, place = spectrum.merged(region)
    model = count_model(spectrum.edges, region, parameters, energy)
    z, fits = signed_z(model, merged.counts)
    background = model.background(fits.parameters[0])[place]
    return Significance(
        float(merged.counts[place]),
        float(background),
        float(background_errors(model, fits)[place]),
        float(fits.yields[0]),
        float(fits.yield_error[0]),
        float(z[0]),
    )


def background_errors(model: BinnedModel, fits: Fits) -> Array:
    """Uncertainty (bins,) of the background of the first fit, from its parameters' covariance."""
    slopes = background_slopes(model, fits.parameters[0])
    return np.sqrt(np.einsum("bi,ij,bj->b", slopes, fits.background_covariance[0], slopes))


def background_slopes(model: BinnedModel, parameters: Array) -> Array:
    """Derivatives (bins, parameters) of the background with respect to its parameters (parameters,)."""
    at_nodes = np.exp(model.design @ parameters + model.offset)
    return np.einsum("bq,bqk->bk", at_nodes, model.design)


@dataclass(frozen=True, eq=False)
class Scan:
    """Fits of a peak at many masses.

    Attributes
    ----------
    masses : Array
        (masses,) in TeV.
    z : Array
        (masses,) signed local significances.
    yields, errors : Array
        (masses,) fitted signal events and their errors.
    """

    masses: Array
    z: Array
    yields: Array
    errors: Array

    @property
    def p0(self) -> Array:
        """Local p-values (masses,)."""
        return stats.norm.sf(self.z)

    def within(self, region: SignalRegion) -> Scan:
        """The masses inside a region."""
        inside = region.contains(self.masses)
        return Scan(self.masses[inside], self.z[inside], self.yields[inside], self.errors[inside])


def scan_masses(spectrum: Spectrum, region: SignalRegion, resolution: float) -> Array:
    """Masses for a scan: half a resolution apart, one of them the centre of the region.

    They reach to 1.5 resolutions from the ends of the spectrum, and no further than five events do.
    """
    total = np.cumsum(spectrum.counts[::-1])[::-1]
    filled = np.flatnonzero(total >= 5)
    if len(filled) == 0:
        raise InputError(f"the spectrum holds {spectrum.counts.sum():g} events: too few for a scan")
    low = spectrum.edges[0] / (1 - 1.5 * resolution)
    high = spectrum.edges[filled[-1] + 1] / (1 + 1.5 * resolution)
    ratio = np.log1p(0.5 * resolution)
    below = np.floor(np.log(region.centre / low) / ratio)
    above = max(np.floor(np.log(max(high, region.high) / region.centre) / ratio), 0)
    return region.centre * np.exp(ratio * np.arange(-below, above + 1))


def shape_scan(
    spectrum: Spectrum,
    masses: ArrayLike,
    resolution: float,
    parameters: int,
    energy: float = ENERGY,
    region: SignalRegion | None = None,
) -> Scan:
    """Fit background and a Gaussian peak at each of ``masses`` (masses,) in TeV.

    Parameters
    ----------
    region : SignalRegion, optional
        Masked for peaks outside of it, since an excess there would bend the background under them; None to
        mask nothing.
    """
    masses = np.atleast_1d(np.asarray(masses, float))
    model = dijet_model(spectrum.edges, parameters, energy)
    peaks = gaussian_peak(spectrum.edges, masses, resolution)
    every = np.ones(model.bins, bool)
    groups = [(np.ones(len(masses), bool), every)]
    if region is not None:
        inside = region.contains(masses)
        groups = [(inside, every), (~inside, ~spectrum.inside(region))]
    z, yields, errors = (np.empty(len(masses)) for _ in range(3))
    for rows, bins in groups:
        counts, background = spectrum.counts[bins], model.only(bins)
        null = fit(background, counts)
        for i in np.flatnonzero(rows):
            found, fits = signed_z(background.with_signal(peaks[i, bins]), counts, null)
            z[i], yields[i], errors[i] = found[0], fits.yields[0], fits.yield_error[0]
    return Scan(masses, z, yields, errors)
