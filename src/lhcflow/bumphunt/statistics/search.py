"""One spectrum, searched: background fit, count, peaks at all masses, global p-value and limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..regions import SignalRegion
from .checks import SpuriousSignal, spurious_signal
from .fitting import Fits
from .limits import Limit, upper_limit
from .model import ENERGY, MAX_PARAMETERS, dijet_model
from .peaks import gaussian_peak
from .quality import FIRST, Goodness, Trial, f_test, goodness, sideband_fit
from .sampled import PRECISION, toy_limit, toy_p_value
from .significance import (
    Scan,
    Significance,
    background_errors,
    count_model,
    count_significance,
    scan_masses,
    shape_scan,
)
from .spectrum import Array, Spectrum
from .toys import GlobalP, global_p, toy_scan

FEW = 25.0
"""Events in the signal region, observed or expected, below which toys take the place of asymptotic formulas:
at 25 events those give limits that are about 2 % too small."""

_DEFICIT = -4.0
"""Significance from which a deficit is said to be one: by chance in 3e-5 of all searches."""
_FEW_TOYS = 100
"""Toys below which a global p-value comes with a warning: with 100, up-crossings are known to some 10 %."""
_LEAST_SIDEBAND = 20
"""Events in the sidebands with which a spectrum is fitted."""


@dataclass(frozen=True, eq=False)
class Search:
    """What a spectrum says about a signal.

    Attributes
    ----------
    spectrum : Spectrum
        What was searched.
    region : SignalRegion
        What was searched.
    parameters : int
        Of the dijet function, and the F-test that chose their number.
    trials : list of Trial
        Of the dijet function, and the F-test that chose their number.
    fits : Fits
        Of the sidebands.
    background, error : Array
        (bins,) expected from the sidebands, and its uncertainty.
    quality : Goodness
        Of the fit in the sidebands.
    count : Significance
        Excess in the signal region, whatever its shape.
    p_toys, p_toys_error : float or None
        Local p-value of the count from weighted toys, and its Monte Carlo error; None
    where there are
        enough events for the asymptotic one.
    limit : Limit
        On the signal events in the signal region; from toys where there are few events.
    scan : Scan
        Peaks at all masses; those outside the region are fitted with it masked.
    global_ : GlobalP or None
        Largest excess of peaks in the signal region against toys; None without toys.
    spurious : SpuriousSignal
        Signal that the fit finds in the fit of a function with one parameter more.
    """

    spectrum: Spectrum
    region: SignalRegion
    parameters: int
    trials: list[Trial]
    fits: Fits
    background: Array
    error: Array
    quality: Goodness
    count: Significance
    p_toys: float | None
    p_toys_error: float | None
    limit: Limit
    scan: Scan
    global_: GlobalP | None
    spurious: SpuriousSignal
    toy_z: NDArray[np.float32] | None

    @property
    def remarks(self) -> list[str]:
        """What the numbers alone do not say: one sentence each."""
        said = []
        count, limit, found = self.count, self.limit, self.global_
        seen = f"{count.observed:,.0f} events lie" if count.observed else "No event lies"
        expected = f"{count.background:,.1f} ± {count.background_error:,.1f} are expected"
        place = f"{self.region.low:g} to {self.region.high:g} TeV"
        if count.z < _DEFICIT:
            said.append(
                f"{seen} in the signal region {place}, where {expected}: a deficit of {-count.z:.1f} "
                "standard deviations, which no signal makes. Are events missing, or does the fit of the "
                "sidebands fail?"
            )
        elif not count.observed:
            said.append(
                f"{seen} in the signal region {place}, where {expected}: the limit of {limit.observed:.2f} "
                "events is that of seeing none, whatever the background."
            )
        if limit.error > PRECISION * limit.observed:
            said.append(
                f"The limit of {limit.observed:.1f} events has a Monte Carlo error of {limit.error:.1g}."
            )
        if found is not None and found.toys < _FEW_TOYS:
            low, high = found.interval
            said.append(
                f"The global p-value of {found.best:.2g} rests on {found.toys} toys only ({low:.2g} to "
                f"{high:.2g} at 68 % confidence): take more --toys."
            )
        if self.quality.ndf <= 0:
            said.append(
                f"The fit of {self.parameters} parameters to the sidebands has no degree of freedom left: "
                "nothing tests it."
            )
        return said


def search(
    spectrum: Spectrum,
    region: SignalRegion,
    resolution: float = 0.03,
    parameters: int | None = None,
    toys: int = 10_000,
    seed: int = 0,
    energy: float = ENERGY,
    level: float = 0.95,
    first: int = FIRST,
) -> Search:
    """Search one spectrum.

    Parameters
    ----------
    spectrum : Spectrum
        Its bins must end at the limits of the region (`mass_bins`, `fit_range`).
    region : SignalRegion
        The signal region; masked in the background fit.
    resolution : float
        Relative width of the peaks.
    parameters : int, optional
        Of the dijet function; by F-test (``first`` to 5) if None.
    toys : int
        Pseudo-experiments for the global p-value, 0 for none. Where there are few events, limit and
    p-value of the
        count have toys of their own.
    energy : float
        Centre-of-mass energy in TeV.
    level : float
        Confidence level of the limit.
    first : int
        Fewest parameters in the F-test. Behind a cut these are what the spectrum before it needs: few events
        can't reject a function that is too stiff, but their p-values suffer from it.

    Raises
    ------
    InputError
        If the sidebands hold too few events.
    """
    outside = ~spectrum.inside(region)
    if (n := spectrum.counts[outside].sum()) < _LEAST_SIDEBAND:
        raise InputError(
            f"the sidebands of {region.low:g} to {region.high:g} TeV hold {n:g} events behind the cut, "
            f"a fit needs {_LEAST_SIDEBAND}: choose a looser cut or a wider range"
        )
    trials: list[Trial] = []
    if parameters is None:
        parameters, trials = f_test(spectrum, region, first, energy=energy)
    model = dijet_model(spectrum.edges, parameters, energy)
    fits = sideband_fit(spectrum, region, parameters, energy)
    background = model.background(fits.parameters[0])
    masses = scan_masses(spectrum, region, resolution)
    scan = shape_scan(spectrum, masses, resolution, parameters, energy, region)
    count = count_significance(spectrum, region, parameters, energy)
    p_toys, limit = _few_or_many(spectrum, region, count, parameters, seed, energy, level)
    inside = region.contains(masses)
    z, found = None, None
    if toys:
        peaks = gaussian_peak(spectrum.edges, masses[inside], resolution)
        z = toy_scan(model, peaks, background, toys, seed)
        found = global_p(float(scan.z[inside].max()), z)
    return Search(
        spectrum,
        region,
        parameters,
        trials,
        fits,
        background,
        background_errors(model, fits),
        goodness(spectrum.counts[outside], background[outside], parameters),
        count,
        *p_toys,
        limit,
        scan,
        found,
        _spurious(spectrum, region, masses[inside], resolution, parameters, energy),
        z,
    )


def _few_or_many(
    spectrum: Spectrum,
    region: SignalRegion,
    count: Significance,
    parameters: int,
    seed: int,
    energy: float,
    level: float,
) -> tuple[tuple[float | None, float | None], Limit]:
    """p-value of the count by toys with its error, where there are few events, and the limit."""
    model = count_model(spectrum.edges, region, parameters, energy)
    data = spectrum.merged(region)[0].counts
    if min(count.observed, count.background) >= FEW:
        return (None, None), upper_limit(model, data, level)
    return toy_p_value(model, data, seed=seed), toy_limit(model, data, level, seed=seed)


def _spurious(
    spectrum: Spectrum, region: SignalRegion, masses: Array, resolution: float, parameters: int, energy: float
) -> SpuriousSignal:
    """Asimov data from the sideband fit with one parameter more (or fewer, at the end of the family)."""
    other = parameters + 1 if parameters < MAX_PARAMETERS else parameters - 1
    fits = sideband_fit(spectrum, region, other, energy)
    expected = dijet_model(spectrum.edges, other, energy).background(fits.parameters[0])
    return spurious_signal(Spectrum(spectrum.edges, expected), masses, resolution, parameters, region, energy)
