"""Frechet and kernel physics distances (2211.10295)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

# Numbers of a kernel matrix that exist at once.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Distance:
    """A distance, its error, and the numbers of events it was measured with."""

    value: float
    error: float
    samples: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.value:.2e} ± {self.error:.2e}"


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Squared 2-Wasserstein distance of the normal distributions with the moments of ``x`` and ``y``.

    Parameters
    ----------
    x, y : array_like
        Samples (n, features) and (m, features).
    """
    a, b = _pair(x, y)
    return _frechet(a.mean(0), _covariance(a), b.mean(0), _covariance(b))


def fpd(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    min_samples: int | None = None,
    max_samples: int | None = None,
    batches: int = 20,
    points: int = 10,
    seed: int = 42,
) -> Distance:
    """The Frechet physics distance: the Frechet distance extrapolated to infinitely many events.

    Features are divided by their largest absolute value in the real sample. The distance is measured in
    ``batches`` batches, drawn with replacement, of each of ``points`` sizes, evenly spaced in 1/size, and a
    line through the means gives the value at 1/size = 0, which is not allowed to be negative.

    Parameters
    ----------
    real, generated : array_like
        Samples (n, features), (m, features); 50,000 each are recommended.
    min_samples, max_samples : int, optional
        The sizes. Default: those of the CaloChallenge, 10,000 and 50,000, or a fifth of the smaller sample
        and all of it where that is less. What is drawn with replacement from few events knows only their
        distribution: the value then keeps a bias of order 1/n.
    batches, points, seed : int
        See above.
    """
    x, y = _normalised(real, generated)
    n = min(len(x), len(y))
    largest = min(50_000, n) if max_samples is None else max_samples
    smallest = min(10_000, max(largest // 5, 2)) if min_samples is None else min_samples
    if not 2 <= smallest < largest:
        raise InputError(f"fpd needs 2 <= min_samples < max_samples, got {smallest} and {largest}")
    sizes = (1 / np.linspace(1 / smallest, 1 / largest, points)).astype(int)
    rng = np.random.default_rng(seed)
    means = []
    for size in sizes:
        values = []
        for _ in range(batches):
            a, b = x[rng.choice(len(x), size)], y[rng.choice(len(y), size)]
            values.append(_frechet(a.mean(0), _covariance(a), b.mean(0), _covariance(b)))
        means.append(np.mean(values))
    value, error = _intercept(1 / sizes, np.array(means))
    return Distance(value, error, (smallest, largest))


def kpd(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    batches: int = 10,
    batch_size: int | None = None,
    seed: int = 42,
) -> Distance:
    """The kernel physics distance: an unbiased squared maximum mean discrepancy with a quartic kernel.

    Features are divided by their largest absolute value in the real sample. Value: the median over batches
    drawn with replacement; error: half the width of their central 67.45 %.

    Parameters
    ----------
    real, generated : array_like
        Samples (n, features), (m, features).
    batch_size : int, optional
        Default: 10,000 as in the CaloChallenge, or the size of the smaller sample if that is less.
    batches, seed : int
        See above.
    """
    x, y = _normalised(real, generated)
    size = min(10_000, len(x), len(y)) if batch_size is None else batch_size
    if size < 2:
        raise InputError(f"kpd needs a batch_size >= 2, got {size}")
    values = []
    for batch in range(batches):
        rng = np.random.default_rng(seed + 1000 * batch)
        values.append(_squared_mmd(x[rng.choice(len(x), size)], y[rng.choice(len(y), size)]))
    low, high = np.percentile(values, [16.275, 83.725])
    return Distance(float(np.median(values)), float(high - low) / 2, (size, size))


def _frechet(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """|mu_a - mu_b|^2 + tr(A + B - 2 (A B)^1/2), with the eigenvalues of A^1/2 B A^1/2."""
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.clip(eigenvalues, 0.0, None)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _covariance(x: Array) -> Array:
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)


def _intercept(x: Array, y: Array) -> tuple[float, float]:
    """Intercept of a line with intercept and slope >= 0, and its error from the scatter of the points."""
    from scipy.optimize import nnls

    design = np.stack([np.ones_like(x), x], axis=1)
    solution, norm = nnls(design, y)
    covariance = np.linalg.inv(design.T @ design) * norm**2 / (len(x) - 2)
    return float(solution[0]), float(np.sqrt(covariance[0, 0]))


def _squared_mmd(x: Array, y: Array) -> float:
    n, m = len(x), len(y)
    return (
        2 * _kernel_sum(x, x, upper=True) / (n * (n - 1))
        + 2 * _kernel_sum(y, y, upper=True) / (m * (m - 1))
        - 2 * _kernel_sum(x, y) / (n * m)
    )


def _kernel_sum(x: Array, y: Array, upper: bool = False) -> float:
    """Sum of (x.y / features + 1)^4 over all pairs, or over those with i < j."""
    total, step, scale = 0.0, max(_CHUNK // len(y), 1), 1.0 / x.shape[1]
    for start in range(0, len(x), step):
        rows = x[start : start + step]
        k = rows @ y[start if upper else 0 :].T
        k *= scale
        k += 1.0
        np.square(k, out=k)
        if upper:
            # Only what is right of the diagonal, which starts in the first column of this block.
            for i, row in enumerate(k):
                total += float(row[i + 1 :] @ row[i + 1 :])
        else:
            total += float(np.vdot(k, k))
    return total


def _normalised(real: ArrayLike, generated: ArrayLike) -> tuple[Array, Array]:
    x, y = _pair(real, generated)
    scale = np.abs(x).max(0)
    scale[scale == 0] = 1.0
    return x / scale, y / scale


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(x, float), np.asarray(y, float)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(f"distances need samples (n, features) with n >= 2, got {a.shape} and {b.shape}")
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        raise InputError("the features hold NaN or infinity")
    return a, b
