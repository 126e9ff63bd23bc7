"""All evaluations of the integrand so far, each used in every later step of the adaptation."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from .proposal import Proposal


class SampleBuffer:
    """Points from several proposals with the integrand's values, as one sample of their mixture.

    The mixture ``Q = sum_s (n_s / n) q_s`` of all proposals that gave points is evaluated at all points
    (balance heuristic; Veach and Guibas, SIGGRAPH 1995; deterministic mixture of Cornuet et al.,
    0907.1254): ``mean(g / Q)`` estimates ``int g`` without the outliers that a single narrow proposal
    makes, and no evaluation is ever thrown away.

    Attributes
    ----------
    x : ndarray, shape (n, dim)
        (n, dim) points.
    log_f : ndarray, shape (n,)
        (n,) logarithm of the absolute value of the integrand, -inf where it vanishes.
    """

    def __init__(self, dim: int) -> None:
        self.x: Float[np.ndarray, "n dim"] = np.empty((0, dim))
        self.log_f: Float[np.ndarray, " n"] = np.empty(0)
        self.proposals: list[Proposal] = []
        self._counts: list[int] = []
        self._log_mixture: Float[np.ndarray, " n"] = np.empty(0)  # log sum_s n_s q_s

    def __len__(self) -> int:
        return len(self.x)

    def add(self, x: Float[np.ndarray, "k dim"], values: Float[np.ndarray, " k"], proposal: Proposal) -> None:
        """Add points ``x`` that were drawn from ``proposal``, with the integrand's ``values``."""
        with np.errstate(divide="ignore"):
            log_f = np.log(np.abs(values))
        log_mixture = np.full(len(x), -np.inf)
        for count, earlier in zip(self._counts, self.proposals, strict=True):
            log_mixture = np.logaddexp(log_mixture, math.log(count) + _log_density(earlier, x))
        self.x = np.concatenate([self.x, x])
        self.log_f = np.concatenate([self.log_f, log_f])
        self._log_mixture = np.concatenate([self._log_mixture, log_mixture])
        self._log_mixture = np.logaddexp(
            self._log_mixture, math.log(max(len(x), 1)) + _log_density(proposal, self.x)
        )
        self.proposals.append(proposal)
        self._counts.append(len(x))

    @property
    def log_density(self) -> Float[np.ndarray, " n"]:
        """Logarithm of the mixture's density (n,) at the points."""
        return self._log_mixture - math.log(len(self))

    def log_weights(self, beta: float = 1.0) -> Float[np.ndarray, " n"]:
        """Logarithm of ``|f|^beta / Q`` (n,); -inf where the integrand vanishes, also for beta = 0."""
        # 0 * -inf would be nan.
        power = np.where(np.isneginf(self.log_f), -np.inf, beta * np.maximum(self.log_f, -1e300))
        return power - self.log_density

    def log_integral(self, beta: float = 1.0) -> float:
        """Logarithm of the estimate of ``int |f|^beta``."""
        return float(np.logaddexp.reduce(self.log_weights(beta))) - math.log(len(self))

    def effective_share(self, beta: float = 1.0) -> float:
        """Kish's effective sample size ``(sum w)^2 / sum w^2`` for ``|f|^beta``, as a share of all points."""
        return effective_share(self.log_weights(beta))

    def temperature(self, share: float, lowest: float = 0.0) -> float:
        """The largest ``beta <= 1`` that leaves an effective share of at least ``share``, by bisection.

        ``lowest`` where not even that does.
        """
        if self.effective_share(1.0) >= share:
            return 1.0
        low, high = lowest, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if self.effective_share(middle) >= share else (low, middle)
        return low


def effective_share(log_weights: Float[np.ndarray, " n"]) -> float:
    """``(sum w)^2 / (n sum w^2)`` from the logarithms of the weights (n,); 0 if all vanish."""
    top = log_weights.max(initial=-np.inf)
    if not np.isfinite(top):
        return 0.0
    w = np.exp(log_weights - top)
    return float(w.sum() ** 2 / (w @ w) / len(w))


def _log_density(proposal: Proposal, x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(proposal.density(x))
