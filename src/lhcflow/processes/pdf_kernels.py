"""Interpolation of parton densities: native where there is a native core, numpy otherwise.

Bicubic in ln x and ln Q^2 as in LHAPDF6 (1412.7420, section 3.2): cubic Hermite polynomials with the mean
of the slopes to both neighbours at each knot, one-sided at the ends of a subgrid. The interpolated value
is linear in 4 x 4 values of the grid, with the same weights for all flavours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._native import core, warn_once
from .pdf_files import COLUMNS, PdfGrid

PADDED = 16  # columns in memory: whole vectors
CHUNK = 4096


@dataclass(frozen=True)
class Axis:
    """One axis of the grid.

    Attributes
    ----------
    knots : ndarray
        (n,) logarithms.
    before, after : ndarray
        (n, 2) for the cell that begins at each knot: factors (1/2, ratio of the cell's width to that of its
        neighbour), or (1, 0) where there is no neighbour.
    """

    knots: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, knots: np.ndarray) -> Axis:
        """The axis for `knots`, on which subgrids meet where a knot stands twice."""
        width = np.diff(knots)
        before, after = np.tile([1.0, 0.0], (len(knots), 1)), np.tile([1.0, 0.0], (len(knots), 1))
        for i in np.flatnonzero(width > 0):
            if i > 0 and width[i - 1] > 0:
                before[i] = 0.5, width[i] / width[i - 1]
            if i + 1 < len(width) and width[i + 1] > 0:
                after[i] = 0.5, width[i] / width[i + 1]
        return cls(knots, before, after)


class Interpolation:
    """A grid, ready to be interpolated."""

    def __init__(self, grid: PdfGrid) -> None:
        self.x, self.q = Axis.of(np.log(grid.x)), Axis.of(2 * np.log(grid.q))
        self.values = np.zeros((len(grid.q), len(grid.x), PADDED))
        self.values[..., :COLUMNS] = grid.values

    def __call__(self, x: np.ndarray, q: np.ndarray, threads: int = 1) -> np.ndarray:
        """x f(x, Q), (n, 14), at `x` (n,) > 0 and `q` (n,) > 0: frozen outside the grid, zero for x >= 1."""
        x, q = np.ascontiguousarray(x, dtype=float), np.ascontiguousarray(q, dtype=float)
        result = np.empty((len(x), COLUMNS))
        if core is None:
            warn_once()
            self._numpy(x, q, result)
        else:
            a, b = self.x, self.q
            core.pdf_interpolate(
                a.knots, a.before, a.after, b.knots, b.before, b.after, self.values, x, q, result, threads
            )
        return result

    def _numpy(self, x: np.ndarray, q: np.ndarray, result: np.ndarray) -> None:
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            i, wx = _weights(self.x, np.log(x[part]))
            j, wq = _weights(self.q, 2 * np.log(q[part]))
            total = np.zeros((len(i), COLUMNS))
            for k in range(4):
                row = np.clip(j + k - 1, 0, len(self.q.knots) - 1)
                for m in range(4):
                    place = np.clip(i + m - 1, 0, len(self.x.knots) - 1)
                    total += (wq[:, k] * wx[:, m])[:, None] * self.values[row, place, :COLUMNS]
            result[part] = np.where(x[part, None] >= 1, 0.0, total)


def _weights(axis: Axis, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell (n,) and the weights (n, 4) of the knots around it."""
    knots = axis.knots
    position = np.clip(position, knots[0], knots[-1])
    i = np.clip(np.searchsorted(knots, position, side="right") - 1, 0, len(knots) - 2)
    t = (position - knots[i]) / (knots[i + 1] - knots[i])
    t2, t3 = t * t, t * t * t
    low, high = 2 * t3 - 3 * t2 + 1, 3 * t2 - 2 * t3  # of the values
    d_low, d_high = t3 - 2 * t2 + t, t3 - t2  # of the slopes
    (share, ratio), (share_after, ratio_after) = axis.before[i].T, axis.after[i].T
    d_low, d_high = d_low * share, d_high * share_after
    slope = d_low + d_high
    w = np.empty((len(i), 4))
    w[:, 0] = -d_low * ratio
    w[:, 1] = low - slope + d_low * ratio
    # the slope at the upper knot takes in the next cell's
    w[:, 3] = d_high * ratio_after
    w[:, 2] = high + slope - w[:, 3]
    return i, w
