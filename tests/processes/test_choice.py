"""Choices in proportion to shares."""

import numpy as np

from lhcflow.processes.choice import chosen


def test_evenly_spread_numbers_give_the_shares_exactly() -> None:
    shares = np.array([0.1, 0.0, -3.0, 0.4, 0.5]) * np.logspace(-30, 30, 7)[:, None, None]
    random = (np.arange(1000) + 0.5) / 1000
    for row in shares:
        found = chosen(np.broadcast_to(row, (1000, 5)), random)
        np.testing.assert_array_equal(np.bincount(found, minlength=5), [100, 0, 0, 400, 500])


def test_each_event_has_its_own_shares_and_ends_are_safe() -> None:
    shares = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    for random in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        np.testing.assert_array_equal(chosen(shares, np.full(3, random)), [1, 0, 2])
