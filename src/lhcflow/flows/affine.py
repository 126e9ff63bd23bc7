"""Fixed elementwise scaling: standardisation and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from .bijection import Bijection


class Affine(Bijection):
    """``z = (x - shift) / scale`` in each dimension, with fixed ``shift`` and ``scale``.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    shift : Tensor or float, optional
        (dim,) or a number; 0 if None.
    scale : Tensor or float, optional
        (dim,) or a number, positive; 1 if None.

    Raises
    ------
    InputError
        If a scale is not positive and finite, for example for a column of data that is constant.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self, dim: int, shift: Tensor | float | None = None, scale: Tensor | float | None = None
    ) -> None:
        super().__init__(dim)
        self.register_buffer("shift", _row(dim, 0.0 if shift is None else shift, "shift"))
        self.register_buffer("scale", _row(dim, 1.0 if scale is None else scale, "scale"))
        bad = (~((self.scale > 0) & self.scale.isfinite())).nonzero().flatten().tolist()
        if bad:
            raise InputError(
                f"scale must be positive and finite; it is not in dimensions {bad}: is the data constant?"
            )

    @classmethod
    def standardize(cls, x: Tensor | np.ndarray) -> Affine:
        """The map to mean 0 and standard deviation 1 of the sample ``x`` (n, dim), a tensor or an array."""
        x = torch.as_tensor(x)
        if x.ndim != 2 or len(x) == 0:
            raise InputError(f"standardize needs a sample of shape (n, dim), got {tuple(x.shape)}")
        x = x.double()
        return cls(x.shape[1], x.mean(0), x.std(0, correction=0))

    @classmethod
    def min_max(cls, low: Float[Tensor, " dim"], high: Float[Tensor, " dim"]) -> Affine:
        """The map of the box from ``low`` (dim,) to ``high`` (dim,) onto the unit cube."""
        return cls(len(low), low, high - low)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return (x - self.shift) / self.scale, -self.scale.log().sum().expand(x.shape[0])

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return z * self.scale + self.shift, self.scale.log().sum().expand(z.shape[0])

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def _row(dim: int, value: Tensor | float, name: str) -> Tensor:
    row = torch.as_tensor(value)
    row = row.to(torch.get_default_dtype())
    if row.shape not in ((), (dim,)):
        raise InputError(f"{name} needs shape ({dim},), got {tuple(row.shape)}")
    return row.expand(dim).clone()
