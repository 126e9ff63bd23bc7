"""Figures in one style, one per function, and reports as one self-contained HTML file.

Every function takes plain arrays and returns a `matplotlib.figure.Figure`.
"""

from .classifier import ClassifierCurves, auc_against_events, classifier_curves, generation_time
from .convergence import Iterations, convergence
from .features import FeaturePanel, feature_histograms
from .improvement import ImprovementCurve, improvement_curves
from .kinematics import Observable, dalitz, observables
from .layers import layers
from .marginals import corner, marginals
from .report import Picture, Section, Table, render
from .scores import ScorePanel, score_distributions
from .showers import LayerImage, layer_images
from .significance import LimitPoint, largest_significance, limit_bands, p_values
from .spectrum import FittedSpectrum, fitted_spectra
from .style import save, style
from .templates import TemplatePanel, template_histograms
from .training import training_history
from .weights import weight_distribution

__all__ = [
    "ClassifierCurves",
    "FeaturePanel",
    "FittedSpectrum",
    "ImprovementCurve",
    "Iterations",
    "LayerImage",
    "LimitPoint",
    "Observable",
    "Picture",
    "ScorePanel",
    "Section",
    "Table",
    "TemplatePanel",
    "auc_against_events",
    "classifier_curves",
    "convergence",
    "corner",
    "dalitz",
    "feature_histograms",
    "fitted_spectra",
    "generation_time",
    "improvement_curves",
    "largest_significance",
    "layer_images",
    "layers",
    "limit_bands",
    "marginals",
    "observables",
    "p_values",
    "render",
    "save",
    "score_distributions",
    "style",
    "template_histograms",
    "training_history",
    "weight_distribution",
]
