"""Ridge regressions in closed form or a few Newton steps: probabilities, means and variances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.floating[Any]]


def logistic(x: Array, y: Array, ridge: Array, offset: Array | None = None, weight: float = 1.0) -> Array:
    """Coefficients (k,) of P(hit) = sigmoid(x b + offset), by Newton's method.

    Parameters
    ----------
    x : features (n, k).
    y : (n,) shares of hits, 0 to 1.
    ridge : (k,) inverse prior variances of the coefficients.
    offset : (n,) known part of the log-odds.
    weight : number of trials behind each row.
    """
    b = np.zeros(x.shape[1])
    known = np.zeros(len(y)) if offset is None else offset
    if offset is None and y.size:  # start at the mean
        mean = np.clip(y.mean(), 1e-4, 1 - 1e-4)
        b[0] = np.log(mean / (1 - mean))
    for _ in range(20):
        p = expit(x @ b + known)
        gradient = weight * (x.T @ (y - p)) - ridge * b
        curvature = (x * (weight * p * (1 - p) + 1e-9)[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        b += step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 3e-3:
            break
    return b


def linear(x: Array, y: Array, ridge: Array) -> Array:
    """Coefficients (k,) of y = x b + noise; the noise's variance, which scales the ridge, comes from a
    first fit.
    """
    if not len(y):
        return np.zeros(x.shape[1])
    gram, target = x.T @ x, x.T @ y
    b = np.linalg.solve(gram + np.diag(ridge), target)
    variance = max(float(np.mean((y - x @ b) ** 2)), 1e-6)
    return np.linalg.solve(gram + variance * np.diag(ridge), target)


def log_scale(x: Array, residual: Array, ridge: Array) -> Array:
    """Coefficients (k,) of log sigma = x b for residuals (n,) ~ N(0, sigma^2), by Fisher scoring.

    The ridge pulls towards one sigma for all rows.
    """
    b = np.zeros(x.shape[1])
    if not len(residual):
        return b
    b[0] = 0.5 * np.log(np.mean(residual**2) + 1e-9)
    information = 2 * (x.T @ x) + np.diag(ridge)
    prior = b.copy()
    for _ in range(12):
        squares = np.minimum(residual**2 * np.exp(-2 * (x @ b)), 30.0)  # for the first steps
        step = np.linalg.solve(information, x.T @ (squares - 1) - ridge * (b - prior))
        b += step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
    return b
