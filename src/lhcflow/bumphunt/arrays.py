"""Checked input of everything that takes features and masses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..classifiers.ensemble import one_column
from ..errors import InputError

Array = NDArray[np.float64]


def checked(X: ArrayLike, m: ArrayLike) -> tuple[Array, Array]:
    """Features (n, features) and masses, (n,) or (n, 1), as finite float64 arrays, or an InputError."""
    try:
        X, m = np.asarray(X, float), np.asarray(one_column(m), float)
    except (TypeError, ValueError):
        raise InputError("X and m must be arrays of numbers") from None
    if X.ndim != 2 or X.shape[1] < 1 or m.shape != X.shape[:1]:
        raise InputError(f"need features X (n, features) and mass m (n,), got shapes {X.shape} and {m.shape}")
    for name, bad in (("X", ~np.isfinite(X).all(1)), ("m", ~np.isfinite(m))):
        if bad.any():
            raise InputError(
                f"{name} holds NaN or infinity in {int(bad.sum())} of {len(m)} rows: remove them"
            )
    return X, m
