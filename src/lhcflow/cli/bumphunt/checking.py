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
    from .loading import Samples

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

    least = _for_training(folds, MIN_REGION)

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


def check_methods(hunt: Hunt, methods: Sequence[str], samples: Samples) -> tuple[list[str], list[str]]:
    """Methods for whose training on all folds but one there are enough events of each kind.

    Returns
    -------
    methods, notes : lists of str
        Those that nobody asked for are left out if there are too few events, and noted.

    Raises
    ------
    InputError
        If there are too few for one that was asked for, or for all.
    """
    few = {name: text for name in methods if (text := _too_few(hunt, name, samples))}
    left = [name for name in methods if name not in few]
    if few and (hunt.methods is not None or not left):
        raise InputError(f"{next(iter(few.values()))}: leave it out of --methods, or move the region")
    return left, [f"{text}: it is left out." for text in few.values()]


def _too_few(hunt: Hunt, name: str, samples: Samples) -> str:
    """What a method has too few of, in words; empty if there is enough of all."""
    from ...bumphunt import CWoLa, SignalRegion
    from ...bumphunt.detectors.base import MIN_REGION, MIN_SIDEBAND
    from ...bumphunt.detectors.supervised import MIN_LABELLED

    region, events = SignalRegion.of(hunt.region), samples.events
    inside = region.contains(events.m)
    kinds: list[tuple[int, str, int]] = []
    if name == "cwola":
        width = CWoLa().strip_width
        for strip, side in zip(region.strips(events.m, width), ("below", "above"), strict=True):
            kinds.append((strip.sum(), f"in the strip of {width:g} TeV {side} the signal region", MIN_REGION))
    elif name == "idealized" and samples.background is not None:
        known = region.contains(samples.background.m).sum()
        kinds.append((known, "of the background sample in the signal region", MIN_REGION))
    elif name == "supervised" and events.label is not None:
        for value, noun in ((1, "signal"), (0, "background")):
            labelled = (events.label[inside] == value).sum()
            kinds.append((labelled, f"with the label of {noun} in the signal region", MIN_LABELLED))
    elif name in ("cathode", "lacathode", "anode", "ranode"):
        kinds.append(((~inside).sum(), "beside the signal region", MIN_SIDEBAND))
    for number, noun, least in kinds:
        if number < (needed := _for_training(hunt.folds, least)):
            return f"{name} in {hunt.folds} folds needs {needed} events {noun}, there are {number}"
    return ""


def _for_training(folds: int, least: int) -> int:
    """Events of which all folds but one are at least ``least``."""
    return math.ceil(least * folds / (folds - 1))


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
    one = f"1 event with m = {m.max():.4g} TeV lies far beyond all others and is"
    several = f"{n} events with m up to {m.max():.4g} TeV lie far beyond all others and are"
    return [
        f"{one if n == 1 else several} left out of the fit, which ends at {edges[-1]:.4g} TeV; --fit-range "
        "changes that."
    ]


def edges_of(hunt: Hunt, region: SignalRegion, m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins of the fit: over the range that was asked for, or one that `fit_range` finds."""
    from ...bumphunt.statistics import fit_range, mass_bins

    if hunt.fit_range is not None:
        return mass_bins(region, *hunt.fit_range, hunt.bin_width)
    return fit_range(m, region, hunt.bin_width, energy=hunt.settings.energy)


def window_edges(hunt: Hunt, m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins of the fit for the region of a hunt, once region, data and cuts are found to fit together."""
    from ...bumphunt import SignalRegion

    region = SignalRegion.of(hunt.region)
    check_region(region, m, hunt.folds)
    edges = edges_of(hunt, region, m)
    check_points(hunt.working_points, edges, region, m)
    return edges


def checked_windows(hunt: Hunt, places: Sequence[tuple[float, float]], samples: Samples) -> None:
    """Refuse a scan of which no window can be searched, with what is wrong with the first one."""
    first = None
    for place in places:
        here = replace(hunt, region=place)
        try:
            window_edges(here, samples.events.m)
            check_methods(here, here.methods or (), samples)
            return
        except InputError as error:
            first = first or error
    raise InputError(f"no window can be searched; the first one: {first}")
