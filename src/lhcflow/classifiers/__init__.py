"""Classifiers: ensembles, the classifier test, calibration."""

from .boosting import TreeEnsemble
from .calibration import Calibration, Reliability, auc, calibrate, jensen_shannon, reliability
from .classifier_test import (
    CALOCHALLENGE,
    CALOFLOW,
    Classifier,
    ClassifierTest,
    Recipe,
    Rows,
    classifier_test,
)
from .networks import NetworkEnsemble
from .reweighting import Reweighting, effective_sample_size, reweight

__all__ = [
    "CALOCHALLENGE",
    "CALOFLOW",
    "Calibration",
    "Classifier",
    "ClassifierTest",
    "NetworkEnsemble",
    "Recipe",
    "Reliability",
    "Reweighting",
    "Rows",
    "TreeEnsemble",
    "auc",
    "calibrate",
    "classifier_test",
    "effective_sample_size",
    "jensen_shannon",
    "reliability",
    "reweight",
]
