"""Maximum weights, acceptance and efficiencies, against definitions spelled out."""

import pickle

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.integration import Efficiency
from lhcflow.integration.unweighting import (
    accept,
    bootstrap_efficiency,
    maximum_weight,
    overweight_efficiency,
)


@pytest.mark.parametrize("share", [0.0, 1e-3, 0.01, 0.3])
def test_maximum_weight_is_the_smallest_that_keeps_the_share(share):
    w = np.random.default_rng(1).lognormal(size=2000)
    w[::3] *= -1
    w_max = maximum_weight(w, share)
    size = np.abs(w)

    def carried(limit):
        return size[size > limit].sum() / size.sum()

    assert carried(w_max) <= share
    below = size[size < w_max].max()
    assert carried(below) > share


def test_maximum_weight_of_nothing():
    with pytest.raises(InputError, match="zero"):
        maximum_weight(np.zeros(5), 1e-3)
    with pytest.raises(InputError, match="share"):
        maximum_weight(np.ones(5), 1.0)


def test_acceptance_keeps_sums():
    # E[accepted weight] w_max = w for each point, over- and negative weights too. 4 sigma.
    rng = np.random.default_rng(2)
    w = np.array([-3.0, -0.4, 0.0, 0.1, 0.9, 1.0, 2.5])
    repeated = np.repeat(w, 40_000)
    kept, weight = accept(repeated, 1.0, rng)
    sums = np.where(kept, weight, 0).reshape(len(w), -1).mean(axis=1)
    np.testing.assert_allclose(sums, w, atol=4 * 0.5 / np.sqrt(40_000))
    assert set(np.unique(weight[kept])) == {-3.0, -1.0, 1.0, 2.5}


def test_overweight_efficiency_of_exponential_weights():
    # w ~ Exp(1): the share above m is (1 + m) e^-m, the acceptance (1 - e^-m) / m.
    share = 0.01
    m = 6.638352067993812  # solves (1 + m) exp(-m) = 0.01
    assert (1 + m) * np.exp(-m) == pytest.approx(share, rel=1e-9)
    rng = np.random.default_rng(3)
    results = [overweight_efficiency(rng.exponential(size=50_000), share) for _ in range(20)]
    exact = (1 - np.exp(-m)) / m
    pulls = np.array([(r - exact) / r.error for r in results])
    assert np.abs(pulls).max() < 5
    assert 0.4 < pulls.std() < 2  # the jackknife's errors are right within a factor of 2


def test_bootstrap_efficiency_is_that_of_the_definition():
    # 2001.10028, spelled out: replicas drawn one by one.
    rng = np.random.default_rng(4)
    n_opt = 200
    w = rng.lognormal(size=50 * n_opt)
    maxima = [rng.choice(w, n_opt).max() for _ in range(4000)]
    expected = w.mean() / np.median(maxima)
    result = bootstrap_efficiency(w, n_opt, 4000, rng)
    assert result == pytest.approx(expected, rel=0.05)
    assert result.error < 0.05 * result
    assert "200" in result.definition


def test_efficiency_is_a_float():
    e = Efficiency(0.25, 0.01, 3.0, 100, "test")
    assert e == 0.25
    assert f"{e:.2f}" == "0.25"
    assert pickle.loads(pickle.dumps(e)).w_max == 3.0
