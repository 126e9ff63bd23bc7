"""Statistics with values from closed formulas, from pyhf, and from sums over all outcomes."""

import json

import numpy as np
import pyhf
import pytest
from scipy import optimize, stats

from lhcflow.bumphunt import SignalRegion, Toy, roc
from lhcflow.bumphunt.statistics import (
    Counting,
    Spectrum,
    count_model,
    count_toys,
    dijet_model,
    draw_toys,
    fit,
    gaussian_peak,
    global_p,
    mass_bins,
    search,
    toy_limit,
    toy_p_value,
    toy_scan,
    upper_limit,
)
from lhcflow.bumphunt.statistics.limits import test_statistic as q_tilde
from lhcflow.errors import InputError

# pyhf calls a part of jsonschema that goes away.
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)
WIDE = mass_bins(REGION, 2.6, 7.0, 0.2)


def classic_limit(observed, background):
    """CLs limit of a Poisson count over a known background (Read 2002)."""

    def log_cls(s):
        return stats.poisson.logcdf(observed, s + background) - stats.poisson.logcdf(observed, background)

    return optimize.brentq(lambda s: log_cls(s) - np.log(0.05), 0.1, 10_000)


def cls_of_all_outcomes(observed, background, error, s):
    """CLs summed over both counts, with the background profiled on a grid."""
    tau = background / error**2
    aux = tau * background
    b = np.geomspace(1e-3, 60, 1500)

    def minus_log_l(n, m, signal):
        """Smallest over the grid (n, m)."""
        on = (signal + b) - n[:, None] * np.log(signal + b)
        off = tau * b - m[:, None] * np.log(tau * b)
        return (on[:, None, :] + off[None, :, :]).min(-1)

    def free(n, m):
        on = n - np.where(n > 0, n * np.log(np.maximum(n, 1)), 0)
        off = m - np.where(m > 0, m * np.log(np.maximum(m, 1)), 0)
        return on[:, None] + off[None, :]

    def q(n, m):
        best = n[:, None] - m[None, :] / tau
        reference = np.where(best < 0, minus_log_l(n, m, 0.0), free(n, m))
        return np.where(best > s, 0.0, 2 * (minus_log_l(n, m, s) - reference))

    def profiled(signal):
        on = (signal + b) - observed * np.log(signal + b) + tau * b - aux * np.log(tau * b)
        return b[np.argmin(on)]

    n, m = np.arange(0.0, 40), np.arange(0.0, 90)
    extreme = q(n, m) >= q(np.array([float(observed)]), np.array([aux])) - 1e-3
    chances = []
    for signal in (s, 0.0):
        under = profiled(signal)
        weight = stats.poisson.pmf(n, signal + under)[:, None] * stats.poisson.pmf(m, tau * under)
        chances.append(np.sum(weight * extreme))
    return chances[0] / chances[1]


@pytest.mark.parametrize(("observed", "background"), [(0, 1.0), (0, 17.0), (3, 1.0), (5, 8.0), (60, 50.0)])
def test_a_known_background_has_the_classic_limit(observed, background):
    found = Counting(observed, background, 0.0).limit()
    assert found.method == "exact"
    assert found.observed == pytest.approx(classic_limit(observed, background), rel=1e-5)
    for band, limit in zip((-2, -1, 0, 1, 2), found.expected, strict=True):
        outcome = stats.poisson.ppf(stats.norm.cdf(band), background)
        assert limit == pytest.approx(classic_limit(outcome, background), rel=1e-5)
    assert list(found.expected) == sorted(found.expected)


@pytest.mark.parametrize(("background", "error"), [(3.0, 0.3), (25.0, 5.0)])
def test_no_event_means_three(background, error):
    assert Counting(0, background, error).limit().observed == pytest.approx(-np.log(0.05), rel=1e-5)


@pytest.mark.parametrize(("observed", "background", "error"), [(3, 3.0, 0.9), (5, 1.0, 0.3), (7, 9.0, 3.0)])
def test_limits_of_few_events_are_those_of_all_outcomes(observed, background, error):
    limit = Counting(observed, background, error).limit().observed
    below, above = (cls_of_all_outcomes(observed, background, error, s * limit) for s in (0.98, 1.02))
    assert above < 0.05 < below


def test_a_deficit_with_a_badly_known_background():
    # Sums over all outcomes give 13.74, the asymptotic formula, and pyhf's, 13.86.
    counting = Counting(50, 100.0, 20.0)
    assert counting.limit().observed == pytest.approx(13.9, rel=0.02)
    assert upper_limit(counting.model, counting.counts).observed == pytest.approx(13.857, abs=0.001)


@pytest.mark.parametrize("case", [(3, 3.0, 0.9), (12, 6.0, 2.0)])
def test_weighted_toys_agree_with_the_sums_within_their_errors(case):
    counting = Counting(*case)
    exact = counting.limit()
    found = toy_limit(counting.model, counting.counts, seed=2)
    assert found.error < 0.02 * found.observed
    assert found.expected_error[2] < 0.02 * found.expected[2]
    # False alarm 5e-4 for each of 12 numbers.
    assert abs(found.observed - exact.observed) < 3.5 * found.error
    assert np.all(np.abs(np.subtract(found.expected, exact.expected)) < 4 * np.array(found.expected_error))


@pytest.mark.parametrize("seeds", [pytest.param(range(12), marks=pytest.mark.slow)], ids=["twelve"])
def test_limits_of_a_fit_do_not_depend_on_the_seed(seeds):
    # Six events over four in the region, and 41 beside it.
    m = Toy().sample(60_000, 0, seed=1).m
    m = np.concatenate([m[np.random.default_rng(3).random(len(m)) < 0.0007], [3.45, 3.5, 3.52]])
    model, data = count_model(WIDE, REGION, 3), Spectrum.of(m, WIDE).merged(REGION)[0].counts
    found = [toy_limit(model, data, seed=seed) for seed in seeds]
    limits, errors = np.array([f.observed for f in found]), np.array([f.error for f in found])
    assert np.all(errors < 0.02 * limits)
    # False alarm 1e-3.
    assert np.sum(((limits - limits.mean()) / errors) ** 2) < stats.chi2.isf(1e-3, len(found) - 1)


def test_a_small_p_value_from_weighted_toys():
    for observed, background, error in ((12, 3.0, 0.5), (30, 4.0, 0.0)):
        counting = Counting(observed, background, error)
        p, spread = toy_p_value(counting.model, counting.counts, seed=1)
        assert spread < 0.1 * p
        assert abs(p - counting.p0()) < 4 * spread
    assert Counting(30, 4.0, 0.0).p0() == pytest.approx(stats.poisson.sf(29, 4.0))


def test_outcomes_without_events_count():
    model = Counting(1, 0.5, 0.0).model
    z = count_toys(model, [0.5], 4000, seed=1)
    assert len(z) == 4000
    assert np.isclose(z, -1.0).mean() == pytest.approx(np.exp(-0.5), abs=4 * 0.008)
    assert q_tilde(model, [0.0], 3.0)[0] == pytest.approx(6.0)
    free = Counting(0, 0.5, 0.2).model
    assert q_tilde(free, [0.0, 0.0], 3.0)[0] == pytest.approx(6.0)
    # In a scan a toy without events has no excess.
    z = toy_scan(dijet_model(EDGES, 2), gaussian_peak(EDGES, [3.5], 0.03), np.full(44, 0.03), 200, seed=2)
    assert np.isfinite(z).all()
    assert np.any(z == 0)


def pyhf_model(workspace):
    workspace = pyhf.Workspace(json.loads(json.dumps(workspace)))
    model = workspace.model()
    return workspace.data(model), model


@pytest.mark.parametrize(
    ("observed", "background", "error"),
    [
        (5_000_000, 5_000_000.0, 5000.0),
        (40_000, 39_600.0, 30.0),
        (300, 250.0, 20.0),
        (101, 130.0, 9.0),
    ],
)
def test_the_exported_workspace_is_the_model_of_the_report(observed, background, error):
    counting = Counting(observed, background, error)
    data, model = pyhf_model(counting.workspace())
    found = counting.limit()
    scan = np.linspace(0.9, 1.1, 21) * found.observed
    theirs, bands = pyhf.infer.intervals.upper_limits.upper_limit(data, model, scan=scan)
    assert float(theirs) == pytest.approx(found.observed, rel=1e-3)
    scan = np.linspace(0.9, 1.1, 21) * found.expected[2]
    _, bands = pyhf.infer.intervals.upper_limits.upper_limit(data, model, scan=scan)
    assert float(bands[2]) == pytest.approx(found.expected[2], rel=1e-3)
    if observed > background:
        q0 = pyhf.infer.test_statistics.q0(
            0.0, data, model, model.config.suggested_init(), model.config.suggested_bounds(),
            model.config.suggested_fixed(),
        )  # fmt: skip
        assert np.sqrt(float(q0)) == pytest.approx(counting.significance().z, abs=1e-3)


def test_a_known_background_is_known_in_the_workspace_too():
    # A floor of a per mille made 10,796 of this limit, and the workspace 4,871.
    observed, background = 5_001_000, 5_000_000.0
    counting = Counting(observed, background, 0.0)
    found = counting.limit().observed
    assert found == pytest.approx(classic_limit(observed, background), rel=1e-3)
    data, model = pyhf_model(counting.workspace())
    assert model.config.suggested_fixed() == [False, True]
    # With so many events and one free parameter the numerical gradients of pyhf are good for a percent.
    theirs, _ = pyhf.infer.intervals.upper_limits.upper_limit(
        data, model, scan=np.linspace(0.9, 1.1, 11) * found
    )
    assert float(theirs) == pytest.approx(found, rel=0.01)


@pytest.mark.slow
def test_cls_is_that_of_pyhfs_test_statistic_summed_over_all_outcomes():
    counting = Counting(3, 1.0, 0.5)
    s = counting.limit().observed
    data, model = pyhf_model(counting.workspace())
    settings = (
        model.config.suggested_init(),
        model.config.suggested_bounds(),
        model.config.suggested_fixed(),
    )

    def q(n, m):
        return float(pyhf.infer.test_statistics.qmu_tilde(s, [float(n), float(m)], model, *settings))

    def means(signal):
        fitted = pyhf.infer.mle.fixed_poi_fit(signal, data, model)
        return model.expected_data(fitted)

    n, m = np.arange(20), np.arange(22)
    extreme = np.array([[q(i, j) for j in m] for i in n]) >= q(*data) - 1e-4
    tails = []
    for signal in (s, 0.0):
        on, off = means(signal)
        tails.append(np.sum(stats.poisson.pmf(n, on)[:, None] * stats.poisson.pmf(m, off) * extreme))
    assert tails[0] / tails[1] == pytest.approx(0.05, rel=0.01)


def test_few_events_are_fitted_to_the_end():
    # A third of these stopped up to 6 above the minimum.
    expected = fit(
        dijet_model(EDGES, 5), Spectrum.of(Toy().sample(100_000, 0, seed=1).m, EDGES).counts
    ).expected[0]
    toys = draw_toys(25 * expected / expected.sum(), 60, seed=2)
    assert fit(dijet_model(EDGES, 5), toys).converged.all()


@pytest.mark.slow
def test_half_of_the_region_is_missing_and_the_search_says_so():
    m = Toy().sample(60_000, 0, seed=1).m
    half = REGION.contains(m) & (np.random.default_rng(1).random(len(m)) < 0.5)
    found = search(Spectrum.of(m[~half], WIDE), REGION, toys=0)
    assert found.count.z < -30
    assert "a deficit of" in found.remarks[0]
    assert np.isfinite([found.limit.observed, *found.limit.expected]).all()
    empty = search(Spectrum.of(m[~REGION.contains(m)], WIDE), REGION, toys=0)
    assert "No event lies in the signal region" in empty.remarks[0]
    assert empty.count.z < -8
    assert empty.limit.observed == pytest.approx(-np.log(0.05))
    few = m[np.random.default_rng(2).random(len(m)) < 0.0007]
    none = search(Spectrum.of(few[~REGION.contains(few)], WIDE), REGION, toys=0)
    assert "No event lies in the signal region" in none.remarks[0]
    assert none.p_toys > 0.9
    # Toys have no part in it: every seed has the same.
    assert (none.limit.observed, none.limit.error) == (pytest.approx(-np.log(0.05)), 0)
    whole = search(Spectrum.of(m, WIDE), REGION, toys=0)
    assert whole.remarks == []
    assert "only" in search(Spectrum.of(m, WIDE), REGION, toys=20).remarks[0]


def test_global_p_values_are_never_zero_or_made_of_nan():
    z = np.random.default_rng(1).normal(size=(50, 20))
    far = global_p(45.0, z)
    assert (far.extreme, far.method) == (0, "up-crossings")
    assert 44 < far.z < 45
    crossings = np.mean(np.sum((z[:, 1:] >= 0.5) & (z[:, :-1] < 0.5), axis=1))
    near = global_p(5.0, z)
    assert near.upcrossings == pytest.approx(stats.norm.sf(5) + crossings * np.exp(-(25 - 0.25) / 2))
    assert 0 < near.upcrossings_error < 0.2 * near.upcrossings
    # No up-crossing in a few toys does not mean that there is no look-elsewhere effect.
    assert global_p(5.0, np.full((10, 3), -1.0)).upcrossings_error > 0.05 * np.exp(-(25 - 0.25) / 2)
    with pytest.raises(InputError, match="1 of 50 toys"):
        global_p(2.0, np.where(np.arange(50)[:, None] == 3, np.nan, z))


def test_errors_of_auc_and_sic():
    label = np.repeat([0, 1], [400, 300])
    curves = [roc(np.random.default_rng(seed).normal(size=700) + label, label) for seed in range(300)]
    # 300 repetitions know a spread to 4 %: 4 sigma.
    spread = np.std([c.auc for c in curves])
    assert np.mean([c.auc_error for c in curves]) == pytest.approx(spread, rel=0.17)
    # No signal event passes: the error is that of one.
    value, error = roc(np.arange(101.0), np.repeat([1, 0], [1, 100])).sic_at(0.05)
    assert (value, error) == (0.0, pytest.approx(1 / np.sqrt(0.05)))
