"""200 background-only pseudo-experiments, each with a detector, a cut, an F-test and a fit of its own."""

import numpy as np
import pytest

from lhcflow.bumphunt import CWoLa, SignalRegion, Toy, cross_fit
from lhcflow.bumphunt.statistics import (
    Spectrum,
    count_significance,
    f_test,
    mass_bins,
    passes,
    uniformity,
)
from lhcflow.classifiers import TreeEnsemble

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)


def significance(seed):
    events = Toy().sample(20_000, 0, seed=10_000 + seed)
    detector = CWoLa((REGION.low, REGION.high), classifier=TreeEnsemble(members=1), seed=seed)
    found = cross_fit(detector, events.features, events.m, folds=2, seed=seed)
    spectrum = Spectrum.of(events.m[passes(found.efficiency, 0.05)], EDGES)
    return count_significance(spectrum, REGION, f_test(spectrum, REGION)[0])


@pytest.mark.xfail(
    reason="not reached: CWoLa on features that depend on m sculpts; KS p 3e-7, mean z -0.37 +- 0.09"
)
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_p_values_behind_a_trained_cut_are_uniform():
    found = [significance(seed) for seed in range(200)]
    # The test: 5 % of correct programs fail with other seeds.
    assert uniformity([f.p0 for f in found]) > 0.05
    # Invented signal below 0.3 standard deviations, known to 0.07.
    assert abs(np.mean([f.z for f in found])) < 0.3
