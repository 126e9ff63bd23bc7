"""Checks of the background: signal that a fit invents, and cuts that shape the spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ...errors import InputError
from ..regions import SignalRegion
from .model import ENERGY
from .quality import FIRST, Goodness, f_test, goodness, sideband_fit
from .significance import Significance, count_significance, shape_scan
from .spectrum import Array, Spectrum


@dataclass(frozen=True, eq=False)
class SpuriousSignal:
    """What a fit finds where there is no signal.

    Attributes
    ----------
    masses : Array
        (masses,) in TeV.
    ratio : Array
        (masses,) fitted yield over its error, from a peak at each mass.
    count : float or None
        The same from the count in the signal region; None without a region.
    """

    masses: Array
    ratio: Array
    count: float | None

    @property
    def largest(self) -> float:
        """Largest absolute ratio."""
        values = np.abs(self.ratio) if self.count is None else np.append(np.abs(self.ratio), abs(self.count))
        return float(values.max())


def spurious_signal(
    spectrum: Spectrum,
    masses: ArrayLike,
    resolution: float,
    parameters: int,
    region: SignalRegion | None = None,
    energy: float = ENERGY,
) -> SpuriousSignal:
    """Fit signal to background without fluctuations.

    The ratio of the yield to its error is the bias of the background function in units of the
    statistical error, if ``spectrum`` holds expected counts (not drawn ones) at the luminosity of
    the data: from simulation with many events scaled down, or from another function.
    """
    scan = shape_scan(spectrum, masses, resolution, parameters, energy)
    count = None
    if region is not None:
        found = count_significance(spectrum, region, parameters, energy)
        count = found.yield_ / found.yield_error
    return SpuriousSignal(scan.masses, scan.yields / scan.errors, count)


@dataclass(frozen=True)
class Sculpting:
    """Spectrum of background behind a cut.

    Attributes
    ----------
    efficiency : float
        Share that passes, all masses together.
    constant : Goodness
        Comparison with an efficiency that does not depend on the mass.
    slope, slope_error : float
        Relative change of the efficiency per TeV.
    smooth : Goodness
        The dijet function fitted to the spectrum behind the cut, nothing masked.
    parameters : int
        Of that function, from its own F-test.
    count : Significance
        Excess in the signal region over the sidebands, which a sculpting cut creates.
    """

    efficiency: float
    constant: Goodness
    slope: float
    slope_error: float
    smooth: Goodness
    parameters: int
    count: Significance


def sculpting(
    before: Spectrum,
    after: Spectrum,
    region: SignalRegion,
    energy: float = ENERGY,
    first: int = FIRST,
    last: int = 5,
) -> Sculpting:
    """Test on background alone whether a cut shapes the spectrum.

    Parameters
    ----------
    before, after : Spectrum
        Spectra of the same background events, in the same bins, before and behind the cut.
    first, last : int
        Range of the F-test.
    """
    if before.edges.shape != after.edges.shape or np.any(after.counts > before.counts):
        raise InputError("sculpting compares a spectrum with a part of itself in the same bins")
    if after.counts.sum() == 0:
        raise InputError("no event passes the cut: there is no spectrum to test")
    efficiency = after.counts.sum() / before.counts.sum()
    constant = goodness(after.counts, efficiency * before.counts, 1)
    used = before.counts > 0
    share, centre = after.counts[used] / before.counts[used], before.centres[used]
    # Weights of a binomial with the common efficiency: those of the observed shares would favour low ones.
    weight = before.counts[used] / max(efficiency * (1 - efficiency), 1e-12)
    mean = np.average(centre, weights=weight)
    spread = float(np.sum(weight * (centre - mean) ** 2))
    slope = float(np.sum(weight * (centre - mean) * share)) / spread
    parameters, _ = f_test(after, None, first, max(first, last), energy)
    fits = sideband_fit(after, None, parameters, energy)
    return Sculpting(
        float(efficiency),
        constant,
        float(slope / efficiency),
        float(spread**-0.5 / efficiency),
        goodness(after.counts, fits.expected[0], parameters),
        parameters,
        count_significance(after, region, parameters, energy),
    )


def uniformity(p_values: ArrayLike) -> float:
    """Kolmogorov-Smirnov p-value of local p-values (n,) of background-only experiments being uniform.

    Raises
    ------
    InputError
        If there are none, or if one is no number in [0, 1].
    """
    p = np.asarray(p_values, float).ravel()
    bad = int(np.count_nonzero(~((p >= 0) & (p <= 1))))
    if len(p) == 0 or bad:
        raise InputError(f"{bad} of {len(p)} p-values do not lie between 0 and 1")
    return float(stats.kstest(p, "uniform").pvalue)
