"""ANODE beyond the signal region: what it does not know there must not shape the spectrum."""

import numpy as np
import pytest

from lhcflow.bumphunt import Anode, ConditionalDensity, Toy

DENSITY = ConditionalDensity(layers=2, hidden=(16,), bins=4, epochs=6)


@pytest.fixture(scope="module")
def trained():
    events = Toy().sample(60_000, 0, seed=1)
    return Anode((3.3, 3.7), DENSITY).fit(events.features, events.m)


def test_beyond_the_region_both_densities_are_those_at_its_edge(trained):
    events = Toy().sample(1000, 0, seed=2)
    found = trained.score(events.features, events.m)
    for beyond, edge in ((events.m < 3.3, 3.3), (events.m >= 3.7, 3.7)):
        X = events.features[beyond]
        np.testing.assert_array_equal(found[beyond], trained.score(X, np.full(len(X), edge)))
        exact = trained.inside_.log_prob(X, np.full(len(X), edge))
        exact -= trained.density_.log_prob(X, np.full(len(X), edge))
        np.testing.assert_allclose(found[beyond], exact, atol=1e-4)


def test_a_cut_keeps_about_as_much_background_beside_the_region_as_inside(trained):
    """Without the edges' masses the shares at 5 % are 15 %, 11 %, 7 % | 11 %, 20 %, 16 %."""
    events = Toy().sample(200_000, 0, seed=2)
    score = trained.score(events.features, events.m)
    inside = (events.m >= 3.3) & (events.m < 3.7)
    passed = score > np.quantile(score[inside], 0.95)
    edges = [2.6, 2.8, 3.0, 3.3, 3.7, 4.2]
    share = np.histogram(events.m[passed], edges)[0] / np.histogram(events.m, edges)[0]
    # Statistical errors are below 3 %; the features' own dependence on m stays.
    np.testing.assert_allclose(share, 0.05, rtol=0.3)
