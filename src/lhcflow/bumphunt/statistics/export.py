"""Workspaces for pyhf (HistFactory JSON); pyhf itself is not needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from .fitting import Fits
from .model import BinnedModel, auxiliary
from .significance import background_slopes
from .spectrum import Array

_SMALLEST = 1e-6


def counting_workspace(
    observed: float, background: float, error: float, name: str = "signal_region"
) -> dict[str, Any]:
    """One bin with an uncertain background; the parameter of interest ``signal`` counts events.

    Parameters
    ----------
    observed : float
        Events.
    background, error : float
        Expected events and their uncertainty (``shapesys``: the auxiliary Poisson count of
        `counting_model`). Where that counts the background as known, the workspace has an error of zero, with
        which pyhf keeps the background fixed.
    """
    known = auxiliary(background, error) is None
    constraint = {"name": f"{name}_background", "type": "shapesys", "data": [0.0 if known else float(error)]}
    samples = [
        _sample("signal", [1.0], [{"name": "signal", "type": "normfactor", "data": None}]),
        _sample("background", [float(background)], [constraint]),
    ]
    return _workspace(name, samples, [float(observed)], observed - background)


def spectrum_workspace(
    model: BinnedModel, counts: ArrayLike, fits: Fits, bins: ArrayLike, name: str = "spectrum"
) -> dict[str, Any]:
    """The bins of a signal region with the background that the sidebands predict.

    Each eigenvector of the covariance of the sideband fit becomes one ``histosys`` that is common to
    all bins; the sidebands themselves are not in the workspace, or they would count twice.

    Parameters
    ----------
    model : BinnedModel
        Of the whole spectrum, with the signal whose events ``signal`` counts.
    counts : array_like
        (bins,) data.
    fits : Fits
        Fit of the sidebands (one spectrum) in the model's parameters.
    bins : array_like
        Mask (bins,) of the signal region.
    """
    inside = np.asarray(bins, bool)
    n = np.asarray(counts, float)
    if inside.shape != (model.bins,) or n.shape != (model.bins,) or not inside.any():
        raise InputError(f"a workspace needs counts and a mask of {model.bins} bins with some of them set")
    parameters = fits.parameters[0]
    background = model.background(parameters)[inside]
    slopes = background_slopes(model, parameters)[inside]
    values, vectors = np.linalg.eigh(fits.background_covariance[0])
    modifiers: list[dict[str, Any]] = []
    for i, (value, vector) in enumerate(zip(values, vectors.T, strict=True)):
        shift = np.sqrt(max(value, 0.0)) * (slopes @ vector)
        data = {"hi_data": _positive(background + shift), "lo_data": _positive(background - shift)}
        modifiers.append({"name": f"{name}_fit{i}", "type": "histosys", "data": data})
    yield_ = {"name": "signal", "type": "normfactor", "data": None}
    samples = [
        _sample("signal", model.signal[inside].tolist(), [yield_]),
        _sample("background", background.tolist(), modifiers),
    ]
    excess = float(n[inside].sum() - background.sum())
    return _workspace(name, samples, n[inside].tolist(), excess / float(model.signal[inside].sum() or 1.0))


def _sample(name: str, data: list[float], modifiers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "data": data, "modifiers": modifiers}


def _workspace(name: str, samples: list[dict[str, Any]], data: list[float], excess: float) -> dict[str, Any]:
    """``excess`` of the data is the signal with which pyhf's fits begin: from far away they end early."""
    # Wide enough for any limit: several times all events.
    bounds = [[0.0, 10.0 * (sum(data) + 10.0)]]
    first = max(float(excess), 1.0)
    measurement = {
        "name": "signal",
        "config": {"poi": "signal", "parameters": [{"name": "signal", "inits": [first], "bounds": bounds}]},
    }
    return {
        "channels": [{"name": name, "samples": samples}],
        "observations": [{"name": name, "data": data}],
        "measurements": [measurement],
        "version": "1.0.0",
    }


def _positive(values: Array) -> list[float]:
    return np.maximum(values, _SMALLEST).tolist()
