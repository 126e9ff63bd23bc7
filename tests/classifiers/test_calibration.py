"""AUC, JSD and calibration against scikit-learn and exact values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from lhcflow import InputError
from lhcflow.classifiers import auc, calibrate, jensen_shannon, reliability


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2).filter(
        lambda x: len({b for _, b in x}) == 2
    )
)
def test_auc_with_ties(pairs):
    score, label = np.array(pairs, float).T
    assert auc(score, label) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_jensen_shannon():
    rng = np.random.default_rng(0)
    p, label = rng.uniform(0.05, 0.95, 500), rng.integers(0, 2, 500)
    assert jensen_shannon(p, label) == pytest.approx(1 - log_loss(label, p) / math.log(2))
    assert jensen_shannon(np.full(4, 0.5), [0, 1, 0, 1]) == pytest.approx(0)
    assert jensen_shannon([0.0, 1.0], [0, 1]) == 1


def test_calibration_finds_the_probability():
    """Scores s with P(1 | s) = s^2; the isotonic fit of 40,000 is known to some 2 %."""
    rng = np.random.default_rng(1)
    score = rng.uniform(size=40_000)
    fitted = calibrate(score, rng.uniform(size=40_000) < score**2)
    at = np.linspace(0.1, 0.9, 17)
    np.testing.assert_allclose(fitted.probability(at), at**2, atol=0.06)
    odds = fitted.odds(at)
    np.testing.assert_allclose(odds / (1 + odds), at**2, atol=0.06)
    assert (np.diff(fitted.probability(at)) >= 0).all()
    new = rng.uniform(size=40_000)
    curve = reliability(fitted.probability(new), rng.uniform(size=40_000) < new**2)
    # Ten bins, each within 4.5 standard deviations plus what the fit itself is off by.
    assert (np.abs(curve.observed - curve.predicted) < 4.5 * curve.error + 0.02).all()
    assert curve.count.sum() == 40_000


def test_pure_blocks():
    """Where isotonic regression sees one class only, probabilities stay inside and odds stay moderate."""
    fitted = calibrate([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    np.testing.assert_allclose(fitted.probability([0.1, 0.9]), [1e-6, 1 - 1e-6])
    odds = fitted.odds([0.0, 0.1, 0.9, 1.0])
    assert odds[0] == odds[1] < 1 < odds[2] == odds[3] < 100


def test_odds_correct_a_bold_network():
    """Log odds 0.5 + x of events whose score is sigmoid(3 x): errors of 20,000 events are below 0.03."""
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, 20_000)
    fitted = calibrate(1 / (1 + np.exp(-3 * x)), rng.uniform(size=len(x)) < 1 / (1 + np.exp(-0.5 - x)))
    at = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(np.log(fitted.odds(1 / (1 + np.exp(-3 * at)))), 0.5 + at, atol=0.15)


@pytest.mark.parametrize(
    ("score", "label", "message"),
    [
        ([0.1, 0.2], [0, 1, 1], "one shape"),
        ([0.1, math.nan], [0, 1], "finite"),
        ([0.1, 0.2], [1, 1], "both must be there"),
        ([0.1, 0.2], [0, 2], "labels must be 0 and 1"),
    ],
)
def test_bad_input(score, label, message):
    for function in (auc, jensen_shannon, calibrate, reliability):
        with pytest.raises(InputError, match=message):
            function(score, label)
