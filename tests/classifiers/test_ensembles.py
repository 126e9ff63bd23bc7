"""Ensembles of classifiers: quality, batching, weights, seeds."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

from lhcflow.classifiers import NetworkEnsemble, TreeEnsemble
from lhcflow.classifiers.ensemble import balanced
from lhcflow.classifiers.networks import BatchedMLP
from lhcflow.errors import InputError

QUICK = [TreeEnsemble(members=3), NetworkEnsemble(members=3, hidden=(32, 32), epochs=10, best=3)]
IDS = ["trees", "networks"]


def ring(n, seed):
    """Two classes that no straight line separates; the best AUC is that of the radius."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    radius = rng.normal(1 + y, 0.5)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), y


@pytest.mark.parametrize("ensemble", QUICK, ids=IDS)
def test_reaches_nearly_the_best_possible(ensemble):
    trained = clone(ensemble).fit(*ring(6000, 1))
    X, y = ring(20_000, 2)
    best = roc_auc_score(y, np.hypot(X[:, 0], X[:, 1]))
    probability = trained.predict_proba(X)
    assert roc_auc_score(y, probability[:, 1]) > best - 0.02
    np.testing.assert_allclose(probability.sum(1), 1)
    again = clone(ensemble).fit(*ring(6000, 1)).predict_proba(X)
    np.testing.assert_array_equal(probability, again)
    other = clone(ensemble).set_params(seed=5).fit(*ring(6000, 1)).predict_proba(X)
    assert not np.array_equal(other, again)


@pytest.mark.parametrize("ensemble", QUICK, ids=IDS)
def test_weights_move_the_probabilities_as_they_should(ensemble):
    X = np.random.default_rng(0).normal(size=(8000, 2))
    y = np.repeat([0, 1], 4000)
    weights = np.where(y == 1, 3.0, 1.0)
    mean = clone(ensemble).fit(X, y, sample_weight=weights).predict_proba(X)[:, 1].mean()
    assert mean == pytest.approx(0.75, abs=0.03)
    even = clone(ensemble).fit(X, y, sample_weight=balanced(y, weights)).predict_proba(X)[:, 1].mean()
    assert even == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "ensemble",
    [
        TreeEnsemble(members=2, max_iter=20),
        NetworkEnsemble(members=2, hidden=(16,), epochs=60, batch_size=16, learning_rate=1e-2, best=3),
    ],
    ids=IDS,
)
@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks warn about what they try
def test_scikit_learn_accepts_it(ensemble):
    random = "members split the events at random: a weight of 2 is no repeated event"
    expected = {"check_sample_weight_equivalence_on_dense_data": random}
    if isinstance(ensemble, NetworkEnsemble):
        for name in ("sample_order", "subset"):
            expected[f"check_methods_{name}_invariance"] = "float32 rounds differently in other batches"
    check_estimator(ensemble, expected_failed_checks=expected, on_skip=None)


def test_batched_networks_are_independent_networks():
    model = BatchedMLP(3, 2, (8, 4), torch.Generator().manual_seed(1))
    x = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(2))
    out = model(x)
    for k in range(3):
        h = x[k]
        for i in range(3):
            h = h @ model.weights[i][k] + model.biases[i][k]
            h = torch.relu(h) if i < 2 else h
        torch.testing.assert_close(out[k], h[:, 0])
    out[1].sum().backward()
    gradient = model.weights[0].grad
    assert gradient is not None
    assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0
    assert gradient[1].abs().sum() > 0


@pytest.mark.gpu
def test_networks_trained_on_cuda():
    X, y = ring(2000, 1)
    trained = [clone(QUICK[1]).set_params(device=device).fit(X, y) for device in ("cpu", "cuda")]
    # The same weights and batches at the start; rounding makes them drift apart by less than the training.
    np.testing.assert_allclose(*(e.predict_proba(X) for e in trained), atol=0.1)


@pytest.mark.parametrize("ensemble", QUICK, ids=IDS)
def test_bad_input(ensemble):
    X, y = ring(200, 1)
    for arguments, message in [
        ((X[:, 0], y), "shape"),
        ((np.where(X > 1, np.nan, X), y), "NaN"),
        ((X, np.arange(200) % 3), "two classes, got 3"),
        ((X, np.zeros(200)), "two classes, got 1"),
        ((X, np.arange(200) == 0), "two events per class"),
        ((X, y, -np.ones(200)), "sample_weight"),
    ]:
        with pytest.raises(InputError, match=message):
            clone(ensemble).fit(*arguments)
    with pytest.raises(InputError, match="not trained"):
        clone(ensemble).predict(X)
    with pytest.raises(InputError, match="members"):
        clone(ensemble).set_params(members=0).fit(X, y)


def test_bins_of_trees_keep_few_values_apart():
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.integers(0, 4, 4000), rng.exponential(size=4000)]).astype(float)
    y = (X[:, 0] == 2).astype(int)
    trees = TreeEnsemble(members=1).fit(X, y)
    probability = trees.predict_proba([[v, 1.0] for v in range(4)])[:, 1]
    assert probability[2] > 0.99
    assert np.delete(probability, 2).max() < 0.01
    # Bins are quantiles: a monotone map of the features changes nothing for the events of the training.
    again = TreeEnsemble(members=1).fit(np.sqrt(X), y)
    np.testing.assert_array_equal(again.predict_proba(np.sqrt(X)), trees.predict_proba(X))
