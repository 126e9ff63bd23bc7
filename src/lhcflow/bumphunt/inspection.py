"""What is wrong with a sample as a whole: events that come twice, and features that say nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .datasets import Events

Array = NDArray[np.float64]

_BEYOND = 10.0
"""So many times the repetitions that independent columns would have by chance are beyond chance. Columns of
rounded numbers that depend on each other have more than independent ones."""
_DEPENDENT = 1e-10
"""Share of a feature's variance that the others don't explain, below which it is a linear function of them:
rounding to float32 leaves 1e-14."""


def repeated(events: Events) -> int:
    """Number of events that repeat another one exactly, in all features and m, beyond chance.

    With a continuous feature two events never agree. With rounded ones they may: where the chance that two
    events agree, the product of those of the columns, explains a tenth of the repetitions, the number is 0.
    """
    return _beyond_chance(_rows(events))


def common(first: Events, second: Events) -> int:
    """Number of events that two samples with the same features share, beyond chance."""
    a, b = _rows(first), _rows(second)
    both = np.concatenate([a, b])
    shared = _repetitions(both) - _repetitions(a) - _repetitions(b)
    return shared if shared > _BEYOND * _chance(both) else 0


def constant_features(events: Events) -> list[str]:
    """Names of the features that have one value only."""
    if not len(events):
        return []
    return [n for n, x in zip(events.names, events.features.T, strict=True) if not np.ptp(x) > 0]


def dependent_features(events: Events) -> list[str]:
    """Names of features of which one is a linear function of the others; empty if there are none.

    Examples
    --------
    >>> masses = np.random.default_rng(0).random((100, 2))
    >>> x = np.c_[masses, masses[:, 1] - masses[:, 0], np.random.default_rng(1).random(100)]
    >>> dependent_features(Events(x, np.ones(100), ("mJ1", "mJ2", "dmJ", "tau21J1")))
    ['mJ1', 'mJ2', 'dmJ']
    """
    if len(events) <= len(events.names) or constant_features(events):
        return []
    x = events.features - events.features.mean(0)
    values, vectors = np.linalg.eigh(np.corrcoef(x, rowvar=False).reshape(x.shape[1], x.shape[1]))
    if values[0] > _DEPENDENT:
        return []
    return [name for name, weight in zip(events.names, vectors[:, 0], strict=True) if abs(weight) > 1e-3]


def _rows(events: Events) -> Array:
    return np.ascontiguousarray(np.c_[events.features, events.m])


def _beyond_chance(rows: Array) -> int:
    count = _repetitions(rows)
    return count if count > _BEYOND * _chance(rows) else 0


def _repetitions(rows: Array) -> int:
    """Number of rows that equal an earlier one."""
    return len(rows) - len(_distinct(rows))


def _distinct(rows: Array) -> Array:
    """The rows without their repetitions, in some order."""
    # Rows that differ in the last column, the mass, differ: few are left to compare.
    order = np.argsort(rows[:, -1], kind="stable")
    same = np.diff(rows[order, -1]) == 0
    doubtful = np.append(same, False) | np.append(False, same)
    alone = rows[order[~doubtful]]
    return np.concatenate([alone, np.unique(rows[order[doubtful]], axis=0)]) if doubtful.any() else rows


def _chance(rows: Array) -> float:
    """Expected number of pairs of events that agree in all columns, were these independent."""
    n = len(rows)
    return 0.5 * n * (n - 1) * float(np.prod([_agreement(column) for column in rows.T])) if n > 1 else 0.0


def _agreement(column: Array) -> float:
    """Chance that two events agree in a column (n,)."""
    counts = np.unique(column, return_counts=True)[1].astype(float)
    n = len(column)
    return float(np.sum(counts * (counts - 1)) / (n * (n - 1)))
