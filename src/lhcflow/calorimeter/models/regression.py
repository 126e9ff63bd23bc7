"""Ridge regressions in closed form or a few Newton steps: probabilities, means and variances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.floating[Any]]
Loss = Callable[[Array], tuple[float, Array, Array]]
_ITERATIONS = 40
_ENOUGH = 0.02  # of log likelihood: a small part of one coefficient's uncertainty


def logistic(x: Array, y: Array, ridge: Array, offset: Array | None = None, weight: float = 1.0) -> Array:
    """Coefficients (k,) of P(hit) = sigmoid(x b + offset), by Newton's method.

    Parameters
    ----------
    x : Array
        Features (n, k).
    y : Array
        (n,) shares of hits, 0 to 1.
    ridge : Array
        (k,) inverse prior variances of the coefficients.
    offset : Array, optional
        (n,) known part of the log-odds.
    weight : float
        Number of trials behind each row.
    """
    b = np.zeros(x.shape[1])
    known = np.zeros(len(y)) if offset is None else offset
    if offset is None and y.size:  # start at the mean
        mean = np.clip(y.mean(), 1e-4, 1 - 1e-4)
        b[0] = np.log(mean / (1 - mean))

    def loss(odds: Array) -> tuple[float, Array, Array]:
        p = expit(odds + known)
        value = weight * float(np.sum(np.logaddexp(0.0, odds + known) - y * (odds + known)))
        return value, weight * (p - y), weight * p * (1 - p) + 1e-9

    return _newton(x, b, np.zeros_like(b), ridge, loss)


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
    """Coefficients (k,) of log sigma = x b for residuals (n,) ~ N(0, sigma^2), by Newton's method.

    The ridge pulls towards one sigma for all rows.
    """
    b = np.zeros(x.shape[1])
    if not len(residual):
        return b
    b[0] = 0.5 * np.log(np.mean(residual**2) + 1e-9)

    def loss(logs: Array) -> tuple[float, Array, Array]:
        squares = residual**2 * np.exp(-2 * np.clip(logs, -30.0, 30.0))
        return float(np.sum(logs + 0.5 * squares)), 1 - squares, 2 * squares + 1e-9

    return _newton(x, b, b, ridge, loss)


def _newton(x: Array, b: Array, prior: Array, ridge: Array, loss: Loss) -> Array:
    """The least of a convex loss of x b plus ridge (b - prior)^2 / 2.

    ``loss`` gives, for predictors (n,), its value and its first and second derivatives (n,). Steps and
    their end are measured in the loss, not in the coefficients, of which some may be all but collinear.
    """

    def at(b: Array) -> tuple[float, Array, Array]:
        value, slope, bend = loss(x @ b)
        return value + float(0.5 * ridge @ (b - prior) ** 2), slope, bend

    value, slope, bend = at(b)
    for _ in range(_ITERATIONS):
        gradient = x.T @ slope + ridge * (b - prior)
        step = np.linalg.solve((x * bend[:, None]).T @ x + np.diag(ridge), -gradient)
        gain, size = -float(gradient @ step), 1.0
        if gain < _ENOUGH:
            break
        trial, new = b, value
        while size > 1e-6:
            trial = b + size * step
            new, slope, bend = at(trial)
            if new <= value - 1e-4 * size * gain:
                break
            size /= 2
        b, value = trial, new
    return b
