"""Tests for features and cuts that follow the mass."""

import numpy as np
import pytest
from scipy import stats

from lhcflow import InputError
from lhcflow.bumphunt import CWoLa, SignalRegion, Toy, cross_fit
from lhcflow.bumphunt.decorrelation import FALSE_ALARMS, efficiency_test, mass_resolution

REGION = SignalRegion(3.3, 3.7)
EDGES = np.arange(2.7, 7.05, 0.1)


@pytest.mark.parametrize("seed", range(4))
def test_a_jet_pt_that_follows_the_mass_is_found(seed):
    # Background alone: with 16,000 events cuts on CATHODE's score gave fits of 2.3 to 2.9 sigma.
    events = Toy().sample(2500, 0, seed=500 + seed)
    pt = events.m / 2 * (1 + 0.02 * np.random.default_rng(seed).normal(size=len(events)))
    found = mass_resolution(np.c_[events.features, pt], events.m, REGION, (*events.names, "ptJ1"))
    assert not found.valid
    assert found.following == ["ptJ1"]
    assert found.each["ptJ1"] == pytest.approx(0.02 * 3.5, rel=0.3)


@pytest.mark.parametrize("toy", [Toy(), Toy(shifted=True), Toy(edge=True)], ids=["toy", "shifted", "edge"])
def test_features_that_depend_on_the_mass_a_little_are_none(toy):
    # 1.2 to 2.3 half widths of the region for 0.75: with 12 seeds of 16,000 events each never below 1.15.
    events = toy.sample(2500, 0, seed=11)
    found = mass_resolution(events.features, events.m, REGION, events.names)
    assert found.valid
    assert found.following == []
    assert min(found.together, *found.each.values()) > 1.4 * found.limit


def test_the_resolution_is_that_of_the_feature():
    rng = np.random.default_rng(2)
    m = rng.uniform(2, 5, 30_000)
    x = np.c_[m + 0.05 * rng.normal(size=len(m)), rng.normal(size=len(m))]
    found = mass_resolution(x, m, REGION)
    # 68 % of a Gaussian lie within its width; trees of a few hundred leaves are a little worse.
    assert found.each["x0"] == pytest.approx(0.05, rel=0.15)
    # What says nothing leaves the spectrum beside the region: flat from 2.9 to 3.3 and from 3.7 to 4.1.
    assert found.each["x1"] == pytest.approx(0.2 + 0.4 * 0.6827, rel=0.05)


def test_features_that_follow_only_together():
    rng = np.random.default_rng(3)
    m, noise = rng.uniform(2, 5, 12_000), rng.uniform(0, 3, 12_000)
    found = mass_resolution(np.c_[m + noise, m - noise], m, REGION, ("a", "b"))
    assert not found.valid
    assert found.following == ["a", "b"]


def test_few_events_say_nothing():
    assert mass_resolution(np.ones((100, 1)), np.full(100, 3.2), REGION) is None


def passing(m, rng, share, slope, bump=0.0):
    odds = (
        share / (1 - share) * np.exp(slope * (m - 3.5)) * (1 + bump * np.exp(-0.5 * ((m - 3.5) / 0.4) ** 2))
    )
    return rng.random(len(m)) < odds / (1 + odds)


def test_p_values_of_smooth_cuts_are_uniform():
    rng = np.random.default_rng(4)
    m = Toy().sample(16_000, 0, seed=1).m
    p = np.array([efficiency_test(m, passing(m, rng, 0.05, 0.5), EDGES, REGION).p for _ in range(800)])
    # False alarms of these bounds: 1 in 1000 for uniform p-values.
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], len(p), 0.05)
    assert low <= (p < 0.05).sum() <= high
    assert (p < FALSE_ALARMS).sum() <= stats.binom.ppf(1 - 1e-3, len(p), FALSE_ALARMS)


def test_a_cut_that_prefers_some_masses_is_found():
    rng = np.random.default_rng(5)
    m = Toy().sample(16_000, 0, seed=2).m
    found = efficiency_test(m, passing(m, rng, 0.05, 0.0, bump=10), EDGES, REGION)
    assert found.p < 1e-6
    assert not found.valid
    inside = rng.uniform(3.3, 3.7, 50_000)
    wave = rng.random(len(inside)) < 0.05 * (1 + 0.8 * np.sin(20 * inside))
    flat = passing(m, rng, 0.05, 0.0)
    assert efficiency_test(m, flat, EDGES, REGION).valid
    assert not efficiency_test(m, flat, EDGES, REGION, inside, wave).valid


def test_no_signal_in_the_region_matters():
    rng = np.random.default_rng(6)
    m = Toy().sample(16_000, 0, seed=3).m
    passed = passing(m, rng, 0.05, 0.5)
    signal = rng.normal(3.5, 0.1, 3000)
    with_it = np.append(m, signal), np.append(passed, np.ones(3000, bool))
    alone, both = (efficiency_test(*one, EDGES, REGION) for one in ((m, passed), with_it))
    assert both.p == pytest.approx(alone.p, abs=0.05)  # a few events beyond three widths


def test_the_slope_is_that_of_a_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(7)
    m = Toy().sample(16_000, 0, seed=4).m
    passed = passing(m, rng, 0.2, 0.8)
    found = efficiency_test(m, passed, EDGES, REGION)
    used = (m < 3.1) | (m >= 3.9)
    used &= (m >= 2.7) & (m < 4.9)
    centres = 2.75 + 0.1 * np.floor((m[used] - 2.7) / 0.1 + 1e-9)
    peer = LogisticRegression(C=np.inf).fit(centres[:, None], passed[used])
    assert found.slope == pytest.approx(peer.coef_[0, 0], abs=0.02 * found.slope_error + 1e-3)
    assert abs(found.slope - 0.8) < 4 * found.slope_error


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0, 300])
def test_cuts_of_a_detector_on_ordinary_features(signal):
    # 16 p-values, of which one fails with a chance of 2 %; a signal changes nothing.
    for seed in range(4):
        events = Toy().sample(16_000, signal, seed=seed)
        found = cross_fit(CWoLa((3.3, 3.7), seed=seed), events.features, events.m, folds=3, seed=seed)
        for cut in (0.05, 0.01):
            assert efficiency_test(events.m, found.efficiency < cut, EDGES, REGION).valid


def test_cuts_that_pass_all_or_nothing():
    m = Toy().sample(2000, 0, seed=5).m
    for passed in (np.zeros(len(m), bool), np.ones(len(m), bool)):
        found = efficiency_test(m, passed, EDGES, REGION)
        assert found.p is None
        assert found.valid
    with pytest.raises(InputError, match="for each mass"):
        efficiency_test(m, passed[:, None], EDGES, REGION)
