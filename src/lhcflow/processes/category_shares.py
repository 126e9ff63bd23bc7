"""Shares of channels and groups of partonic channels that suit the integrand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .hadronic import HadronicCrossSection

ITERATIONS = 5
LEAST = 0.02  # share of a category, relative to an even one


def optimised_shares(
    integrand: HadronicCrossSection,
    seed: int | np.random.SeedSequence,
    points: int,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """Shares of the categories with a small variance, found before any other adaptation.

    Iterates alpha_k -> alpha_k sqrt(W_k), W_k the mean of g_k / g * weight^2
    (Kleiss, Pittau, hep-ph/9405257, section 3). None becomes smaller than `LEAST` of an even one: it may
    be the only one to reach a corner.

    Returns
    -------
    array (categories,), sum 1
    """
    rng = np.random.default_rng(seed)
    alpha = integrand.weights
    for _ in range(iterations):
        trial = integrand.with_weights(alpha)
        u = rng.random((points, trial.dim))
        momenta, weight = trial.evaluate(u)
        good = np.flatnonzero(weight != 0)
        if not len(good):
            break
        row = np.array([g or 0 for g, _ in trial.categories])[trial.category(u[good])]
        densities = trial.phase_space.densities(trial.in_phase_space(momenta[good]))
        square = weight[good] ** 2 / np.einsum("nc,nc->n", densities, trial.shares()[row])
        variance = np.zeros(len(alpha))
        category = trial.category_of[row]
        np.add.at(variance, category, densities / trial.members[category] * square[:, None])
        alpha = alpha * np.sqrt(variance / points)
        alpha = np.maximum(alpha / alpha.sum(), LEAST / len(alpha))
        alpha = alpha / alpha.sum()
    return alpha
