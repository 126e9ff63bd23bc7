"""Background alone: p-values behind a cut, of scores that say nothing and of trained ones."""

import numpy as np
import pytest

from lhcflow.bumphunt import Cathode, ConditionalDensity, CWoLa, LaCathode, SignalRegion, Toy, cross_fit
from lhcflow.bumphunt.statistics import (
    Settings,
    Spectrum,
    count_significance,
    dijet_model,
    draw_toys,
    examine_cut,
    f_test,
    fit,
    mass_bins,
    passes,
    search_spectrum,
    template_count,
    uniformity,
)
from lhcflow.bumphunt.toy import _draw_background_mass
from lhcflow.classifiers import TreeEnsemble

LIMITS = (3.3, 3.7)
REGION = SignalRegion(*LIMITS)
EDGES = mass_bins(REGION, 2.6, 7.0)
DENSITY = ConditionalDensity(epochs=8)
TREES = TreeEnsemble(members=2)
DETECTORS = [
    CWoLa(LIMITS, classifier=TREES),
    Cathode(LIMITS, DENSITY, TREES),
    LaCathode(LIMITS, DENSITY, TREES),
]


@pytest.fixture(scope="module")
def expected():
    """1000 events behind a cut: few enough that an F-test can't tell two parameters from three."""
    m = _draw_background_mass(300_000, np.random.default_rng(1), None)
    return fit(dijet_model(EDGES, 3), Spectrum.of(m, EDGES).counts).expected[0] / 300


def significances(expected, first):
    spectra = [Spectrum(EDGES, n) for n in draw_toys(expected, 200, seed=3)]
    return [count_significance(s, REGION, f_test(s, REGION, first)[0]) for s in spectra]


def test_p_values_of_few_events_are_uniform_with_three_parameters(expected):
    found = significances(expected, 3)
    # 1 % of correct programs fail with other seeds.
    assert uniformity([f.p0 for f in found]) > 0.01
    assert abs(np.mean([f.z for f in found])) < 0.2
    # With two the fit lies above the data in the signal region: the reason for three.
    assert np.mean([f.z for f in significances(expected, 2)]) < -0.3


def test_a_cut_has_at_least_the_parameters_of_the_spectrum_before_it():
    rng = np.random.default_rng(4)
    m = _draw_background_mass(400_000, rng, None)
    bend = (m / 13) ** (4 * np.log(m / 13 / 0.25))
    m = m[rng.random(len(m)) < bend / bend.max()]
    inclusive = search_spectrum(m, EDGES, REGION, Settings(toys=0))
    assert inclusive.parameters > 3
    cut = examine_cut(
        m, rng.random(len(m)), rng.random(100_000), 0.01, EDGES, REGION, inclusive, Settings(toys=0)
    )
    passed = Spectrum(EDGES, cut.search.spectrum.counts)
    assert f_test(passed, REGION)[0] == 3  # what these events alone ask for
    assert cut.search.parameters >= inclusive.parameters


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("detector", DETECTORS[:2], ids=[type(d).__name__ for d in DETECTORS[:2]])
def test_the_count_in_the_template_is_not_biased(detector):
    found = {0.05: [], 0.01: []}
    for seed in range(60):
        events = Toy().sample(20_000, 0, seed=10_000 + seed)
        scored = cross_fit(detector, events.features, events.m, folds=2, seed=seed)
        before = search_spectrum(events.m, EDGES, REGION, Settings(toys=0)).count
        for point, z in found.items():
            data, template = (passes(e, point) for e in (scored.efficiency, scored.reference_efficiency))
            count = template_count(
                events.m, data, template, REGION, before.background, before.background_error
            )
            z.append(count.significance().z)
    for z in found.values():
        # Without the closure the mean is 0.8 to 1.0 for CATHODE. The error of the mean is 0.13; 3 sigma.
        assert abs(np.mean(z)) < 0.4
        assert 0.7 < np.std(z) < 1.3


def behind_a_trained_cut(detector, seed):
    events = Toy().sample(20_000, 0, seed=10_000 + seed)
    found = cross_fit(detector, events.features, events.m, folds=2, seed=seed)
    before, after = (Spectrum.of(m, EDGES) for m in (events.m, events.m[passes(found.efficiency, 0.05)]))
    first, _ = f_test(before, REGION)
    return count_significance(after, REGION, f_test(after, REGION, first)[0])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("detector", DETECTORS, ids=[type(d).__name__ for d in DETECTORS])
def test_p_values_behind_a_trained_cut_are_uniform(detector):
    found = [behind_a_trained_cut(detector, seed) for seed in range(200)]
    # 5 % of correct programs fail with other seeds.
    assert uniformity([f.p0 for f in found]) > 0.05
    # Invented signal below 0.3 standard deviations, known to 0.07.
    assert abs(np.mean([f.z for f in found])) < 0.3
