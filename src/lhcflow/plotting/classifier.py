"""What a classifier test saw: ROC and calibration curves, and AUC against the number of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from ..errors import InputError
from .style import COLUMN, PAGE, colour, style


@dataclass(frozen=True)
class ClassifierCurves:
    """Curves of one classifier.

    Attributes
    ----------
    roc : array_like
        False and true positive rates, (2, k).
    predicted, observed, error : array_like
        Calibration curve (bins,): mean probability, fraction of real events, and its error.
    label : str
        For the legend.
    """

    roc: ArrayLike
    predicted: ArrayLike
    observed: ArrayLike
    error: ArrayLike
    label: str


def classifier_curves(curves: list[ClassifierCurves]) -> Figure:
    """Draw ROC curves and, beside them, calibration curves."""
    if not curves:
        raise InputError("classifier_curves needs at least one curve")
    with style():
        figure = Figure(figsize=(PAGE, 0.48 * PAGE), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes in (left, right):
            axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            axes.set_aspect("equal")
        for i, curve in enumerate(curves):
            false, true = np.asarray(curve.roc, float)
            left.plot(false, true, color=colour("", i), label=curve.label)
            right.errorbar(
                np.asarray(curve.predicted),
                np.asarray(curve.observed),
                yerr=np.asarray(curve.error),
                fmt="o-",
                markersize=2.6,
                linewidth=0.8,
                elinewidth=0.9,
                color=colour("", i),
            )
        left.set_xlabel("generated events taken for Geant4")
        left.set_ylabel("Geant4 events recognised")
        left.legend(loc="lower right")
        right.set_xlabel("calibrated probability of Geant4")
        right.set_ylabel("observed fraction of Geant4")
        return figure


def auc_against_events(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]], xlabel: str = "showers per class"
) -> Figure:
    """Draw the AUC of the classifier test against the number of events it was given.

    Parameters
    ----------
    curves : mapping of str to (array_like, array_like, array_like)
        By name, the numbers of events (k,), the mean AUC (k,) and its standard deviation over repeats (k,). A
        name that begins with "Geant4" is drawn as the floor, in grey.
    """
    if not curves:
        raise InputError("auc_against_events needs at least one curve")
    with style():
        figure = Figure(figsize=(COLUMN, 0.8 * COLUMN), layout="constrained")
        axes = figure.subplots()
        for i, (name, (number, mean, std)) in enumerate(curves.items()):
            x, y, e = (np.asarray(v, float) for v in (number, mean, std))
            shade = "0.45" if name.startswith("Geant4") else colour(name, i)
            axes.fill_between(x, y - e, y + e, color=shade, alpha=0.18, linewidth=0)
            axes.plot(x, y, "o-", markersize=3, color=shade, label=name)
        axes.axhline(0.5, color="0.6", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.set_xlabel(xlabel)
        axes.set_ylabel("AUC")
        axes.legend()
        return figure


def generation_time(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Draw the time for a number of showers against that number, both logarithmic.

    Parameters
    ----------
    curves : mapping of str to (array_like, array_like)
        By name, the numbers of showers (k,) and the seconds (k,) they took.
    """
    if not curves:
        raise InputError("generation_time needs at least one curve")
    with style():
        figure = Figure(figsize=(COLUMN, 0.9 * COLUMN), layout="constrained")
        axes = figure.subplots()
        ours = [name for name in curves if not name.startswith("Geant4")]
        for name, (number, seconds) in curves.items():
            shade = colour(name, ours.index(name)) if name in ours else "0.35"
            axes.plot(
                np.asarray(number, float),
                np.asarray(seconds, float),
                "o-",
                markersize=3,
                color=shade,
                label=name,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("showers")
        axes.set_ylabel("time [s]")
        axes.legend()
        return figure
