"""The classifier test and reweighting where the best classifier is known."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from lhcflow import InputError
from lhcflow.classifiers import CALOCHALLENGE, CALOFLOW, classifier_test, effective_sample_size, reweight
from lhcflow.classifiers.classifier_test import network

SMALL = dataclasses.replace(CALOFLOW, hidden=(32,), epochs=8, batch_size=100)


def samples(n, seed, shift=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, 2)), rng.normal([shift, 0], 1, (n, 2))


def test_known_areas():
    """Normal distributions at distance 1: AUC Phi(1/sqrt 2) = 0.760; its error here is 0.012."""
    result = classifier_test(*samples(5000, 1), SMALL, repeats=2, seed=5)
    exact = norm.cdf(1 / math.sqrt(2))
    np.testing.assert_allclose(result.auc, exact, atol=0.04)
    np.testing.assert_allclose(result.raw_auc, exact, atol=0.04)
    assert result.events == (3000, 1000, 1000)
    # The divergence of the two distributions, by an integral over the axis that differs.
    x = np.linspace(-8, 9, 20001)
    p, q = norm.pdf(x), norm.pdf(x - 1)
    exact_jsd = np.trapezoid(0.5 * p * np.log2(2 * p / (p + q)) + 0.5 * q * np.log2(2 * q / (p + q)), x)
    np.testing.assert_allclose(result.jsd, exact_jsd, atol=0.06)


def test_bfloat16_sees_as_much_as_float32():
    """On CPUs with bfloat16, else both are the same. As above, and the difference of paired areas: 0.003."""
    wide = dataclasses.replace(SMALL, hidden=(128, 128), batch_size=500)
    plain = dataclasses.replace(wide, mixed=False)
    found = [classifier_test(*samples(5000, 1), recipe, repeats=2, seed=5) for recipe in (wide, plain)]
    np.testing.assert_allclose([r.auc for r in found], norm.cdf(1 / math.sqrt(2)), atol=0.04)
    np.testing.assert_allclose(found[0].raw_auc, found[1].raw_auc, atol=0.015)


def test_equal_distributions():
    """The AUC of 1000 against 1000 events is 0.5 with a standard deviation of 0.013."""
    result = classifier_test(*samples(5000, 2, shift=0.0), SMALL, seed=1)
    assert abs(result.auc[0] - 0.5) < 0.06


def test_seeds():
    pair = samples(300, 3)
    a, b = (classifier_test(*pair, SMALL, seed=7) for _ in range(2))
    np.testing.assert_array_equal(a.auc, b.auc)
    assert classifier_test(*pair, SMALL, seed=8).jsd != a.jsd


def test_larger_sample_is_cut():
    real, generated = samples(400, 4)
    assert classifier_test(real, generated[:100], SMALL).events == (60, 20, 20)


def test_inputs_on_demand():
    """Rows that are made when asked for give the same test as an array."""
    real, generated = samples(200, 6)

    class Doubled:
        dim = 2

        def __init__(self, values):
            self.values = torch.from_numpy(values / 2)

        def __len__(self):
            return len(self.values)

        def rows(self, index):
            return (2 * self.values[index]).float()

    a = classifier_test(real, generated, SMALL, seed=1)
    b = classifier_test(Doubled(real), Doubled(generated), SMALL, seed=1)
    np.testing.assert_array_equal(a.auc, b.auc)


def test_best_epoch_is_taken():
    result = classifier_test(*samples(400, 8), SMALL, seed=2)
    validation = result.histories[0]["validation"]
    assert result.epochs[0] == np.argmin(validation) + 1
    short = classifier_test(*samples(400, 8), dataclasses.replace(SMALL, epochs=200, patience=2), seed=2)
    assert len(short.histories[0]["validation"]) == short.epochs[0] + 2


def test_published_networks():
    def parameters(recipe, dim):
        return sum(p.numel() for p in network(dim, recipe.hidden, 0).parameters())

    assert parameters(CALOFLOW, 508) == 509 * 512 + 2 * 513 * 512 + 513
    assert parameters(CALOCHALLENGE, 369) == 370 * 2048 + 2 * 2049 * 2048 + 2049


def test_reweighting():
    """Weights p/q of normal distributions of widths 1 and 1.3: moment and effective sample size are known."""
    rng = np.random.default_rng(11)
    real, generated = rng.normal(0, 1, (4000, 1)), rng.normal(0, 1.3, (4000, 1))
    result = reweight(real, generated, dataclasses.replace(SMALL, epochs=20), seed=3)
    assert result.weights.mean() == pytest.approx(1)
    y = generated[:, 0]
    assert (result.weights * y**2).mean() == pytest.approx(1.0, abs=0.1)  # before: 1.69
    exact = norm.pdf(y) / norm.pdf(y, scale=1.3)
    assert np.corrcoef(result.weights, exact)[0, 1] > 0.9
    assert result.weights.max() < 1.5 * exact.max()
    assert result.efficiency == pytest.approx(effective_sample_size(exact) / 4000, abs=0.1)


def test_effective_sample_size():
    assert effective_sample_size(np.ones(7)) == 7
    assert effective_sample_size([3.0, 1.0]) == pytest.approx(1.6)
    with pytest.raises(InputError, match="not all of them 0"):
        effective_sample_size([0.0, 0.0])


def test_bad_input():
    real, generated = samples(100, 1)
    with pytest.raises(InputError, match="20 events per sample"):
        classifier_test(real[:10], generated, SMALL)
    with pytest.raises(InputError, match="2 inputs, generated ones 1"):
        classifier_test(real, generated[:, :1], SMALL)
    with pytest.raises(InputError, match="NaN"):
        classifier_test(real * np.nan, generated, SMALL)
    with pytest.raises(InputError, match="shape"):
        classifier_test(real[:, 0], generated, SMALL)
    with pytest.raises(InputError, match="repeats"):
        classifier_test(real, generated, SMALL, repeats=0)
    with pytest.raises(InputError, match="folds"):
        reweight(real, generated, SMALL, folds=1)
    with pytest.raises(InputError, match="events per sample"):
        reweight(real[:30], generated, SMALL)
