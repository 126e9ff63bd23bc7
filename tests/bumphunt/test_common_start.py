"""Densities that begin with what all windows of a scan have in common."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from lhcflow.bumphunt import Anode, Cathode, ConditionalDensity, CWoLa, Toy, common_start, cross_fit
from lhcflow.bumphunt.crossfit import fold_numbers
from lhcflow.classifiers import TreeEnsemble
from lhcflow.errors import InputError

REGIONS = [(3.1, 3.5), (3.3, 3.7), (3.5, 3.9)]
FOLDS = 2
SMALL = ConditionalDensity(epochs=2, layers=2, hidden=(16,))


def weights(density):
    return torch.cat([p.ravel() for p in density.flows_[0].parameters()])


@pytest.fixture(scope="module")
def events():
    return Toy().sample(20_000, 200, seed=3)


def begun(X, m, density=SMALL):
    return common_start(Cathode(REGIONS[0], density), X, m, REGIONS, FOLDS, seed=5)


def test_the_start_sees_neither_windows_nor_held_out_events(events):
    """Features that change places there change no weight, and some where it does look do."""
    X, m = events.features, events.m
    before = begun(X, m)
    rng = np.random.default_rng(0)
    fold = fold_numbers(len(m), FOLDS, 5)
    window = (m >= 3.1) & (m < 3.9)
    # Far from the limits, which all events that are not held out set.
    low, high = np.quantile(X, [0.1, 0.9], axis=0)
    amid = ((low < X) & (high > X)).all(1)

    def changed(where):
        rows, other = np.flatnonzero(where & amid), X.copy()
        other[rows] = X[rng.permutation(rows)]
        return [
            not torch.equal(weights(a.density.start), weights(b.density.start))
            for a, b in zip(before, begun(other, m), strict=True)
        ]

    for k in range(FOLDS):
        assert not any(changed(window & (fold == k)))
        assert changed(~window & (fold == k)) == [j != k for j in range(FOLDS)]


def test_a_third_of_the_epochs_is_enough(events):
    """The divergence from the truth in the window is that of a full training, but for the noise of both."""
    X, m = events.features, events.m
    low, high = REGIONS[1]
    outside = (m < low) | (m >= high)
    density = ConditionalDensity(epochs=10, seed=1)
    start = begun(X, m, density)[0].density.start
    refined = clone(density).set_params(start=start).fit(X[outside], m[outside])
    full = clone(density).fit(X[outside], m[outside])
    assert len(refined.histories_[0]["validation"]) == 3
    held = Toy().sample(20_000, 0, 8, REGIONS[1])
    ours, theirs = (d.log_prob(held.features, held.m) for d in (refined, full))
    both = np.isfinite(ours) & np.isfinite(theirs)  # inside both limits
    assert both.mean() > 0.99
    assert np.mean(theirs[both] - ours[both]) < 0.01
    assert not torch.equal(weights(refined), weights(start))


def test_cross_fitting_with_one_detector_per_fold(events):
    X, m = events.features, events.m
    detectors = [d.set_params(classifier=TreeEnsemble(members=1)) for d in begun(X, m)]
    found = cross_fit(detectors, X, m, folds=FOLDS, seed=5)
    assert np.isfinite(found.score).all()
    for given, trained in zip(detectors, found.detectors, strict=True):
        assert trained.density_.preprocessing_ is given.density.start.preprocessing_
    with pytest.raises(InputError, match="3 folds need as many detectors, got 2"):
        cross_fit(detectors, X, m, folds=3)


def test_detectors_without_a_common_start(events):
    X, m = events.features, events.m
    (one, _) = common_start(CWoLa(), X, m, REGIONS, FOLDS)
    assert isinstance(one, CWoLa)
    everywhere = common_start(Cathode(density=SMALL), X, m, [(2.0, 9.0)], FOLDS)
    assert everywhere[0].density.start is None


def test_a_density_of_the_region_begins_from_scratch(events):
    """The start knows the sidebands; what lies inside must not be drawn to them."""
    X, m = events.features, events.m
    trained = common_start(Anode(REGIONS[1], SMALL), X, m, REGIONS, FOLDS)[0].fit(X, m)
    assert trained.density_.start is not None
    assert trained.inside_.start is None


@pytest.mark.parametrize("start", [ConditionalDensity(), FrozenEstimator(ConditionalDensity())])
def test_a_start_must_be_trained(events, start):
    with pytest.raises(InputError, match="start must be a trained density of 4 features with 1 members"):
        ConditionalDensity(start=start).fit(events.features, events.m)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": -1}, {"best": 0}, {"best": -1}])
def test_no_epochs_are_an_error_with_and_without_a_start(events, wrong):
    X, m = events.features, events.m
    start = FrozenEstimator(clone(SMALL).fit(X, m))
    for density in (clone(SMALL), clone(SMALL).set_params(start=start)):
        with pytest.raises(InputError, match="must be >= 1"):
            density.set_params(**wrong).fit(X, m)
