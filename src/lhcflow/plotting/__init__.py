"""Figures in one style, one per function, and reports as one self-contained HTML file.

Every function takes plain arrays and returns a :class:`matplotlib.figure.Figure`.
"""

from .convergence import Iterations, convergence
from .kinematics import Observable, dalitz, observables
from .layers import layers
from .marginals import corner, marginals
from .report import Picture, Section, Table, render
from .style import save, style
from .training import training_history
from .weights import weight_distribution

__all__ = [
    "Iterations",
    "Observable",
    "Picture",
    "Section",
    "Table",
    "convergence",
    "corner",
    "dalitz",
    "layers",
    "marginals",
    "observables",
    "render",
    "save",
    "style",
    "training_history",
    "weight_distribution",
]
