"""Shares of channels, or of categories of them, that suit an integrand."""

from __future__ import annotations

import numpy as np

LEAST = 0.02  # share of a category, relative to an even one


def improved_shares(
    shares: np.ndarray,
    category: np.ndarray,
    members: np.ndarray,
    densities: np.ndarray,
    squares: np.ndarray,
) -> np.ndarray:
    """Shares with a smaller variance, by one iteration of Kleiss and Pittau (hep-ph/9405257, section 3).

    alpha_k -> alpha_k sqrt(W_k), W_k the mean of g_k / g * weight^2. None becomes smaller than `LEAST` of an
    even one: it may be the only one to reach a corner.

    Parameters
    ----------
    shares : array (categories,)
        Those that the points were drawn with, alpha.
    category : array (n, channels)
        Numbers of the categories that the channels belong to, at each point.
    members : array (categories,)
        How many channels a category stands for, evenly.
    densities : array (n, channels)
        Of the points in each channel.
    squares : array (n,)
        weight^2, over the number of all points.

    Returns
    -------
    ndarray
        Array (categories,), sum 1
    """
    each = densities / members[category]
    ratio = squares / (shares[category] * each).sum(axis=1)
    variance = np.bincount(category.ravel(), (each * ratio[:, None]).ravel(), minlength=len(shares))
    new = shares * np.sqrt(variance)
    new = np.maximum(new / new.sum(), LEAST / len(new))
    return new / new.sum()
