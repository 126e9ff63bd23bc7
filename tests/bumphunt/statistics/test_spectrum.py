"""Bins and counts."""

from itertools import pairwise

import numpy as np
import pytest

from lhcflow.bumphunt import SignalRegion
from lhcflow.bumphunt.statistics import Spectrum, fit_range, mass_bins
from lhcflow.errors import InputError

REGION = SignalRegion(3.3, 3.7)


def test_counts_are_those_of_numpy():
    m = np.random.default_rng(1).uniform(2, 6, 1000)
    edges = [2.0, 2.5, 3.0, 4.5]
    spectrum = Spectrum.of(m, edges)
    assert spectrum.counts.tolist() == [np.sum((m >= a) & (m < b)) for a, b in pairwise(edges)]


def test_bins_end_at_the_region():
    edges = mass_bins(REGION, 2.61, 6.99, width=0.08)
    assert np.isclose(edges, 3.3).any()
    assert np.isclose(edges, 3.7).any()
    np.testing.assert_allclose(np.diff(edges), 0.08)
    assert edges[0] >= 2.61
    assert edges[-1] >= 6.99
    inside = Spectrum(edges, np.zeros(len(edges) - 1)).inside(REGION)
    assert inside.sum() == 5


def test_merging_keeps_the_events():
    edges = mass_bins(REGION, 2.6, 7.0)
    spectrum = Spectrum(edges, np.arange(len(edges) - 1.0))
    merged, place = spectrum.merged(REGION)
    assert merged.counts.sum() == spectrum.counts.sum()
    assert merged.counts[place] == spectrum.counts[spectrum.inside(REGION)].sum()
    np.testing.assert_allclose(merged.edges[place : place + 2], [3.3, 3.7])
    assert len(merged.counts) == len(spectrum.counts) - 3


def test_the_fit_range_starts_behind_the_turn_on():
    rng = np.random.default_rng(2)
    m = 2.2 + rng.exponential(0.5, 200_000)
    # Half of the events below 2.8 are lost, more of them the lower the mass.
    m = m[rng.random(len(m)) < np.clip((m - 2.2) / 0.6, 0, 1)]
    edges = fit_range(m, REGION)
    assert 2.6 <= edges[0] <= 3.0
    assert edges[-1] >= m.max()


def test_one_line_for_each_wrong_spectrum():
    with pytest.raises(InputError, match=r"edges must rise, but 3 follows 3\.5"):
        Spectrum.of([3.0], [2.0, 3.5, 3.0])
    with pytest.raises(InputError, match="2 of 3 masses are NaN"):
        Spectrum.of([3.0, np.nan, np.inf], [2.0, 3.5])
    with pytest.raises(InputError, match="3 bin edges need 2 counts"):
        Spectrum([1, 2, 3], [1])
    with pytest.raises(InputError, match="not negative"):
        Spectrum([1, 2], [-1])
    with pytest.raises(InputError, match="no bin edge"):
        Spectrum([3.0, 3.5, 4.0], [1, 1]).inside(REGION)
    with pytest.raises(InputError, match="both sides"):
        mass_bins(REGION, 3.4, 7.0)
    with pytest.raises(InputError, match="beyond the signal region"):
        fit_range([3.4, 3.5], REGION)
    with pytest.raises(InputError, match="beyond the signal region"):
        fit_range([], REGION)
