"""ROC and SIC against scikit-learn and closed formulas."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lhcflow.bumphunt import quantiles, roc, sic_band
from lhcflow.errors import InputError


def gaussians(n, seed, shift=2.0):
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], n)
    return rng.normal(size=2 * n) + shift * label, label


def test_auc_is_that_of_scikit_learn_with_ties_too():
    score, label = gaussians(2000, 1)
    for s in (score, score.round(1)):
        assert roc(s, label).auc == pytest.approx(roc_auc_score(label, s), abs=1e-12)


def test_sic_of_two_normal_distributions():
    curve = roc(*gaussians(400_000, 2))
    for fpr in (1e-2, 1e-3):
        value, error = curve.sic_at(fpr)
        exact = stats.norm.sf(stats.norm.isf(fpr) - 2) / np.sqrt(fpr)
        assert abs(value - exact) < 5 * error  # 5 sigma
        assert error < 0.1 * exact


def test_the_error_of_sic_covers_its_spread():
    values, errors = zip(*(roc(*gaussians(20_000, seed)).sic_at(1e-2) for seed in range(40)), strict=True)
    # The TPR moves with the threshold too, which the binomial formula counts through FPR: within 60 %.
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.6)


def test_max_sic_looks_only_where_the_rate_is_known():
    label = np.repeat([0, 1], [10_000, 100])
    score = np.concatenate([np.linspace(0, 1, 10_000), np.full(100, 0.9995)])
    curve = roc(score, label)
    assert np.nanmax(curve.sic) > 30
    assert curve.max_sic() <= np.sqrt(10_000 / 24) * 1.01


def test_bands_and_quantiles():
    curves = [roc(*gaussians(20_000, seed)) for seed in range(5)]
    band = sic_band(curves, [0.3, 0.6])
    exact = [t / np.sqrt(stats.norm.sf(stats.norm.isf(t) + 2)) for t in (0.3, 0.6)]
    np.testing.assert_allclose(band.median, exact, rtol=0.1)
    assert np.all(band.low <= band.median)
    assert np.all(band.median <= band.high)
    assert quantiles([1.0, 2.0, 3.0])[0] == 2.0


def test_bad_scores():
    with pytest.raises(InputError, match="NaN"):
        roc([np.nan, 1.0], [0, 1])
    with pytest.raises(InputError, match="signal and of background"):
        roc([0.0, 1.0], [1, 1])
    with pytest.raises(InputError, match="shape"):
        roc([0.0, 1.0], [1])
