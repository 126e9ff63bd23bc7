"""Detectors: what they reach on a toy whose best statistic is known, and their habits."""

import numpy as np
import pytest
from scipy import integrate
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks

from lhcflow.bumphunt import (
    Anode,
    Cathode,
    ConditionalDensity,
    CWoLa,
    Events,
    IdealizedDetector,
    LaCathode,
    RAnode,
    Supervised,
    Toy,
    cross_fit,
    roc,
)
from lhcflow.bumphunt.limits import Limits
from lhcflow.classifiers import TreeEnsemble
from lhcflow.errors import InputError

REGION = (3.3, 3.7)
DENSITY = ConditionalDensity(layers=2, hidden=(16,), bins=4, epochs=3)
TREES = TreeEnsemble(members=2)
QUICK = [
    Supervised(REGION, TREES),
    IdealizedDetector(REGION, TREES),
    CWoLa(REGION, classifier=TREES),
    Anode(REGION, DENSITY),
    Cathode(REGION, DENSITY, TREES),
    LaCathode(REGION, DENSITY, TREES),
    RAnode(REGION, DENSITY, epochs=3, members=1, hidden=(16,), layers=2),
]
DRAWING = [d for d in QUICK if hasattr(d, "sample")]


def names(detectors):
    return [type(d).__name__ for d in detectors]


@pytest.fixture(scope="module")
def events():
    return Toy().sample(background=20_000, signal=600, seed=1)


@pytest.fixture(scope="module")
def pure():
    sample = Toy().sample(background=8_000, signal=0, seed=2, region=REGION)
    return sample.features, sample.m


@pytest.fixture(scope="module")
def test_events():
    toy = Toy()
    return Events.concatenate(
        [toy.sample(40_000, 0, seed=3, region=REGION), toy.sample(0, 5_000, seed=4, region=REGION)]
    )


def sic(detector, sample):
    return roc(detector.score(sample.features, sample.m), sample.label).sic_at(1e-2)[0]


@pytest.mark.parametrize("detector", QUICK, ids=names(QUICK))
def test_quick_trainings_find_the_signal(detector, events, pure, test_events):
    # The optimum is a SIC of 8.9 at 1e-2; a useless score has 0.1, its spread is far below 1.
    trained = clone(detector).fit(events.features, events.m, events.label, pure)
    optimum = roc(Toy().log_ratio(test_events.features, test_events.m), test_events.label).sic_at(1e-2)[0]
    if not isinstance(detector, Anode | RAnode):  # these need the full training of the slow test
        assert sic(trained, test_events) > 0.3 * optimum
    again = clone(detector).fit(events.features, events.m, events.label, pure)
    np.testing.assert_array_equal(
        trained.score(test_events.features[:500], test_events.m[:500]),
        again.score(test_events.features[:500], test_events.m[:500]),
    )


@pytest.mark.parametrize("detector", QUICK, ids=names(QUICK))
def test_habits_of_scikit_learn(detector):
    copy = clone(detector)
    assert copy is not detector
    parameters = copy.get_params(deep=False)
    assert parameters["signal_region"] == REGION
    assert copy.set_params(seed=7).seed == 7
    assert not [name for name in vars(copy) if name.endswith("_")]  # nothing is built in __init__
    for check in ("parameters_default_constructible", "no_attributes_set_in_init", "get_params_invariance"):
        getattr(estimator_checks, f"check_{check}")(type(copy).__name__, copy)
    with pytest.raises(NotFittedError, match="call fit first"):
        copy.score(np.zeros((1, 4)), [3.5])


@pytest.mark.parametrize("detector", DRAWING, ids=names(DRAWING))
def test_a_frozen_density_is_shared(detector, events):
    X, m = events.features, events.m
    trained = Anode(REGION, DENSITY).fit(X, m).density_
    sharing = clone(detector).set_params(density=FrozenEstimator(trained), seed=3).fit(X, m)
    inside = events[(m > 3.3) & (m < 3.7)][:200]
    np.testing.assert_array_equal(
        sharing.density_.log_prob(inside.features, inside.m), trained.log_prob(inside.features, inside.m)
    )
    assert np.isfinite(sharing.score(X[:200], m[:200])).all()
    if isinstance(detector, Anode):  # its second density is its own
        assert not np.array_equal(
            sharing.inside_.log_prob(inside.features, inside.m), trained.log_prob(inside.features, inside.m)
        )


def test_random_state_goes_before_the_seed(events):
    X, m = events.features[:5000], events.m[:5000]
    a, b, c = (
        CWoLa(REGION, classifier=TREES, **kw).fit(X, m).score(X, m)
        for kw in ({"seed": 1}, {"seed": 5, "random_state": 1}, {"seed": 2})
    )
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_in_a_pipeline(events):
    pipeline = make_pipeline(StandardScaler(), CWoLa(REGION, classifier=TREES))
    pipeline.fit(events.features, events.m)
    assert pipeline.score(events.features, events.m).shape == events.m.shape


def test_a_strong_signal_has_its_fraction_found(events):
    small = {"members": 1, "layers": 2, "hidden": (16,), "batch_size": 128}
    settings = {"epochs": 20, "learning_rate": 5e-3, **small}
    detector = RAnode(REGION, DENSITY, learn_fraction=True, **settings).fit(events.features, events.m)
    inside = (events.m >= 3.3) & (events.m < 3.7)
    truth = events.label[inside].mean()  # 0.18, from 0.005 at the start; the background is a rough one
    assert 0.6 * truth < detector.fraction_ < 1.7 * truth


@pytest.mark.parametrize("detector", DRAWING, ids=names(DRAWING))
def test_samples_follow_the_background_at_their_mass(detector, events):
    trained = clone(detector).fit(events.features, events.m)
    drawn = trained.sample(20_000, 3.5)
    truth = Toy().sample(20_000, 0, seed=5, region=(3.49, 3.51)).features
    # A short training: medians within 15 % of the width of the distributions.
    width = np.subtract(*np.quantile(truth, [0.84, 0.16], axis=0))
    assert np.all(np.abs(np.median(drawn, 0) - np.median(truth, 0)) < 0.15 * width)
    np.testing.assert_array_equal(drawn, trained.sample(20_000, 3.5))
    assert not np.array_equal(drawn, trained.sample(20_000, 3.5, seed=99))
    masses = trained.sample_mass(1000)
    assert masses.min() > REGION[0]
    assert masses.max() < REGION[1]


def test_every_event_is_scored_by_a_detector_that_never_saw_it():
    rng = np.random.default_rng(0)
    X, m = rng.normal(size=(3000, 1)), rng.uniform(2.6, 4.4, 3000)

    class Memory(CWoLa):
        """Scores 1 for the events of its training."""

        def _fit(self, data):
            self.seen_ = set(data.X[:, 0])

        def _score(self, X, m):
            return np.array([float(x in self.seen_) for x in X[:, 0]])

    result = cross_fit(Memory(REGION), X, m, folds=4, seed=1)
    assert result.score.max() == 0
    assert np.bincount(result.fold).tolist() == [750] * 4


def test_labels_that_can_only_be_memorised_are_not_found_by_cross_fitting():
    rng = np.random.default_rng(0)
    X, m, labels = rng.normal(size=(4000, 2)), rng.uniform(3, 4, 4000), rng.integers(0, 2, 4000)
    detector = Supervised(REGION, DecisionTreeClassifier())
    inside = (m >= 3.3) & (m < 3.7)
    memorised = detector.fit(X, m, labels).score(X, m)
    assert roc(memorised[inside], labels[inside]).auc == 1
    result = cross_fit(detector, X, m, labels, folds=4)
    # The spread of the AUC of about 800 events of each kind is 0.014.
    assert abs(roc(result.score[inside], labels[inside]).auc - 0.5) < 5 * 0.014


def test_background_that_can_be_memorised_is_no_reference_for_itself():
    """Half of a pure sample is kept from the training: a tree that knows the others by heart is no better."""
    sample, pure = Toy().sample(8000, 0, seed=6), Toy().sample(2000, 0, seed=7, region=REGION)
    detector = IdealizedDetector(REGION, DecisionTreeClassifier())
    known = (pure.features, pure.m)
    result = cross_fit(detector, sample.features, sample.m, background=known, folds=2)
    inside = (sample.m > 3.3) & (sample.m < 3.7)
    levels = result.efficiency[inside].mean(), result.reference_efficiency.mean()
    # A tree has only two scores. Mean efficiencies of data and reference: spread 0.25 (1/930 + 1/2000)^(1/2).
    assert abs(levels[0] - levels[1]) < 5 * 0.25 * np.sqrt(1 / inside.sum() + 1 / 2000)


def test_cross_fit_efficiency_is_uniform_on_background():
    sample = Toy().sample(20_000, 0, seed=6)
    pure = Toy().sample(10_000, 0, seed=7, region=REGION)
    result = cross_fit(
        IdealizedDetector(REGION, TREES),
        sample.features,
        sample.m,
        background=(pure.features, pure.m),
        folds=2,
    )
    inside = (sample.m > 3.3) & (sample.m < 3.7)
    passed = np.mean(result.efficiency[inside] < 0.1)
    # Two binomial errors, of the cut from 5000 reference events per fold and of the events: 5 sigma.
    assert abs(passed - 0.1) < 5 * np.sqrt(0.09 * (1 / inside.sum() + 1 / 10_000)) + 0.01


X0 = np.random.default_rng(1).normal(size=(2000, 2))
M0 = np.random.default_rng(2).uniform(2.6, 4.4, 2000)


@pytest.mark.parametrize(
    ("X", "m", "message"),
    [
        (X0[:, 0], M0, "need features X"),
        (X0, M0[:5], "need features X"),
        (np.where(X0 > 3, np.nan, X0), M0, "X holds NaN"),
        (X0, np.where(M0 > 4.3, np.inf, M0), "m holds NaN"),
        (X0, 1000 * M0, "holds 0 events"),
        (X0, np.full(2000, 3.5), "sidebands hold 0 events"),
        ([["a"]], [1.0], "arrays of numbers"),
    ],
)
def test_bad_events_are_one_clear_line(X, m, message):
    with pytest.raises(InputError, match=message) as error:
        Cathode(REGION).fit(X, m)
    assert "\n" not in str(error.value)


def test_bad_settings_are_one_clear_line(events):
    X, m = events.features, events.m
    for detector, arguments, message in [
        (Cathode((3.7, 3.3)), {}, "low < high"),
        (Cathode(REGION, seed=-1), {}, "seed must be"),
        (Cathode(REGION, oversampling=0), {}, "oversampling"),
        (CWoLa(REGION, strip_width=1e-4), {}, "strip_width"),
        (Supervised(REGION), {}, "needs labels"),
        (Supervised(REGION), {"labels": m[:3]}, "labels need shape"),
        (IdealizedDetector(REGION), {}, "background sample"),
        (IdealizedDetector(REGION), {"background": (X[:500, :2], m[:500])}, "2 features"),
        (RAnode(REGION, fraction=0.0), {}, "fraction"),
    ]:
        with pytest.raises(InputError, match=message):
            detector.fit(X, m, **arguments)
    with pytest.raises(InputError, match="not trained"):
        Cathode(REGION).score(X, m)
    with pytest.raises(InputError, match="not trained"):
        Cathode(REGION).sample(3)
    trained = CWoLa(REGION, classifier=TREES).fit(X, m)
    with pytest.raises(InputError, match="trained on 4 features"):
        trained.score(X[:, :3], m)


@pytest.fixture(scope="module")
def third():
    """A third of the LHC Olympics' events at their S / sqrt(B), and the density of their background."""
    sample = Toy().sample(300_000, 500, seed=1)
    outside = (sample.m < 3.3) | (sample.m >= 3.7)
    limits = Limits(sample.features, sample.m)
    density = ConditionalDensity().fit(sample.features[outside], sample.m[outside], limits)
    return sample, FrozenEstimator(density)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Anode, RAnode])
def test_density_ratios_find_the_signal(method, third, test_events):
    sample, density = third
    trained = method(REGION, density).fit(sample.features, sample.m)
    optimum = roc(Toy().log_ratio(test_events.features, test_events.m), test_events.label).sic_at(1e-2)[0]
    assert sic(trained, test_events) > 0.5 * optimum


@pytest.mark.slow
def test_cwola_collapses_on_the_shifted_sample_and_cathode_does_not():
    toy = Toy(shifted=True)
    sample = toy.sample(200_000, 350, seed=1)
    test = Events.concatenate([toy.sample(100_000, 0, 3, REGION), toy.sample(0, 10_000, 4, REGION)])
    scores = {
        type(d).__name__: sic(d.fit(sample.features, sample.m), test)
        for d in (Cathode(REGION), CWoLa(REGION))
    }
    assert scores["CWoLa"] < 0.5 * scores["Cathode"], scores


def test_toy_densities_are_normalised_and_belong_to_its_samples():
    """Importance sampling: the mean of p_s/p_b over background is 1, for all variants."""
    for toy in (Toy(edge=True), Toy(shifted=True)):
        sample = toy.sample(0, 4000, seed=3, region=REGION)
        # Under signal E[p_b/p_s] is the share of p_b on the signal's support, at most 1.
        ratio = np.exp(-toy.log_ratio(sample.features, sample.m))
        assert 0 < ratio.mean() < 1.5
        background = toy.sample(200_000, 0, seed=4, region=REGION)
        weights = np.exp(toy.log_ratio(background.features, background.m))
        error = weights.std() / np.sqrt(len(weights))
        assert error < 0.15
        assert abs(weights.mean() - 1) < 5 * error


def test_toy_background_density_integrates_to_one():
    toy = Toy(noise=0)
    grid = np.linspace(1e-4, 1 - 1e-4, 400)
    X = np.column_stack([np.full(400, 0.12), np.full(400, 0.1), grid, np.full(400, 0.4)])
    slice_3 = np.exp(toy.log_background(X, np.full(400, 3.5)))
    X4 = X.copy()
    X4[:, 3] = 0.6
    # tau21 of the two jets are independent given the masses: the slices are proportional.
    ratio = np.exp(toy.log_background(X4, np.full(400, 3.5))) / slice_3
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert integrate.trapezoid(slice_3, grid) > 0
