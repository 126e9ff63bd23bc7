"""Cuts on a score, chosen by the share of background that they keep and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError

_LEAST_REFERENCE = 10


def passes(efficiency: ArrayLike, working_point: float) -> NDArray[np.bool_]:
    """Whether events pass a cut that keeps a share ``working_point`` of the background.

    Parameters
    ----------
    efficiency : array_like
        (n,) `CrossFit.efficiency`: the share of background at least as signal-like.
    working_point : float
        In (0, 1]; 1 keeps all.
    """
    if not 0 < working_point <= 1:
        raise InputError(f"a working point is a background efficiency in (0, 1], got {working_point}")
    values = np.asarray(efficiency, float)
    return np.ones(values.shape, bool) if working_point == 1 else values < working_point


def checked_points(points: Sequence[float], reference: int | None = None) -> list[float]:
    """Different working points in the order given; InputError if one of them can't be used.

    Parameters
    ----------
    points : sequence of float
        Background efficiencies.
    reference : int, optional
        Number of background events on whose scores the cuts rest, where it is known already.
    """
    for point in points:
        if not 0 < point < 1:
            raise InputError(f"a working point is a background efficiency in (0, 1), got {point:g}")
        if reference is not None and point * reference < _LEAST_REFERENCE:
            least = _LEAST_REFERENCE / max(reference, 1)
            digit = 10.0 ** math.floor(math.log10(least))
            raise InputError(
                f"the working point {point:g} keeps {point * reference:.2g} of {reference} background events:"
                f" choose at least {math.ceil(least / digit - 1e-9) * digit:g}"
            )
    return list(dict.fromkeys(points))
