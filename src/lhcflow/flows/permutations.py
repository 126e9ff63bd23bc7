"""Permutations of the dimensions, and their differentiable relatives: trained rotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import logm
from torch import Tensor, nn

from ..errors import InputError
from .bijection import Bijection, zero_log_det

SQUARINGS, DEGREE = 6, 8  # of exponentials on CUDA: for norms up to 10 (angles below pi) better than 1e-10


class Permutation(Bijection):
    """A fixed order of the dimensions: ``z[:, i] = x[:, order[i]]``.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    order : sequence of int
        A permutation of ``range(dim)``.

    Examples
    --------
    >>> Permutation.reverse(3)
    Permutation([2, 1, 0])
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, dim: int, order: Sequence[int]) -> None:
        super().__init__(dim)
        self._order = [int(i) for i in order]
        if sorted(self._order) != list(range(dim)):
            raise InputError(f"order must be a permutation of 0..{dim - 1}, got {self._order}")
        # Not in the state_dict: the order is architecture, config() holds it.
        self.register_buffer("order", torch.tensor(self._order), persistent=False)
        self.register_buffer("inverse_order", torch.tensor(self._order).argsort(), persistent=False)

    @classmethod
    def reverse(cls, dim: int) -> Permutation:
        """The permutation that reverses the dimensions."""
        return cls(dim, range(dim - 1, -1, -1))

    @classmethod
    def random(cls, dim: int, seed: int) -> Permutation:
        """A random permutation, the same for the same ``seed``."""
        return cls(dim, torch.randperm(dim, generator=torch.Generator().manual_seed(seed)).tolist())

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return x[:, self.order], zero_log_det(x)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return z[:, self.inverse_order], zero_log_det(z)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "order": self._order}

    def extra_repr(self) -> str:
        return str(self._order)


class SoftPermutation(Bijection):
    """A learnable rotation, which mixes dimensions where a permutation can only exchange them.

    On the real line ``z = R x`` with ``R = exp(A)``, where the dim (dim - 1) / 2 entries of the
    skew-symmetric A are trained; they reach every rotation.

    On the unit cube ``z = Phi(R Phi^-1(x))`` with Phi the normal distribution function: the cube's
    uniform density becomes a standard normal one, which every rotation leaves unchanged, and returns.
    So this map keeps volume as well: its log-determinant is
    ``log phi(R y) - log phi(y) = (|y|^2 - |R y|^2) / 2 = 0`` with ``y = Phi^-1(x)``.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    domain : {"real", "unit"}
        "real" or "unit".
    seed : int, optional
        Start at a random rotation (uniform in the Haar measure); None starts at the identity.

    Notes
    -----
    On the cube, coordinates closer to 0 or 1 than half the machine epsilon are first moved to that
    distance, 5.3 standard deviations in float32 and 8.2 in float64, so that the outermost corners do
    not come back exactly. Points outside the cube stay where they are.
    Fixed random rotations are the soft permutations of 1907.02392; here they are trained.
    """

    pairs: Tensor

    def __init__(self, dim: int, domain: Literal["real", "unit"] = "real", seed: int | None = None) -> None:
        super().__init__(dim)
        if domain not in ("real", "unit"):
            raise InputError(f'domain must be "real" or "unit", got {domain!r}')
        self.domain: Literal["real", "unit"] = domain
        self.seed = seed
        pairs = torch.tril_indices(dim, dim, -1)
        self.register_buffer("pairs", pairs, persistent=False)
        self.angles = nn.Parameter(torch.zeros(pairs.shape[1]))
        if seed is not None:
            self.set_rotation(_random_rotation(dim, seed))

    @torch.no_grad()
    def set_rotation(self, rotation: Float[Tensor, "dim dim"]) -> None:
        """Go to a given rotation, an orthogonal matrix (dim, dim) of determinant 1.

        Raises
        ------
        InputError
            If it is not one.
        """
        matrix = rotation.detach().double().cpu()
        eye = torch.eye(self.dim, dtype=torch.float64)
        if matrix.shape != eye.shape or (matrix @ matrix.T - eye).abs().max() > 1e-3 or torch.det(matrix) < 0:
            raise InputError(f"a rotation in {self.dim} dimensions is an orthogonal matrix of determinant 1")
        generator = torch.from_numpy(np.real(np.asarray(logm(matrix.numpy()))))
        self.angles.copy_(generator[*self.pairs.cpu()])

    def rotation(self) -> Float[Tensor, "dim dim"]:
        """The orthogonal matrix ``R`` (dim, dim)."""
        rows, columns = self.pairs
        skew = self.angles.new_zeros(self.dim, self.dim).index_put((rows, columns), self.angles)
        skew = skew - skew.T
        return exponential(skew) if skew.is_cuda else torch.matrix_exp(skew)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self._rotate(x, self.rotation()), zero_log_det(x)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self._rotate(z, self.rotation().T), zero_log_det(z)

    def _rotate(self, x: Tensor, matrix: Tensor) -> Tensor:
        if self.domain == "real":
            return x @ matrix.T
        inside = ((x >= 0) & (x <= 1)).all(-1, keepdim=True)
        edge = torch.finfo(x.dtype).eps / 2
        y = torch.special.ndtri(x.clamp(edge, 1 - edge)) @ matrix.T
        return torch.where(inside, torch.special.ndtr(y), x)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "domain": self.domain, "seed": self.seed}

    def extra_repr(self) -> str:
        return f"dim={self.dim}, domain={self.domain!r}"


def exponential(matrix: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """exp of a matrix by scaling and squaring, in float64.

    ``torch.matrix_exp`` chooses its degree by the norm, for which it waits for the device: no CUDA graph
    could hold it.
    """
    small = matrix.double() / 2**SQUARINGS
    eye = torch.eye(len(matrix), dtype=small.dtype, device=small.device)
    result = eye
    for k in range(DEGREE, 0, -1):  # Taylor's series, by Horner
        result = eye + small @ result / k
    for _ in range(SQUARINGS):
        result = result @ result
    return result.to(matrix.dtype)


def _random_rotation(dim: int, seed: int) -> Tensor:
    """A rotation (dim, dim), uniform in the Haar measure."""
    gaussian = torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    q, r = torch.linalg.qr(gaussian)
    # The signs of the diagonal of r make q uniform in O(dim) (Mezzadri, math-ph/0609050).
    rotation = q * r.diagonal().sign()
    if torch.linalg.det(rotation) < 0:
        rotation[:, 0] *= -1
    return rotation
