"""Columns (n, 1) in place of (n,), and what has no meaning."""

import dataclasses

import numpy as np
import pytest
import torch

from lhcflow.bumphunt import CWoLa, Supervised, Toy, cross_fit
from lhcflow.classifiers import (
    CALOFLOW,
    Recipe,
    TreeEnsemble,
    auc,
    calibrate,
    effective_sample_size,
    jensen_shannon,
    reliability,
)
from lhcflow.classifiers.classifier_test import as_rows
from lhcflow.classifiers.ensemble import balanced
from lhcflow.errors import InputError


def test_columns_mean_what_vectors_mean():
    rng = np.random.default_rng(0)
    y, weights, score = rng.integers(0, 2, 500), rng.random(500), rng.random(500)
    X = rng.normal(size=(500, 2)) + y[:, None]
    trees = TreeEnsemble(members=1, max_iter=5)
    column = trees.fit(X, y, sample_weight=weights[:, None]).predict_proba(X)
    np.testing.assert_array_equal(column, trees.fit(X, y, sample_weight=weights).predict_proba(X))
    for labels in (y[:, None], y.astype(float), y == 1):
        np.testing.assert_array_equal(balanced(labels, weights[:, None]), balanced(y, weights))
        assert auc(score[:, None], labels) == auc(score, y)
        assert jensen_shannon(score[:, None], labels) == jensen_shannon(score, y)
        np.testing.assert_array_equal(
            reliability(score[:, None], labels).observed, reliability(score, y).observed
        )
    assert effective_sample_size(weights[:, None]) == effective_sample_size(weights)


def test_columns_of_masses_and_labels():
    events = Toy().sample(4000, 400, seed=1)
    X, m, label = events.features, events.m, events.label
    quick = TreeEnsemble(members=1, max_iter=5)
    for labels in (label, label[:, None], label == 1, label.astype(float)):
        found = cross_fit(Supervised(classifier=quick), X, m[:, None], labels, folds=2)
        expected = cross_fit(Supervised(classifier=quick), X, m, label, folds=2)
        np.testing.assert_array_equal(found.efficiency, expected.efficiency)
    trained = CWoLa(classifier=quick).fit(X, m[:, None])
    np.testing.assert_array_equal(trained.score(X, m[:, None]), trained.score(X, m))
    for labels in (np.where(label == 1, "Wprime", "qcd"), label + 1, label[:-1]):
        with pytest.raises(InputError, match="labels need"):
            Supervised(classifier=quick).fit(X, m, labels)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.full(100, np.nan), "finite values"),
        (np.ones((100, 2)), r"shape \(n,\)"),
        (np.ones(99), r"shape \(n,\)"),
        (-np.ones(100), "values >= 0"),
        (np.repeat([0.0, 1.0], 50), "class .*0.* have the weight 0"),
        (["heavy"] * 100, "must be numbers"),
    ],
)
def test_weights_that_are_none(weights, words):
    X, y = np.random.default_rng(1).normal(size=(100, 2)), np.repeat([0, 1], 50)
    with pytest.raises(InputError, match=words):
        TreeEnsemble(members=1).fit(X, y, sample_weight=weights)


def test_one_line_for_wrong_scores_and_labels():
    y = np.repeat([0, 1], 50)
    with pytest.raises(InputError, match="classes 0 and 1"):
        balanced(y + 1)
    with pytest.raises(InputError, match="no event of the class 1"):
        balanced(y, np.where(y == 1, 0.0, 1.0))
    with pytest.raises(InputError, match="not negative"):
        balanced(y, np.where(y == 1, np.nan, 1.0))
    logits = np.linspace(-3, 3, 100)
    for function in (calibrate, jensen_shannon, reliability):
        with pytest.raises(InputError, match="between 0 and 1, got -3 to 3: apply a sigmoid"):
            function(logits, y)
    assert auc(logits, y) == 1
    with pytest.raises(InputError, match="labels must be 0 and 1"):
        auc(logits, np.where(y == 1, "Wprime", "qcd"))
    with pytest.raises(InputError, match="must be numbers"):
        auc(["high"] * 100, y)


def test_samples_of_the_classifier_test():
    rows = as_rows([[1, 2], [3, 4]])  # a list of numbers
    assert rows.rows(torch.tensor([1])).tolist() == [[3.0, 4.0]]
    with pytest.raises(InputError, match="numbers beyond"):
        as_rows(np.array([[1e300]]))  # infinite in float32
    with pytest.raises(InputError, match="of numbers"):
        as_rows(np.array([["a"]]))
    for split in ((0.8, 0.2, 0.0), (0.6, 0.2), (0.6, 0.6, 0.2)):
        with pytest.raises(InputError, match="three positive shares"):
            dataclasses.replace(CALOFLOW, split=split)
    assert Recipe("mine", (8,), 1e-3, 10, 1, (0.5, 0.25, 0.25)).mixed
