"""Numbers that stand for a missing value, such as -999: found and named, for they would count as data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]

_NINES = tuple(10.0**digits - 1 for digits in range(2, 8))
_POWERS = tuple(10.0**digits for digits in range(4, 39))
_NAMED = {-1.0, -9.0, *(-v for v in (*_NINES, *_POWERS)), *_NINES, *_POWERS}
"""Values that files use for "not there": -1, -9, -99, -999, ..., and powers of ten from 10^4 on."""
_DIFFERENT = 0.9
"""Share of different values from which a column is continuous: no value then comes twice by chance."""
_FEW = 10
"""Columns with no more different values are numbers of something or charges, whose -1 means -1."""
_LOOKED_AT = 20_000
_ROUNDING = 0.5
"""GeV. As far below zero the mass of a massless jet may lie whose energy is rounded to float32 (about
sqrt(2^-24) of an energy of 2 TeV)."""


def placeholder(values: Array) -> tuple[float, int] | None:
    """The value in a column (n,) that looks like a placeholder, and how often it comes; None without one.

    It is the smallest or the largest value, one of those that files use ("-999"), and comes repeatedly in a
    column of different numbers, or lies further from the others than they from each other.
    """
    if len(values) < 2:
        return None
    for value in (float(values.min()), float(values.max())):
        if value not in _NAMED:
            continue
        others = values[values != value]
        different = len(np.unique(others[:_LOOKED_AT]))
        if different <= _FEW:
            continue
        count = len(values) - len(others)
        repeated = count > 1 and different > _DIFFERENT * min(len(others), _LOOKED_AT)
        if repeated or np.abs(others - value).min() > np.ptp(others):
            return value, count
    return None


def check_jets(jets: Mapping[str, NDArray[np.generic]], path: str) -> None:
    """Refuse jets with placeholders, negative masses or N-subjettiness, or without transverse momentum.

    Parameters
    ----------
    jets : mapping
        Columns (n,) of both jets, those that are used; see `JetColumns`.
    """
    columns = {name: np.asarray(values, float) for name, values in jets.items()}
    for name, values in columns.items():
        lowest = -_ROUNDING if name.startswith("m") else 0.0
        _refuse_placeholder(name, values, path)
        if name[0] in "mt" and (bad := values < lowest).any():
            _refuse(path, bad, f"have a negative {name} (down to {values.min():.4g})")
    for jet in (1, 2):
        nothing = (columns[f"pxj{jet}"] == 0) & (columns[f"pyj{jet}"] == 0)
        if nothing.any():
            _refuse(path, nothing, f"have no jet {jet} (its transverse momentum is zero)")


def check_features(features: Mapping[str, Array], m: Array, path: str) -> None:
    """Refuse features (n,) and masses (n,) with placeholders, ratios tau21 below zero and masses m <= 0."""
    for name, values in {**features, "m": m}.items():
        _refuse_placeholder(name, values, path)
        if name.startswith("tau") and (bad := values < 0).any():
            _refuse(path, bad, f"have a negative {name} (down to {values.min():.4g})")
    if (bad := m <= 0).any():
        _refuse(path, bad, f"have a mass m that is not positive (down to {m.min():.4g} TeV)")


def _refuse_placeholder(name: str, values: Array, path: str) -> None:
    found = placeholder(values)
    if found is not None:
        value, count = found
        raise InputError(
            f"{path}: {count} of {len(values)} values of {name} are {value:g}, a placeholder for what is not "
            f"there: remove these events, or choose features that don't use {name}"
        )


def _refuse(path: str, bad: NDArray[np.bool_], what: str) -> None:
    raise InputError(f"{path}: {int(bad.sum())} of {len(bad)} events {what}: remove these events")
