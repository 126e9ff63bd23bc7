"""Options of a hunt against its data: what can go wrong is said before the training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...bumphunt import SignalRegion
    from .hunting import Hunt

_MOST_ENERGY = 1000.0
"""TeV, beyond all colliders that anyone has proposed: a larger number is in GeV."""
_MOST_BEYOND = 0.01
"""Share of events beyond the collision energy that may be outliers; more are in another unit."""
_LEAST_BEHIND = 0.5
"""Events beside the signal region that a cut must be expected to keep; whether those behind it suffice for a
fit (20) is known after the training only."""


def check_unit(low: float, high: float, energy: float, option: str) -> None:
    """Refuse an energy, and masses of an option, that can't be in TeV."""
    if not 0 < energy <= _MOST_ENERGY:
        raise InputError(f"--energy {energy:g}: give the collision energy in TeV, such as 13")
    if high > energy:
        gev = f", such as {low / 1000:g} {high / 1000:g}" if high / 1000 < energy else ""
        raise InputError(
            f"{option} {low:g} {high:g} reaches beyond the collision energy of {energy:g} TeV: give TeV{gev}"
        )


def check_masses(
    hunt: Hunt, m: NDArray[np.float64], regions: tuple[float, float], option: str = "--region"
) -> None:
    """Refuse options and masses (n,) that can't be in TeV; ``regions`` are the ends of what is searched."""
    energy = hunt.settings.energy
    check_unit(*regions, energy, option)
    if hunt.fit_range is not None:
        check_unit(*hunt.fit_range, energy, "--fit-range")
    beyond = int((m >= energy).sum())
    if beyond > _MOST_BEYOND * len(m):
        raise InputError(
            f"{beyond} of {len(m)} events have m beyond the collision energy of {energy:g} TeV (m from "
            f"{m.min():.4g} to {m.max():.4g} TeV): check the unit of the masses, and --energy"
        )


def check_region(region: SignalRegion, m: NDArray[np.float64], folds: int) -> None:
    """Refuse a signal region with too few events to train on all folds but one."""
    from ...bumphunt import SignalRegion
    from ...bumphunt.detectors.base import MIN_REGION

    least = _for_training(folds)

    def inside(factor: float) -> int:
        return int(SignalRegion(region.low * factor, region.high * factor).contains(m).sum())

    if (n := inside(1)) >= least:
        return
    reach = f"m from {m.min():.4g} to {m.max():.4g} TeV"
    if inside(1e-3) >= MIN_REGION:
        cure = f"the masses of the file ({reach}) look 1000 times too small: jets need GeV, and m needs TeV"
    elif inside(1e3) >= MIN_REGION:
        cure = f"the masses of the file ({reach}) look 1000 times too large: m needs TeV"
    else:
        cure = f"widen it, or check the unit of the masses ({reach})"
    raise InputError(
        f"the signal region {region.low:g} to {region.high:g} TeV holds {n} events, training needs "
        f"{least} in {folds} folds: {cure}"
    )


def check_strips(region: SignalRegion, m: NDArray[np.float64], folds: int) -> None:
    """Refuse strips of CWoLa with too few events to train on all folds but one."""
    from ...bumphunt import CWoLa

    least, width = _for_training(folds), CWoLa().strip_width
    for side, strip in zip(("below", "above"), region.strips(m, width), strict=True):
        if strip.sum() < least:
            raise InputError(
                f"the strip of {width:g} TeV {side} the signal region holds {strip.sum()} events, to train "
                f"CWoLa in {folds} folds needs {least}: leave out cwola, or move the region"
            )


def _for_training(folds: int) -> int:
    """Events of which all folds but one are enough for a training."""
    from ...bumphunt.detectors.base import MIN_REGION

    return math.ceil(MIN_REGION * folds / (folds - 1))


def check_points(
    points: Sequence[float], edges: NDArray[np.float64], region: SignalRegion, m: NDArray[np.float64]
) -> None:
    """Refuse cuts that are given twice, or that leave nothing to fit."""
    from ...bumphunt.statistics import checked_points

    checked_points(points)
    written = [f"{point:g}" for point in points]
    if twice := [point for i, point in enumerate(written) if point in written[:i]]:
        raise InputError(f"--cuts has {twice[0]} twice: give different working points")
    beside = int((region.sidebands(m, edges[0], edges[-1])).sum())
    for point in points:
        if point * beside < _LEAST_BEHIND:
            raise InputError(
                f"the cut at {point:g} would keep {point * beside:.2g} of {beside} events beside the signal "
                f"region, too few for a fit: give looser --cuts, from {20 / max(beside, 1):.1g} on"
            )


def left_out(hunt: Hunt, edges: NDArray[np.float64], m: NDArray[np.float64]) -> list[str]:
    """A warning about events beyond the end of a fit range that nobody asked for."""
    n = int((m >= edges[-1]).sum())
    if hunt.fit_range is not None or not n:
        return []
    noun = "event with m =" if n == 1 else "events with m up to"
    return [
        f"{n} {noun} {m.max():.4g} TeV, far beyond all others, left out of the fit, which ends at "
        f"{edges[-1]:.4g} TeV; --fit-range changes that."
    ]


def edges_of(hunt: Hunt, region: SignalRegion, m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins of the fit: over the range that was asked for, or one that :func:`fit_range` finds."""
    from ...bumphunt.statistics import fit_range, mass_bins

    if hunt.fit_range is not None:
        return mass_bins(region, *hunt.fit_range, hunt.bin_width)
    return fit_range(m, region, hunt.bin_width, energy=hunt.settings.energy)


def window_edges(hunt: Hunt, m: NDArray[np.float64], methods: Sequence[str]) -> NDArray[np.float64]:
    """Bins of the fit for the region of a hunt, once region, data and cuts are found to fit together."""
    from ...bumphunt import SignalRegion

    region = SignalRegion.of(hunt.region)
    check_region(region, m, hunt.folds)
    edges = edges_of(hunt, region, m)
    if "cwola" in methods:
        check_strips(region, m, hunt.folds)
    check_points(hunt.working_points, edges, region, m)
    return edges


def checked_windows(
    hunt: Hunt, places: Sequence[tuple[float, float]], m: NDArray[np.float64], method: str
) -> None:
    """Refuse a scan of which no window can be searched, with what is wrong with the first one."""
    first = None
    for place in places:
        try:
            window_edges(replace(hunt, region=place), m, [method])
            return
        except InputError as error:
            first = first or error
    raise InputError(f"no window can be searched; the first one: {first}")
