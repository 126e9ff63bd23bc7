"""Combining estimates: exact small cases, and the distribution of chi2 and Q."""

import json

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from lhcflow import InputError
from lhcflow.integration import Estimate, combine


def estimate(mean, sdev, calls=100):
    return Estimate(np.array([mean]), np.array([[sdev**2]]), calls)


def test_two_estimates_by_calls():
    result = combine([estimate(1.0, 0.3, 100), estimate(2.0, 0.4, 300)])
    assert result.mean == pytest.approx(1.75)
    assert result.sdev == pytest.approx(np.hypot(0.25 * 0.3, 0.75 * 0.4))
    assert result.chi2 == pytest.approx(1 / 0.25)  # two: (m1 - m2)^2 / (s1^2 + s2^2), whatever the weights
    assert result.q == pytest.approx(chi2.sf(4, 1))
    assert (result.dof, result.calls) == (1, 400)


def test_two_estimates_by_variance():
    result = combine([estimate(1.0, 0.3), estimate(2.0, 0.4)], weighted=True)
    assert result.mean == pytest.approx((1 / 0.09 + 2 / 0.16) / (1 / 0.09 + 1 / 0.16))
    assert result.sdev == pytest.approx((1 / 0.09 + 1 / 0.16) ** -0.5)
    assert result.chi2 == pytest.approx(1 / 0.25)  # (m1 - m2)^2 / (s1^2 + s2^2)


@pytest.mark.parametrize("size", [1, 3])
def test_q_is_uniform_for_honest_errors(size):
    rng = np.random.default_rng(1)
    root = np.tril(rng.normal(size=(size, size))) + 2 * np.eye(size)
    covariance = root @ root.T
    qs = []
    for _ in range(500):
        means = rng.normal(size=(6, size)) @ root.T + 5
        result = combine([Estimate(mean, covariance, 10) for mean in means])
        assert result.dof == 5 * size
        qs.append(result.q)
    assert kstest(qs, "uniform").pvalue > 1e-4  # false-alarm rate


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_components_stay_sums(weighted):
    # Third component = first + second, so every covariance is singular.
    rng = np.random.default_rng(2)
    add = np.array([[1, 0], [0, 1], [1, 1]])
    estimates = []
    for scale in (1.0, 3.0, 0.5):
        covariance = add @ np.diag(scale * np.array([1.0, 4.0])) @ add.T
        estimates.append(Estimate(add @ rng.normal(size=2), covariance, 100))
    result = combine(estimates, weighted=weighted)
    assert result.mean[2] == pytest.approx(result.mean[0] + result.mean[1])
    assert result.covariance[2, 2] == pytest.approx(result.covariance[:2, :2].sum())
    assert result.dof == 4  # two independent components


def test_disagreement_is_said():
    result = combine([estimate(1.0, 0.01), estimate(2.0, 0.01)])
    assert result.q < 1e-3
    assert "disagree" in result.warnings[0]
    assert "WARNING" in str(result)


def test_constant_integrand():
    result = combine([estimate(1.0, 0.0), estimate(1.0 + 1e-16, 0.0)])
    assert (result.mean, result.sdev, result.chi2, result.q) == (1.0, 0.0, 0.0, 1.0)


def test_print_and_json():
    result = combine([estimate(1.0, 0.03), estimate(1.1, 0.04)], method="VEGAS+")
    assert str(result).startswith("1.050(25)")
    table = result.summary().splitlines()
    assert len(table) == 4
    assert "1.000(30)" in table[2]
    data = json.loads(json.dumps(result.to_dict()))
    assert data["mean"] == pytest.approx(1.05)
    assert len(data["iterations"]) == 2


def test_nothing_to_combine():
    with pytest.raises(InputError, match="no iteration"):
        combine([])
