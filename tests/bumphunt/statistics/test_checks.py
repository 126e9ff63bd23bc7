"""F-test, spurious signal, sculpting, working points, and the search that joins them."""

import numpy as np
import pytest
from scipy import stats

from lhcflow.bumphunt import SignalRegion, Toy
from lhcflow.bumphunt.statistics import (
    Spectrum,
    checked_points,
    dijet_model,
    draw_toys,
    f_test,
    fit,
    goodness,
    mass_bins,
    passes,
    sculpting,
    search,
    spurious_signal,
    uniformity,
)
from lhcflow.bumphunt.toy import _draw_background_mass
from lhcflow.errors import InputError

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)
MODEL = dijet_model(EDGES, 3)


@pytest.fixture(scope="module")
def expected():
    """A fit of three parameters to 300,000 events."""
    m = _draw_background_mass(300_000, np.random.default_rng(1), None)
    return fit(MODEL, Spectrum.of(m, EDGES).counts).expected[0]


def test_the_f_test_adds_parameters_where_they_are_needed(expected):
    chosen = [f_test(Spectrum(EDGES, n), REGION, 2)[0] for n in draw_toys(expected, 60, seed=2)]
    # One parameter more is taken in 5 % of the cases: 11 or more of 60 have a chance of 3e-4.
    assert chosen.count(3) > 60 - 11
    y = Spectrum(EDGES, expected).centres / 13
    bent = expected * y ** (4 * np.log(y / 0.25))
    chosen = [f_test(Spectrum(EDGES, n), REGION)[0] for n in draw_toys(bent, 20, seed=3)]
    assert min(chosen) > 3


def test_f_of_the_formula(expected):
    _, trials = f_test(Spectrum(EDGES, draw_toys(expected, 1, seed=4)[0]), None, 3, 5)
    a, b = trials[0].goodness, trials[1].goodness
    assert b.ndf == a.ndf - 1
    assert trials[1].f == pytest.approx(max(a.chi2 - b.chi2, 0) / (b.chi2 / b.ndf))
    assert trials[1].p == pytest.approx(stats.f.sf(trials[1].f, 1, b.ndf))
    with pytest.raises(InputError, match="F-test goes"):
        f_test(Spectrum(EDGES, expected), None, 1, 5)


def test_goodness_joins_bins_until_they_hold_ten_events():
    found = goodness([12, 3, 4, 5, 1, 0], [10, 4, 4, 4, 1, 1], 1)
    # Groups: 10; 4 + 4 + 4, which takes the last two bins too.
    assert found.ndf == 1
    assert found.chi2 == pytest.approx(4 / 10 + 1 / 14)
    assert found.p == pytest.approx(stats.chi2.sf(found.chi2, 1))


def test_a_right_function_invents_no_signal_and_a_wrong_one_does(expected):
    masses = [3.3, 3.5, 3.7]
    right = spurious_signal(Spectrum(EDGES, expected), masses, 0.03, 3, REGION)
    assert right.largest < 1e-3
    y = Spectrum(EDGES, expected).centres / 13
    bent = expected * y ** (4 * np.log(y / 0.25))
    wrong = spurious_signal(Spectrum(EDGES, bent), masses, 0.03, 3, REGION)
    assert wrong.largest > 0.3


def test_sculpting_is_seen_and_a_flat_cut_is_not():
    rng = np.random.default_rng(5)
    m = _draw_background_mass(300_000, rng, None)
    before = Spectrum.of(m, EDGES)
    flat = sculpting(before, Spectrum.of(m[rng.random(len(m)) < 0.05], EDGES), REGION)
    assert flat.efficiency == pytest.approx(0.05, rel=0.05)
    assert flat.smooth.p > 1e-3  # false alarm 1e-3
    assert abs(flat.slope) < 4 * flat.slope_error
    assert abs(flat.count.z) < 4
    bump = sculpting(
        before, Spectrum.of(m[rng.random(len(m)) < 0.05 * (1 + 0.5 * REGION.contains(m))], EDGES), REGION
    )
    assert bump.count.z > 5
    assert bump.constant.p < 1e-6
    rising = sculpting(before, Spectrum.of(m[rng.random(len(m)) < 0.05 * (m / 3.5)], EDGES), REGION)
    assert rising.slope == pytest.approx(1 / 3.2, rel=0.3)
    with pytest.raises(InputError, match="part of itself"):
        sculpting(Spectrum.of(m[:100], EDGES), before, REGION)


def test_working_points_look_at_the_efficiency_only():
    efficiency = np.array([0.0, 0.005, 0.01, 0.5])
    assert passes(efficiency, 0.01).tolist() == [True, True, False, False]
    assert passes(efficiency, 1).all()
    assert checked_points([0.001, 0.1, 0.001], 100_000) == [0.001, 0.1]
    for reference, least in ((1000, 0.01), (9058, 0.002)):
        with pytest.raises(InputError, match=f"choose at least {least}$"):
            checked_points([0.001], reference)
        assert checked_points([least], reference) == [least]
    with pytest.raises(InputError, match="efficiency in"):
        checked_points([1.5], 1000)


def test_uniformity_takes_p_values_only():
    assert uniformity(np.linspace(0.005, 0.995, 100)) > 0.99
    with pytest.raises(InputError, match="1 of 3 p-values"):
        uniformity([0.1, np.nan, 0.3])
    with pytest.raises(InputError, match="0 of 0"):
        uniformity([])


def test_a_search_says_everything_about_a_spectrum():
    m = Toy().sample(100_000, 500, seed=6).m
    spectrum = Spectrum.of(m, EDGES)
    found = search(spectrum, REGION, resolution=0.037, toys=500, seed=1)
    assert found.parameters == 3
    assert found.quality.p > 1e-3
    assert found.count.yield_ == pytest.approx(500 * 0.876, abs=4 * found.count.yield_error)
    assert found.scan.within(REGION).z.max() == pytest.approx(found.global_.z_local)
    assert found.global_.toys == 500
    assert found.limit.observed > found.limit.expected[2]
    outside = ~spectrum.inside(REGION) & (found.background > 10)
    pulls = (spectrum.counts - found.background)[outside] / np.sqrt(found.background[outside])
    assert pulls.std() == pytest.approx(1, abs=0.4)
    again = search(spectrum, REGION, resolution=0.037, toys=500, seed=1)
    np.testing.assert_array_equal(found.toy_z, again.toy_z)


def test_toys_take_over_where_there_are_few_events():
    rng = np.random.default_rng(7)
    m = np.concatenate([_draw_background_mass(60, rng, None), [3.4, 3.45, 3.5, 3.5, 3.55, 3.6]])
    found = search(Spectrum.of(m, EDGES), REGION, toys=800, seed=2)
    assert found.count.background < 15
    assert found.limit.method == "toys"
    # Counts are discrete: the true p-value is not much smaller than the asymptotic one.
    assert 0.5 * found.count.p0 < found.p_toys < 2 * found.count.p0 + 0.02
    many = search(Spectrum.of(_draw_background_mass(20_000, rng, None), EDGES), REGION, toys=100, seed=2)
    assert many.p_toys is None
    assert many.limit.method == "asymptotic"


def test_a_spectrum_with_too_few_events_is_refused():
    counts = np.zeros(len(EDGES) - 1)
    counts[:5] = 2
    with pytest.raises(InputError, match="hold 10 events behind the cut"):
        search(Spectrum(EDGES, counts), REGION)
