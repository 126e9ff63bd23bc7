"""Figures in one style, one per function, and reports as one self-contained HTML file.

Every function takes plain arrays and returns a :class:`matplotlib.figure.Figure`.
"""

from .classifier import ClassifierCurves, auc_against_events, classifier_curves, generation_time
from .convergence import Iterations, convergence
from .features import FeaturePanel, feature_histograms
from .kinematics import Observable, dalitz, observables
from .layers import layers
from .marginals import corner, marginals
from .report import Picture, Section, Table, render
from .showers import LayerImage, layer_images
from .style import save, style
from .training import training_history
from .weights import weight_distribution

__all__ = [
    "ClassifierCurves",
    "FeaturePanel",
    "Iterations",
    "LayerImage",
    "Observable",
    "Picture",
    "Section",
    "Table",
    "auc_against_events",
    "classifier_curves",
    "convergence",
    "corner",
    "dalitz",
    "feature_histograms",
    "generation_time",
    "layer_images",
    "layers",
    "marginals",
    "observables",
    "render",
    "save",
    "style",
    "training_history",
    "weight_distribution",
]
