"""Random reflections of showers: exact symmetries of a box of cells with the particle in its middle."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError
from ..geometry import Geometry


@dataclass(frozen=True)
class Reflections:
    """Reflects each shower in the slow and in the fast axis of all its layers, each with probability 1/2.

    Parameters
    ----------
    shapes : tuple of (int, int)
        Cells along both axes of each layer.

    Examples
    --------
    >>> import torch
    >>> mirror = Reflections(((1, 2), (2, 2)))
    >>> mirror.reflect(torch.arange(6.0)[None], slow=False, fast=True)
    tensor([[1., 0., 3., 2., 5., 4.]])
    """

    shapes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, geometry: Geometry) -> Reflections:
        """The reflections of a geometry.

        Raises
        ------
        InputError
            If a layer is not of Cartesian cells whose edges lie symmetrically around the axis.
        """
        for layer in geometry.layers:
            even = all(
                abs(a + b) < 1e-6 * abs(edges[-1] - edges[0])
                for edges in layer.edges
                for a, b in zip(edges, reversed(edges), strict=True)
            )
            if layer.polar or not even:
                raise InputError(f"layer {layer.id} of {geometry} has no reflections to train on")
        return cls(tuple(layer.shape for layer in geometry.layers))

    def reflect(self, voxels: Tensor, slow: bool, fast: bool) -> Tensor:
        """All showers (n, V), reflected in the given axes."""
        axes = [axis for axis, wanted in ((1, slow), (2, fast)) if wanted]
        parts = voxels.split([a * b for a, b in self.shapes], 1)
        pairs = zip(parts, self.shapes, strict=True)
        return torch.cat([part.reshape(-1, *shape).flip(axes).flatten(1) for part, shape in pairs], 1)

    def __call__(self, voxels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Showers (n, V), each reflected or not by chance."""
        chosen = torch.randint(0, 4, (len(voxels), 1), generator=generator)
        result = voxels
        for number in (1, 2, 3):
            mirrored = self.reflect(voxels, slow=bool(number & 1), fast=bool(number & 2))
            result = torch.where(chosen == number, mirrored, result)
        return result
