"""Maximum-likelihood fits of one model to many spectra at once: Fisher scoring, vectorised over spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from ...errors import InputError
from .model import BinnedModel
from .spectrum import Array

_CHUNK = 2000
"""Spectra fitted together: the work arrays then stay in the cache."""
_MOST_STEPS, _MOST_HALVINGS = 2000, 30
"""With 25 events and five parameters the minimum can lie so far away that a third of the fits takes more than
100 steps; they were above the minimum of -2 log L by up to 6. All of a thousand converged in 1500."""
_ACCURACY = 1e-7
"""Fits end when a step promises, or brought, less than this in -2 log L."""
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Fits:
    """Fits of n spectra.

    Attributes
    ----------
    parameters : Array
        (n, parameters) of the background.
    yields : Array
        (n,) signal events.
    deviance : Array
        (n,) -2 log L relative to the saturated model, "Poisson chi2" (Baker and Cousins 1984).
    expected : Array
        (n, bins) fitted counts.
    covariance : Array
        (n, k, k) of the free parameters, the yield last where it is free; inverse of Fisher's information.
    converged : ndarray
        (n,) False where the most steps were not enough.
    free_yield : bool
        Whether the yield was fitted.
    """

    parameters: Array
    yields: Array
    deviance: Array
    expected: Array
    covariance: Array
    converged: NDArray[np.bool_]
    free_yield: bool

    @property
    def yield_error(self) -> Array:
        """Error (n,) of the yield; zero where it was fixed."""
        if not self.free_yield:
            return np.zeros(len(self.yields))
        return np.sqrt(self.covariance[:, -1, -1])

    @property
    def background_covariance(self) -> Array:
        """Covariance (n, parameters, parameters) of the background's parameters."""
        k = self.parameters.shape[1]
        return self.covariance[:, :k, :k]


def fit(
    model: BinnedModel,
    counts: ArrayLike,
    yields: ArrayLike | None = None,
    start: Fits | None = None,
) -> Fits:
    """Fit a model to spectra.

    Parameters
    ----------
    model : BinnedModel
        The model.
    counts : array_like
        (n, bins), or (bins,) for one spectrum.
    yields : array_like, optional
        The signal events, one number or (n,), kept fixed; None to fit them too (if the model has a signal).
        They may become negative as far as all expected counts stay positive.
    start : Fits, optional
        Earlier fits of the same n spectra, from which the search starts.

    Raises
    ------
    InputError
        If the spectrum does not fit to the model, or is empty.
    """
    n = np.atleast_2d(np.asarray(counts, float))
    if n.shape[1] != model.bins:
        raise InputError(f"the model has {model.bins} bins, the spectrum {n.shape[1]}")
    if model.parameters and not np.all(n.sum(1) > 0):
        raise InputError("an empty spectrum can't be fitted: there are no events in the range")
    free = yields is None and bool(model.signal.any())
    fixed = (
        np.zeros(len(n))
        if yields is None
        else np.broadcast_to(np.asarray(yields, float), len(n)).astype(float)
    )
    p = _first_guess(model, n) if start is None else start.parameters
    s = start.yields.copy() if free and start is not None and start.free_yield else fixed
    parts = [
        _Search(model, n[c], p[c], s[c], free).run()
        for c in (slice(i, i + _CHUNK) for i in range(0, len(n), _CHUNK))
    ]
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Fits(*joined, free_yield=free)  # type: ignore[arg-type]


def deviance(counts: Array, expected: Array) -> Array:
    """``2 sum [mu - n + n log(n / mu)]`` over the last axis; infinite where a ``mu`` is not positive."""
    positive = expected > 0
    mu = np.where(positive, expected, 1.0)
    # Near mu = n the difference of n log(n / mu) and n - mu loses digits, which large counts need.
    seen = np.where(counts > 0, counts, 1.0)
    ratio = (mu - counts) / seen
    near = (counts > 0) & (np.abs(ratio) < 0.1)
    # An expectation of 1e-305 is infinitely far from a count, and so it says.
    with np.errstate(over="ignore"):
        logarithm = np.where(near, -counts * np.log1p(np.where(near, ratio, 0.0)), xlogy(counts, seen / mu))
    terms = (mu - counts) + logarithm
    return np.where(positive.all(-1), 2 * terms.sum(-1), np.inf)


class _Search:
    """Spectra on their way to the minimum. Arrays have the spectra on the last axis, as BLAS likes them."""

    def __init__(self, model: BinnedModel, counts: Array, p: Array, s: Array, free: bool) -> None:
        self.model, self.free = model, free
        self.n = np.ascontiguousarray(counts.T)
        self.p, self.s = np.ascontiguousarray(p.T), s.copy()
        bins, nodes, k = model.design.shape
        self.flat = model.design.reshape(bins * nodes, k)
        self.turned = np.ascontiguousarray(model.design.transpose(0, 2, 1))

    def run(self) -> tuple[Array, ...]:
        """Parameters, yields, deviance, expected, covariance, converged."""
        every = np.arange(self.n.shape[1])
        at_nodes, mu = self._expected(self.p, self.s)
        objective = deviance(self.n.T, mu.T)
        converged = np.zeros(len(every), dtype=bool)
        active = every
        for _ in range(_MOST_STEPS):
            gradient, fisher = self._slopes(at_nodes[..., active], mu[:, active], self.n[:, active])
            step = _solve(fisher, gradient)
            promise = np.einsum("ik,ik->i", step, gradient)
            done = promise < _ACCURACY
            converged[active[done]] = True
            active, step = active[~done], step[~done]
            if len(active) == 0:
                break
            gain = self._move(active, step, at_nodes, mu, objective)
            stuck = gain < _ACCURACY
            converged[active[stuck]] = True
            active = active[~stuck]
            if len(active) == 0:
                break
        fisher = self._slopes(at_nodes, mu, self.n)[1]
        return self.p.T, self.s, objective, mu.T, _inverse(fisher), converged

    def _move(
        self, active: NDArray[np.int64], step: Array, at_nodes: Array, mu: Array, objective: Array
    ) -> Array:
        """Take steps, halved until they lead downhill; returns by how much."""
        gain = np.zeros(len(active))
        waiting, size = np.arange(len(active)), 1.0
        k = self.p.shape[0]
        for _ in range(_MOST_HALVINGS):
            rows = active[waiting]
            p = self.p[:, rows] + size * step[waiting, :k].T
            s = self.s[rows] + size * step[waiting, k] if self.free else self.s[rows]
            nodes, expected = self._expected(p, s)
            # No bin may lose more than 95 % of its expectation in one step: the border is never reached.
            allowed = (expected > 0.05 * mu[:, rows]).all(0)
            value = np.where(allowed, deviance(self.n[:, rows].T, expected.T), np.inf)
            better = value <= objective[rows] + 1e-12
            chosen = rows[better]
            gain[waiting[better]] = objective[chosen] - value[better]
            self.p[:, chosen], self.s[chosen] = p[:, better], s[better]
            at_nodes[..., chosen], mu[:, chosen] = nodes[..., better], expected[:, better]
            objective[chosen] = value[better]
            waiting, size = waiting[~better], size / 2
            if len(waiting) == 0:
                break
        return gain

    def _expected(self, p: Array, s: Array) -> tuple[Array, Array]:
        """Background at the nodes (bins, nodes, n), and expected counts (bins, n)."""
        bins, nodes, _ = self.model.design.shape
        exponent = (self.flat @ p).reshape(bins, nodes, -1) + self.model.offset[..., None]
        at_nodes = np.exp(np.minimum(exponent, 50.0))
        return at_nodes, at_nodes.sum(1) + s * self.model.signal[:, None]

    def _slopes(self, at_nodes: Array, mu: Array, counts: Array) -> tuple[Array, Array]:
        """Minus half the gradient (n, k) of the deviance, and Fisher's information (n, k, k)."""
        jacobian = self.turned @ at_nodes  # (bins, parameters, n)
        if self.free:
            column = np.broadcast_to(self.model.signal[:, None, None], (len(mu), 1, mu.shape[1]))
            jacobian = np.concatenate([jacobian, column], axis=1)
        gradient = np.einsum("bkn,bn->nk", jacobian, counts / mu - 1)
        k = jacobian.shape[1]
        fisher = np.empty((mu.shape[1], k, k))
        weighted = jacobian / mu[:, None]
        for i in range(k):
            for j in range(i + 1):
                fisher[:, i, j] = fisher[:, j, i] = np.einsum("bn,bn->n", weighted[:, i], jacobian[:, j])
        return gradient, fisher


def _first_guess(model: BinnedModel, counts: Array) -> Array:
    """Parameters (n, k) of a straight fit to the logarithms of the counts, weighted by the counts."""
    weight = counts + 0.5
    # The sum over nodes is approximated by its value at the mean of the design.
    x = model.design.mean(1)
    y = np.log(weight) - np.log(np.exp(model.offset).sum(1))
    fisher = np.einsum("nb,bi,bj->nij", weight, x, x)
    right = np.einsum("nb,bi,nb->ni", weight, x, y)
    return _solve(fisher, right)


def _solve(matrix: Array, right: Array) -> Array:
    """``matrix^-1 right`` for (n, k, k) and (n, k), with a ridge where a matrix is nearly singular."""
    scale = np.sqrt(np.maximum(np.einsum("nii->ni", matrix), _TINY))
    unit = matrix / (scale[:, :, None] * scale[:, None, :])
    unit = unit + 1e-12 * np.eye(matrix.shape[-1])
    return np.linalg.solve(unit, (right / scale)[..., None])[..., 0] / scale


def _inverse(matrix: Array) -> Array:
    scale = np.sqrt(np.maximum(np.einsum("nii->ni", matrix), _TINY))
    unit = matrix / (scale[:, :, None] * scale[:, None, :])
    return np.linalg.inv(unit + 1e-12 * np.eye(matrix.shape[-1])) / (scale[:, :, None] * scale[:, None, :])
