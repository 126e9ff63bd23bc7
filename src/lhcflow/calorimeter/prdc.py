"""Precision, recall, density and coverage by nearest neighbours (1904.06991, 2002.09797)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

# Distances that exist at once.
_CHUNK = 8_000_000


@dataclass(frozen=True)
class Prdc:
    """Precision, recall, density, coverage, and the numbers of events of each sample."""

    precision: float
    recall: float
    density: float
    coverage: float
    samples: tuple[int, int]
    neighbours: int


def prdc(
    real: ArrayLike,
    generated: ArrayLike,
    neighbours: int = 5,
    *,
    samples: int | None = 10_000,
    seed: int = 0,
) -> Prdc:
    """Compare the supports of two samples.

    Around each event lies a ball that reaches its ``neighbours``-th neighbour in its own sample. Precision:
    share of generated events in at least one ball of a real event; recall: the reverse; density: mean number
    of real balls a generated event lies in, over ``neighbours``; coverage: share of real balls that hold a
    generated event. For equal distributions density is 1 and coverage 1 - 2^-neighbours (for many events);
    precision and recall depend on the dimension.

    Parameters
    ----------
    real, generated : array_like
        (n, dim) and (m, dim).
    neighbours : int
        5 in the CaloChallenge.
    samples : int, optional
        At most so many events of each sample, drawn at random; None for all. The cost grows with the square.
    seed : int
        Of that choice.
    """
    x, y = _checked(real, generated, neighbours)
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0xD15)))
    if samples is not None:
        x, y = (s[np.sort(rng.permutation(len(s))[:samples])] for s in (x, y))
    # Centred, since float32 loses what the differences of large numbers say.
    centre = x.mean(0, dtype=np.float64).astype(np.float32)
    x, y = x - centre, y - centre
    real_radius, generated_radius = _radii(x, neighbours), _radii(y, neighbours)
    precise = np.zeros(len(y), bool)
    count = np.zeros(len(y), np.int64)
    recalled = np.empty(len(x), bool)
    covered = np.empty(len(x), bool)
    for rows, distance in _distances(x, y):
        inside = distance < real_radius[rows, None]
        precise |= inside.any(0)
        count += inside.sum(0)
        recalled[rows] = (distance < generated_radius).any(1)
        covered[rows] = inside.any(1)
    return Prdc(
        precision=float(precise.mean()),
        recall=float(recalled.mean()),
        density=float(count.mean() / neighbours),
        coverage=float(covered.mean()),
        samples=(len(x), len(y)),
        neighbours=neighbours,
    )


def _checked(
    real: ArrayLike, generated: ArrayLike, neighbours: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.asarray(real, np.float32), np.asarray(generated, np.float32)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise InputError(f"prdc needs samples (n, dim) of one dimension, got {x.shape} and {y.shape}")
    if neighbours < 1 or min(len(x), len(y)) <= neighbours:
        raise InputError(f"prdc with {neighbours} neighbours needs more events than {len(x)} and {len(y)}")
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise InputError("the inputs of prdc hold NaN or infinity")
    return x, y


def _radii(x: NDArray[np.float32], neighbours: int) -> NDArray[np.float32]:
    """Squared distance (n,) of each event to its ``neighbours``-th neighbour, itself not counted."""
    radius = np.empty(len(x), np.float32)
    for rows, distance in _distances(x, x):
        distance[np.arange(len(distance)), np.arange(len(x))[rows]] = -1.0
        radius[rows] = np.partition(distance, neighbours, axis=1)[:, neighbours]
    return radius


def _distances(x: NDArray[np.float32], y: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Squared distances of rows of ``x`` to all of ``y``, a block of rows at a time."""
    square_x, square_y = (np.einsum("ij,ij->i", s, s) for s in (x, y))
    step = max(_CHUNK // len(y), 1)
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        distance = x[rows] @ y.T
        distance *= -2.0
        distance += square_x[rows, None]
        distance += square_y
        yield rows, distance
