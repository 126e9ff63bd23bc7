"""Base distributions: what the latent variables of a flow follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..arguments import whole
from ..errors import InputError
from .bijection import Component
from .vegas_grid import VegasGrid


class Base(Component):
    """A distribution over ``dim`` latent variables with density and samples.

    A base knows its dtype and device from a buffer, so that ``.to(...)`` moves it like any module.
    """

    like: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = whole(dim, "dim", 1)
        self.register_buffer("like", torch.empty(0), persistent=False)

    def log_prob(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Log density (n,) at ``z`` (n, dim); -inf outside the support."""
        raise NotImplementedError

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n dim"]:
        """Draw ``n`` independent points (n, dim)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class StandardNormal(Base):
    """Independent normal variables with mean 0 and variance 1."""

    def log_prob(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        return -0.5 * z.square().sum(-1) - 0.5 * self.dim * math.log(2 * math.pi)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n dim"]:
        return torch.randn(n, self.dim, generator=generator, dtype=self.like.dtype, device=self.like.device)


class Uniform(Base):
    """The uniform distribution on the closed unit cube."""

    def log_prob(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        inside = ((z >= 0) & (z <= 1)).all(-1)
        return torch.where(inside, 0.0, -math.inf).to(z.dtype)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n dim"]:
        return torch.rand(n, self.dim, generator=generator, dtype=self.like.dtype, device=self.like.device)


class NormalWithAngles(Base):
    """Standard normal variables, but for angles, which are uniform in [-bound, bound].

    Parameters
    ----------
    dim : int
        Number of dimensions.
    angles : sequence of int
        The dimensions that are angles.
    bound : float or sequence of float
        Half their period, one number or one for each dimension.
    """

    is_angle: Tensor
    half_period: Tensor

    def __init__(self, dim: int, angles: Sequence[int], bound: float | Sequence[float] = math.pi) -> None:
        super().__init__(dim)
        self.angles = tuple(sorted(set(angles)))
        self.bound = bound if isinstance(bound, int | float) else [float(b) for b in bound]
        if any(not 0 <= i < dim for i in self.angles):
            raise InputError(f"angles must be dimensions in 0..{dim - 1}, got {tuple(angles)}")
        half = torch.as_tensor(self.bound, dtype=torch.get_default_dtype())
        if half.shape not in ((), (dim,)) or not bool((half > 0).all()):
            raise InputError(f"bound must be positive, one number or {dim}, got {bound}")
        self.register_buffer("half_period", half.expand(dim).clone(), persistent=False)
        self.register_buffer(
            "is_angle", torch.tensor([i in self.angles for i in range(dim)]), persistent=False
        )

    def log_prob(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        normal = -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
        uniform = torch.where(z.abs() <= self.half_period, -(2 * self.half_period).log(), -math.inf)
        return torch.where(self.is_angle, uniform, normal).sum(-1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n dim"]:
        like = {"dtype": self.like.dtype, "device": self.like.device}
        normal = torch.randn(n, self.dim, generator=generator, **like)
        uniform = self.half_period * (2 * torch.rand(n, self.dim, generator=generator, **like) - 1)
        return torch.where(self.is_angle, uniform, normal)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "angles": list(self.angles), "bound": self.bound}

    def extra_repr(self) -> str:
        return f"dim={self.dim}, angles={self.angles}, bound={self.bound}"


class VegasGridBase(Base):
    """A product density that is constant within each bin of a VEGAS grid, every bin of equal probability.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    bins : int
        Bins per dimension, ignored if ``edges`` is given.
    edges : Tensor, optional
        (dim, bins + 1) increasing bin edges; equal bins on [0, 1] if None.

    Notes
    -----
    A trained VEGAS map (Lepage, J. Comput. Phys. 27 (1978) 192) becomes the base of a flow, whose
    layers then have only the correlations left to learn.
    """

    def __init__(self, dim: int, bins: int = 1, edges: Tensor | None = None) -> None:
        super().__init__(dim)
        self.grid = VegasGrid(dim, bins, edges)
        self.uniform = Uniform(dim)

    def log_prob(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        u, log_det = self.grid(z)
        return log_det + self.uniform.log_prob(u)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n dim"]:
        return self.grid.inverse(self.uniform.sample(n, generator))[0]

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "bins": self.grid.bins}
