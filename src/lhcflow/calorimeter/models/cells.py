"""Cells of a box-shaped calorimeter: mirror images, the order in which they are generated, who is near."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
_FINE = 24  # more cells than that along an axis count as fine
_APART = 8  # fine cells that are generated at a time are so far from each other
_REACH = 2  # how many cells away neighbours are looked for


@dataclass(frozen=True)
class Cells:
    """Rectangular cells in layers that all cover the same square, slow axis first.

    Parameters
    ----------
    shapes : tuple of (int, int)
        Cells along both axes of each layer.
    inwards : tuple of bool
        Of each layer, whether its cells are generated from the outside inwards; fine layers if empty.
    """

    shapes: tuple[tuple[int, int], ...]
    inwards: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if not self.inwards:
            object.__setattr__(self, "inwards", tuple(b > _FINE for _, b in self.shapes))

    @cached_property
    def layer(self) -> Indices:
        """The layer (V,) of each cell."""
        return np.repeat(np.arange(len(self.shapes)), [a * b for a, b in self.shapes])

    @cached_property
    def orbits(self) -> Indices:
        """A number (V,) that cells have in common if and only if they are each other's reflections."""
        parts, first = [], 0
        for a, b in self.shapes:
            i, j = (np.minimum(np.arange(k), k - 1 - np.arange(k)) for k in (a, b))
            parts.append(first + (i[:, None] * ((b + 1) // 2) + j).ravel())
            first = int(parts[-1].max()) + 1
        return np.concatenate(parts)

    @cached_property
    def core(self) -> NDArray[np.bool_]:
        """Which cells (V,) are the bright ones around the axis: a square."""
        return np.concatenate([_core(a, b).ravel() for a, b in self.shapes])

    @cached_property
    def groups(self) -> Indices:
        """The step (V,) in which each cell is generated: layer after layer; in a layer, the cells of the core
        one by one, which share what energy there is, then sublattices, so that the neighbours of a cell are
        in other steps than itself.

        Inwards the other way round: where the core has nearly all of the energy, what it leaves to others
        would be lost in its errors.
        """
        parts, first = [], 0
        for (a, b), inwards in zip(self.shapes, self.inwards, strict=True):
            step = _sublattice(a)[:, None] * _stride(b) + _sublattice(b)
            i, j = np.nonzero(_core(a, b))
            outwards = (np.abs(2 * i - (a - 1)) / a + np.abs(2 * j - (b - 1)) / b).argsort(kind="stable")
            step[i[outwards], j[outwards]] = np.arange(len(i)) - len(i)
            _, step = np.unique((-step if inwards else step).ravel(), return_inverse=True)
            parts.append(first + step)
            first = int(parts[-1].max()) + 1
        return np.concatenate(parts)

    @cached_property
    def steps(self) -> list[Indices]:
        """The cells of each step."""
        return [np.flatnonzero(self.groups == g) for g in range(int(self.groups.max()) + 1)]

    @cached_property
    def step_layers(self) -> list[int]:
        """The layer of each step."""
        return [int(self.layer[cells[0]]) for cells in self.steps]

    def neighbours(self, cell: int) -> Indices:
        """Cells of earlier steps near a cell: in its layer, and behind or before it in the others."""
        x, y, dx, dy = self._boxes
        own = self.layer == self.layer[cell]
        fine = np.array([b > _FINE for _, b in self.shapes])[self.layer]
        reach = np.where(fine, _APART, _REACH)
        near_x = np.abs(x - x[cell]) < np.where(own, (_REACH + 0.1) * dx, 0.49 * (dx + dx[cell]))
        near_y = np.abs(y - y[cell]) < np.where(own, (reach + 0.1) * dy, 0.49 * (dy + dy[cell]))
        return np.flatnonzero(near_x & near_y & (self.groups < self.groups[cell]))

    @cached_property
    def places(self) -> tuple[NDArray[np.float64], ...]:
        """Centres (V,) of the cells along both axes, -1 to 1."""
        x, y, _, _ = self._boxes
        return 2 * x - 1, 2 * y - 1

    @cached_property
    def _boxes(self) -> tuple[NDArray[np.float64], ...]:
        """Centres and widths of the cells along both axes, the square being 1 wide."""
        parts = []
        for a, b in self.shapes:
            x, y = np.meshgrid((np.arange(a) + 0.5) / a, (np.arange(b) + 0.5) / b, indexing="ij")
            parts.append(np.stack([x, y, np.full_like(x, 1 / a), np.full_like(x, 1 / b)]).reshape(4, -1))
        return tuple(np.concatenate(parts, 1))


def _stride(cells: int) -> int:
    return _APART if cells > _FINE else min(2, cells)


def _sublattice(cells: int) -> Indices:
    """Which sublattice each cell of an axis is on, numbered so that those in the middle come first."""
    stride = _stride(cells)
    order = np.array([0, 4, 2, 6, 1, 5, 3, 7]) if stride == _APART else np.arange(stride)
    return order[(np.arange(cells) - cells // 2) % stride]


def _core(a: int, b: int) -> NDArray[np.bool_]:
    """The bright cells of a layer (a, b)."""
    return _middle(a, max(a // b - 1, 0))[:, None] & _middle(b, 3 if b > _FINE else 0)


def _middle(cells: int, more: int = 0) -> NDArray[np.bool_]:
    """The one or two cells on the middle of an axis, and so many more on each side."""
    return np.abs(2 * np.arange(cells) - (cells - 1)) <= 1 + 2 * more
