"""Choices among alternatives whose shares differ from event to event."""

import numpy as np


def chosen(shares: np.ndarray, random: np.ndarray) -> np.ndarray:
    """Column numbers (n,) in proportion to `shares` (n, k), of which negative ones count as zero.

    Parameters
    ----------
    random : array (n,)
        Uniform in [0, 1).
    """
    cumulative = np.cumsum(np.maximum(shares, 0), axis=1)
    columns = (cumulative <= (random * cumulative[:, -1])[:, None]).sum(axis=1)
    return np.minimum(columns, shares.shape[1] - 1)
