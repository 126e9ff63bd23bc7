"""Cuts on a detector's score, searched: the spectrum behind each cut, and the count in its template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..regions import SignalRegion
from .checks import Sculpting, sculpting
from .model import ENERGY
from .quality import FIRST
from .search import Search, search
from .significance import Significance
from .spectrum import Array, Spectrum
from .template import TemplateCount, template_count
from .working_points import checked_points, passes

_LEAST_SCULPTED = 50
"""Background events behind a cut with which their spectrum is tested."""


@dataclass(frozen=True, eq=False)
class Cut:
    """What is left behind one cut.

    Attributes
    ----------
    working_point : float
        Share of the background that passes, by construction.
    search : Search
        Of the spectrum.
    template : TemplateCount
        Count in the signal region and in the template.
    template_significance : Significance
        Of that count.
    closure : float
        Share of the data beside the signal region that passes, over that of the template, by which the
        template's background is corrected.
    signal, background : int or None
        Events of the signal region with these labels that pass; None without labels.
    signal_efficiency : float or None
        Share of the labelled signal in the signal region that passes.
    sculpting : Sculpting or None
        Of the labelled background; None without labels, and where little of it passes.
    """

    working_point: float
    search: Search
    template: TemplateCount
    template_significance: Significance
    closure: float
    signal: int | None = None
    background: int | None = None
    signal_efficiency: float | None = None
    sculpting: Sculpting | None = None


@dataclass(frozen=True)
class Settings:
    """Of all searches of a hunt: see `search`."""

    resolution: float = 0.03
    parameters: int | None = None
    toys: int = 10_000
    seed: int = 0
    energy: float = ENERGY
    level: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.resolution < 0.5:
            raise InputError(f"the resolution is relative, such as 0.03, got {self.resolution}")
        if self.toys < 0:
            raise InputError(f"the number of toys must not be negative, got {self.toys}")


def search_spectrum(
    m: ArrayLike, edges: ArrayLike, region: SignalRegion, settings: Settings, first: int = FIRST
) -> Search:
    """Search the spectrum of masses (n,); ``first`` as in `search`."""
    s = settings
    return search(
        Spectrum.of(m, edges), region, s.resolution, s.parameters, s.toys, s.seed, s.energy, s.level, first
    )


def examine_cut(
    m: ArrayLike,
    efficiency: ArrayLike,
    template_efficiency: ArrayLike,
    working_point: float,
    edges: ArrayLike,
    region: SignalRegion,
    inclusive: Search,
    settings: Settings,
    label: ArrayLike | None = None,
) -> Cut:
    """Cut at a working point and search what is left.

    The template's background is normalised to the fit of the sidebands before the cut, and corrected by the
    closure beside the signal region: see `template_count`. The F-test behind the cut begins with the
    parameters of the inclusive fit.

    Parameters
    ----------
    m, efficiency : array_like
        Masses and background efficiencies (n,) of all events, see `CrossFit`.
    template_efficiency : array_like
        (t,) those of the template.
    edges : array_like
        Of the fit.
    inclusive : Search
        Search before the cut, with the same edges.
    label : array_like, optional
        (n,) 1 for signal, where it is known.
    """
    m = np.asarray(m, float)
    checked_points([working_point], len(np.asarray(template_efficiency)))
    passed = passes(efficiency, working_point)
    inside = region.contains(m)
    before = inclusive.count
    template = passes(template_efficiency, working_point)
    count = template_count(m, passed, template, region, before.background, before.background_error)
    found = search_spectrum(m[passed], edges, region, settings, inclusive.parameters)
    signal = background = share = shaped = None
    if label is not None:
        known = np.asarray(label)[inside]
        signal, background = (int(np.count_nonzero(passed[inside] & (known == v))) for v in (1, 0))
        total = int(np.count_nonzero(known == 1))
        share = signal / total if total else None
        known_background = np.asarray(label) == 0
        shaped = _sculpting(m, passed, known_background, edges, region, inclusive.parameters, settings)
    return Cut(
        working_point,
        found,
        count,
        count.significance(),
        count.closure.ratio,
        signal,
        background,
        share,
        shaped,
    )


def _sculpting(
    m: Array,
    passed: NDArray[np.bool_],
    known: NDArray[np.bool_],
    edges: ArrayLike,
    region: SignalRegion,
    first: int,
    settings: Settings,
) -> Sculpting | None:
    before, after = (Spectrum.of(m[rows], edges) for rows in (known, known & passed))
    if after.counts.sum() < _LEAST_SCULPTED:
        return None
    return sculpting(before, after, region, settings.energy, first)


def examine_cuts(
    m: ArrayLike,
    efficiency: ArrayLike,
    template_efficiency: ArrayLike,
    working_points: Sequence[float],
    edges: ArrayLike,
    region: SignalRegion,
    inclusive: Search,
    settings: Settings,
    label: ArrayLike | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> list[Cut]:
    """All working points that leave enough events for a fit; ``warn`` hears about the others."""
    cuts = []
    for point in working_points:
        try:
            cuts.append(
                examine_cut(
                    m, efficiency, template_efficiency, point, edges, region, inclusive, settings, label
                )
            )
        except InputError as error:
            warn(f"the cut at {point:g}: {error}")
    return cuts
