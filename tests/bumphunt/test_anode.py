"""ANODE beyond the signal region, where it knows nothing: a cut must not shape the spectrum."""

import numpy as np
import pytest

from lhcflow.bumphunt import Anode, ConditionalDensity, Toy

DENSITY = ConditionalDensity(layers=2, hidden=(16,), bins=4, epochs=6)


def train(toy):
    events = toy.sample(60_000, 0, seed=1)
    return Anode((3.3, 3.7), DENSITY).fit(events.features, events.m)


@pytest.fixture(scope="module")
def trained():
    return train(Toy())


@pytest.mark.parametrize("edge", [False, True])
def test_both_densities_are_those_at_the_centre_of_the_region(trained, edge):
    toy = Toy(edge=edge)
    trained = train(toy) if edge else trained
    events = toy.sample(1000, 0, seed=2)
    centre = np.full(len(events), 3.5)
    # Where the features would lie at the centre, as far between their limits.
    relative = trained.density_.preprocessing_.forward(events.features, events.m)[0]
    moved = trained.density_.preprocessing_.inverse(relative, centre)
    assert np.array_equal(moved[:, -1].round(6), events.features[:, -1].round(6)) != edge
    exact = trained.inside_.log_prob(moved, centre) - trained.density_.log_prob(moved, centre)
    np.testing.assert_allclose(trained.score(events.features, events.m), exact, atol=1e-4)


def test_a_cut_keeps_about_as_much_background_beside_the_region_as_inside(trained):
    """With the flows' extrapolation the shares at 5 % are 15, 11 and 7 % below, and 11 % above."""
    events = Toy().sample(200_000, 0, seed=2)
    score = trained.score(events.features, events.m)
    inside = (events.m >= 3.3) & (events.m < 3.7)
    passed = score > np.quantile(score[inside], 0.95)
    edges = [2.6, 2.8, 3.0, 3.3, 3.7, 4.2]
    share = np.histogram(events.m[passed], edges)[0] / np.histogram(events.m, edges)[0]
    # Statistical errors are below 3 %; the features' own dependence on m stays.
    np.testing.assert_allclose(share, 0.05, rtol=0.3)
