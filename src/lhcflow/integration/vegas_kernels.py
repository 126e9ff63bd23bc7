"""The inner loops of VEGAS+: native where there is a native core, numpy otherwise. Same numbers, to rounding.

Points come in groups: a stratum, or a part of a large one. Group ``g`` has ``count[g]`` points in
stratum ``stratum[g]``, each with the weight ``scale[g]`` times the Jacobian of the map.
"""

from __future__ import annotations

import numpy as np

from .._native import core, warn_once

GAMMA = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF


def uniforms(key: int, first: int, count: int) -> np.ndarray:
    """Numbers ``first`` to ``first + count`` of the stream ``key``, uniform in the open interval (0, 1).

    SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the i-th number depends on key and i alone, so any part
    of the stream can be made anywhere, by any number of threads.
    """
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(GAMMA) + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(12)).astype(float) + 0.5) * 2.0**-52


def draw(
    edges: np.ndarray,
    divisions: np.ndarray,
    stratum: np.ndarray,
    count: np.ndarray,
    scale: np.ndarray,
    key: int,
    first: int,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the groups: ``x`` (n, dim), weights (n,) and the bins of the grid they lie in (n, dim)."""
    dim, bins = edges.shape[0], edges.shape[1] - 1
    n = int(count.sum())
    if core is not None:
        x, weight, index = np.empty((n, dim)), np.empty(n), np.empty((n, dim), dtype=np.uint16)
        core.vegas_draw(edges, divisions, stratum, count, scale, key, first, x, weight, index, threads)
        return x, weight, index
    warn_once()
    u = uniforms(key, first * dim, n * dim).reshape(n, dim)
    place, rest = np.empty((len(stratum), dim)), stratum.copy()
    for d in range(dim):
        place[:, d] = rest % divisions[d]
        rest //= divisions[d]
    position = (np.repeat(place, count, axis=0) + u) * (bins / divisions)
    index = np.minimum(position.astype(np.int64), bins - 1)
    rows = np.arange(dim)
    left, right = edges[rows, index], edges[rows, index + 1]
    weight = ((right - left) * bins).prod(axis=1) * np.repeat(scale, count)
    return left + (position - index) * (right - left), weight, index.astype(np.uint16)


def accumulate(
    values: np.ndarray,
    weight: np.ndarray,
    index: np.ndarray,
    stratum: np.ndarray,
    count: np.ndarray,
    sizes: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    moments: np.ndarray,
    histogram: np.ndarray,
) -> None:
    """Add the groups' contributions to the sums of an iteration, in place.

    Parameters
    ----------
    values : ndarray
        (n, m) of the integrand.
    weight, index : ndarray
        Of the points, from `draw`.
    stratum, count : ndarray
        Of the groups; ``sizes`` (groups,): all points in the stratum of each group.
    mean, covariance : ndarray
        (m,), (m, m): the estimate and its covariance.
    moments : ndarray
        (strata, 3), of the first component within each stratum, in units of the integral's share: sum of
        n_h^2 / (n_h - 1) (w f - mean)^2, sum of |w f|, largest n_h |w f|.
    histogram : ndarray
        (dim, bins, 2): sum of (n_h w f)^2 and number of points in each bin of the grid.
    """
    if core is not None:
        core.vegas_accumulate(
            values, weight, index, stratum, count, sizes, mean, covariance, moments, histogram
        )
        return
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    weighted = values * weight[:, None]
    sums = np.add.reduceat(weighted, starts, axis=0)
    deviation = weighted - np.repeat(sums / count[:, None], count, axis=0)
    # A group's mean has the variance n / (n - 1) sum of squares: the weights contain 1/n.
    factor = np.repeat(count / np.maximum(count - 1, 1), count)
    mean += sums.sum(axis=0)
    covariance += (deviation * factor[:, None]).T @ deviation
    spread = np.add.reduceat(factor * deviation[:, 0] ** 2, starts)
    np.add.at(moments[:, 0], stratum, spread * sizes)
    absolute = np.abs(weighted[:, 0])
    np.add.at(moments[:, 1], stratum, np.add.reduceat(absolute, starts))
    scaled = absolute * np.repeat(sizes, count)
    np.maximum.at(moments[:, 2], stratum, np.maximum.reduceat(scaled, starts))
    training = scaled**2
    bins = histogram.shape[1]
    for d in range(index.shape[1]):
        histogram[d, :, 0] += np.bincount(index[:, d], training, minlength=bins)
        histogram[d, :, 1] += np.bincount(index[:, d], minlength=bins)
