"""Helpers for the tests of flows."""

from collections.abc import Callable

import pytest
from torch import nn

from randomized import randomized


@pytest.fixture(scope="session")
def randomize() -> Callable[..., nn.Module]:
    """:func:`randomized`, for tests of flows away from the identity."""
    return randomized
