"""Cuts, their template counts and closure, on scores whose efficiency is known."""

import numpy as np
import pytest

from lhcflow.bumphunt import SignalRegion
from lhcflow.bumphunt.statistics import Settings, examine_cut, examine_cuts, mass_bins, search_spectrum
from lhcflow.bumphunt.statistics.curves import feature_edges, improvement, score_histogram
from lhcflow.bumphunt.toy import _draw_background_mass
from lhcflow.errors import InputError

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)
SETTINGS = Settings(toys=0)


@pytest.fixture(scope="module")
def sample():
    """60,000 events of background, whose scores say nothing, and 300 of signal with high ones."""
    rng = np.random.default_rng(1)
    m = np.concatenate([_draw_background_mass(60_000, rng, None), rng.normal(3.5, 0.1, 300)])
    efficiency = np.concatenate([rng.random(60_000), 0.02 * rng.random(300)])
    return m, efficiency, np.repeat([0, 1], [60_000, 300]), rng.random(100_000)


def test_a_cut_counts_its_background_and_its_signal(sample):
    m, efficiency, label, template = sample
    inclusive = search_spectrum(m, EDGES, REGION, SETTINGS)
    cut = examine_cut(m, efficiency, template, 0.01, EDGES, REGION, inclusive, SETTINGS, label)
    inside = REGION.contains(m)
    passed = inside & (efficiency < 0.01)
    assert cut.search.count.observed == cut.template.observed == passed.sum()
    assert (cut.signal, cut.background) == (int(passed[label == 1].sum()), int(passed[label == 0].sum()))
    assert cut.signal_efficiency == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 300))
    # Both estimates of the background agree with the truth.
    truth = 0.01 * np.sum(inside & (label == 0))
    assert cut.template.background == pytest.approx(truth, rel=0.1)
    assert cut.search.count.background == pytest.approx(truth, abs=4 * cut.search.count.background_error)
    assert cut.template_significance.z > 5
    assert cut.search.count.z > 5
    # Beside the region 1 % passes: closure is one, as far as the events there can tell.
    strips = ((m >= 2.7) & (m < 3.1), (m >= 3.9) & (m < 4.3))
    share = np.mean([(efficiency[s] < 0.01).mean() for s in strips])
    assert cut.closure == pytest.approx(share / (template < 0.01).mean())
    chance = np.sqrt(sum((efficiency[s] < 0.01).sum() / s.sum() ** 2 for s in strips)) / 2 / share
    assert abs(cut.closure - 1) < 4 * chance
    before = inclusive.count.background_error / inclusive.count.background
    assert cut.template.error / cut.template.background == pytest.approx(np.hypot(chance, before), rel=0.02)
    assert cut.search.global_ is None
    # The scores of the background say nothing: no sculpting. False alarm below 1e-3.
    assert abs(cut.sculpting.slope) < 4 * cut.sculpting.slope_error
    assert abs(cut.sculpting.count.z) < 4


def test_the_closure_corrects_the_background(sample):
    m, efficiency, label, template = sample
    inclusive = search_spectrum(m, EDGES, REGION, SETTINGS)
    # Data pass twice as often as the template, everywhere: a classifier looks for what its template lacks.
    cut = examine_cut(m, efficiency, template * 2, 0.05, EDGES, REGION, inclusive, SETTINGS)
    truth = np.sum((efficiency < 0.05) & REGION.contains(m) & (label == 0))
    assert cut.closure == pytest.approx(2, rel=0.1)
    assert cut.template.background == pytest.approx(truth, rel=0.15)
    assert cut.template.closure.systematic == 0
    assert cut.signal is None


def test_a_cut_that_keeps_the_region_makes_no_discovery(sample):
    m, efficiency, label, template = sample
    m, efficiency = m[label == 0], efficiency[label == 0]
    inclusive = search_spectrum(m, EDGES, REGION, SETTINGS)
    # Beside the region passes a third: the count in the region is right, and the correction isn't.
    harder = np.where(REGION.contains(m), efficiency, 3 * efficiency)
    cut = examine_cut(m, harder, template, 0.05, EDGES, REGION, inclusive, SETTINGS)
    assert cut.closure == pytest.approx(1 / 3, rel=0.2)
    assert cut.search.count.z > 5  # the fit believes it
    assert cut.template_significance.z < 2
    # Below the region passes half, above twice as much: linear, but nobody knows how it bends between.
    sloped = np.where(m < 3.3, 2 * efficiency, np.where(m > 3.7, efficiency / 2, efficiency))
    cut = examine_cut(m, sloped, template, 0.05, EDGES, REGION, inclusive, SETTINGS)
    assert cut.template.closure.systematic == pytest.approx(0.75, rel=0.2)


def test_cuts_that_cannot_be_made_are_reported(sample):
    m, efficiency, _, template = sample
    inclusive = search_spectrum(m, EDGES, REGION, SETTINGS)
    said = []
    cuts = examine_cuts(
        m, efficiency, template[:1000], [0.05, 0.001], EDGES, REGION, inclusive, SETTINGS, None, said.append
    )
    assert [c.working_point for c in cuts] == [0.05]
    assert len(said) == 1
    assert "0.001 keeps 1 of 1000" in said[0]
    with pytest.raises(InputError, match="resolution"):
        Settings(resolution=2.0)
    with pytest.raises(InputError, match="toys"):
        Settings(toys=-1)


def test_improvement_of_normal_scores():
    from scipy import stats

    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], [200_000, 20_000])
    scores = [rng.normal(size=220_000) + 2 * label for _ in range(3)]
    one, three = improvement(scores[:1], label), improvement(scores, label)
    exact = stats.norm.sf(stats.norm.isf(1e-3) - 2) / np.sqrt(1e-3)
    for found in (one, three):
        assert found.sic == pytest.approx(exact, rel=0.1)
        assert found.auc == pytest.approx(stats.norm.cdf(np.sqrt(2)), abs=0.005)
        known = np.isfinite(found.band.median)
        assert np.all(found.band.low[known] <= found.band.high[known])
    assert one.sic_error < 0.1 * one.sic
    with pytest.raises(InputError, match="no scores"):
        improvement([], label)


def test_histograms_of_scores_hold_all_events():
    edges = np.linspace(0, 3, 7)
    counts = score_histogram([1.0, 0.5, 0.01, 1e-9, 0.0], edges)
    assert counts.tolist() == [2, 0, 0, 0, 1, 2]
    limits = feature_edges(np.arange(1001.0), bins=10)
    assert (limits[0], limits[-1], len(limits)) == (1.0, 999.0, 11)
