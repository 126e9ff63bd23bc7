"""Shares of categories for integrands whose best shares are known."""

import numpy as np

from lhcflow.processes.category_shares import LEAST, improved_shares


def iterated(integral: list[float], shares: list[float]) -> np.ndarray:
    """One iteration for three channels, even on an interval of width 1 each, of which the last two are one
    category; ``integral`` of each channel. Points stand for the density in the middle of thin slices.
    """
    place = (np.arange(3000) + 0.5) / 1000
    densities = (place[:, None].astype(int) == np.arange(3)).astype(float)
    category = np.broadcast_to([0, 1, 1], densities.shape)
    members = np.array([1, 2])
    alpha = np.array(shares)
    density = densities @ (alpha / members)[[0, 1, 1]]
    weight = densities @ np.array(integral) / density
    # A sum over slices of width 1/1000 stands for one over points drawn with the density.
    return improved_shares(alpha, category, members, densities, weight**2 * density / 1000)


def test_one_iteration_finds_the_integrals_of_channels_that_do_not_overlap() -> None:
    np.testing.assert_allclose(iterated([0.7, 0.15, 0.15], [0.5, 0.5]), [0.7, 0.3], rtol=1e-12)


def test_best_shares_stay() -> None:
    """With unequal members the best shares are proportional to the root of the mean square."""
    expected = np.array([0.6, 0.4 * np.sqrt(2 * (0.1**2 + 0.3**2)) / 0.4])
    found = iterated([0.6, 0.1, 0.3], list(expected / expected.sum()))
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-12)


def test_no_category_is_closed() -> None:
    np.testing.assert_allclose(iterated([1.0, 0.0, 0.0], [0.5, 0.5])[1], LEAST / 2 / (1 + LEAST / 2))
