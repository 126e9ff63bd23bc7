"""The Flow: bijections between data and a base distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..arguments import tensor_of, whole
from ..errors import InputError
from .bases import Base
from .bijection import Bijection, Component, build, describe, in_functorch
from .fused import run_stack

Points = Tensor | np.ndarray | Sequence[Any] | float
"""Tensors of the flow's type and device; arrays, lists and numbers are converted to these."""


class Flow(Component):
    """A normalizing flow: ``x`` is distributed as the inverse image of the base distribution.

    ``log p(x) = log p_base(z) + log|dz/dx|`` with ``z = f_n(... f_1(x))`` (1505.05770, eq. 5).

    Parameters
    ----------
    bijections : sequence of Bijection or Bijection
        The maps in the order data to latent, all of the base's dimension. Each either takes the flow's
        context or none.
    base : Base
        The distribution of the latent variables.

    Raises
    ------
    InputError
        Here if dimensions or contexts do not fit together; in all methods if ``x`` or ``context`` has a
        wrong shape, dtype or device, is missing, or holds NaN or infinity.

    Notes
    -----
    Wherever ``context`` is asked for, it is (n, context), one row per point, or one row for all of them
    ((1, context), (context,), or a number where ``context=1``).
    The values are not looked at under ``torch.compile`` and ``torch.func.vmap``.

    Examples
    --------
    >>> import torch
    >>> from lhcflow.flows import Affine, StandardNormal
    >>> flow = Flow([Affine(2, shift=1.0, scale=2.0)], StandardNormal(2))
    >>> x = flow.sample(3, generator=torch.Generator().manual_seed(0))
    >>> x.shape, flow.log_prob(x).shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    bijections: Sequence[Bijection]

    def __init__(self, bijections: Sequence[Bijection] | Bijection, base: Base) -> None:
        super().__init__()
        if isinstance(bijections, Bijection):
            bijections = [bijections]
        if not isinstance(base, Base):
            known = "StandardNormal(dim), Uniform(dim) and their like in lhcflow.flows"
            raise InputError(f"the base of a flow is one of {known}, not a {type(base).__name__}")
        for part in bijections:
            if not isinstance(part, Bijection):
                raise InputError(
                    f"a flow is made of bijections (lhcflow.flows), not of {type(part).__name__}"
                )
        self.dim = base.dim
        self.context = max((b.context for b in bijections), default=0)
        for index, bijection in enumerate(bijections):
            name = f"bijection {index} ({bijection.kind})"
            if bijection.dim != self.dim:
                raise InputError(f"{name} has dim={bijection.dim}, but the base has dim={self.dim}")
            if bijection.context not in (0, self.context):
                raise InputError(f"{name} has context={bijection.context}, another has {self.context}")
        self.bijections = cast("Sequence[Bijection]", nn.ModuleList(bijections))
        self.base = base

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the flow's input, parameters and samples."""
        return self.base.like.dtype

    @property
    def device(self) -> torch.device:
        """The device of the flow's input, parameters and samples."""
        return self.base.like.device

    def forward(
        self, x: Points, context: Points | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Map data to latent.

        Parameters
        ----------
        x : Points
            (n, dim) data.
        context : Points, optional
            (n, context), (1, context) or (context,); None if the flow has no context.

        Returns
        -------
        z, log_det : Tensor, shape (n, dim), Tensor, shape (n,)
            (n, dim) latent variables and (n,) ``log|dz/dx|``.
        """
        x, context = self._check(x, "x", context)
        return run_stack(list(self.bijections), x, context)

    def inverse(
        self, z: Points, context: Points | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Map latent to data; return ``x`` (n, dim) and ``log|dx/dz|`` (n,). See `forward`."""
        z, context = self._check(z, "z", context)
        return self._inverse(z, context)

    def log_prob(self, x: Points, context: Points | None = None) -> Float[Tensor, " n"]:
        """Log density (n,) at ``x`` (n, dim), given ``context``; -inf outside the support."""
        z, log_det = self.forward(x, context)
        return log_det + self.base.log_prob(z)

    @torch.no_grad()
    def sample(
        self, n: int, context: Points | None = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n dim"]:
        """Draw ``n`` points (n, dim) without gradient, one per row of ``context`` if there is one.

        The numbers come from ``generator``, on the flow's device, or else from torch's global one.
        """
        return self.sample_and_log_prob(n, context, generator)[0]

    def sample_and_log_prob(
        self, n: int, context: Points | None = None, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Draw ``n`` points (n, dim) with their log density (n,), for about the price of `sample`.

        Differentiable with respect to the flow's parameters (reparametrised samples) unless called
        under ``torch.no_grad()``.
        """
        n = number_of_samples(n)
        check_generator(generator)
        context = self._check_context(context, n)
        z = self.base.sample(n, generator)
        x, log_det = self._inverse(z, context)
        return x, self.base.log_prob(z) - log_det

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return run_stack(list(self.bijections), z, context, inverse=True)

    def _check(self, x: Points, name: str, context: Points | None) -> tuple[Tensor, Tensor | None]:
        x = tensor_of(x, name, self.dtype, self.device)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise InputError(f"{name} must have shape (n, {self.dim}), got {tuple(x.shape)}")
        self._check_values(x, name)
        return x, self._check_context(context, x.shape[0])

    def _check_context(self, context: Points | None, n: int) -> Tensor | None:
        if self.context == 0:
            if context is not None:
                raise InputError("this flow was built without context (context=0), but context was given")
            return None
        if context is None:
            raise InputError(f"this flow needs context of shape ({n}, {self.context})")
        context = tensor_of(context, "context", self.dtype, self.device)
        if context.ndim < 2:
            context = context.reshape(1, -1)
        if context.ndim != 2 or context.shape[0] not in (1, n) or context.shape[1] != self.context:
            wanted = f"({n}, {self.context}) or (1, {self.context})"
            raise InputError(f"context must have shape {wanted}, got {tuple(context.shape)}")
        self._check_values(context, "context")
        return context.expand(n, -1)

    def _check_values(self, x: Tensor, name: str) -> None:
        if x.dtype != self.dtype or x.device != self.device:
            raise InputError(
                f"{name} is {x.dtype} on {x.device}, the flow is {self.dtype} on {self.device}:"
                " move one of them with .to(...)"
            )
        if torch.compiler.is_compiling() or in_functorch():
            return
        if x.is_cuda and torch.cuda.is_current_stream_capturing():
            return
        if not bool(torch.isfinite(x).all()):
            rows = int((~torch.isfinite(x).all(-1)).sum())
            raise InputError(
                f"{name} holds NaN or infinity in {rows} of {x.shape[0]} rows: remove them first"
            )

    def config(self) -> dict[str, Any]:
        return {"bijections": [describe(b) for b in self.bijections], "base": describe(self.base)}

    @classmethod
    def from_config(cls, **config: Any) -> Flow:
        return cls([build(d) for d in config["bijections"]], build(config["base"]))

    def __repr__(self) -> str:
        lines = [
            f"{self.kind}(dim={self.dim}, context={self.context}), {_count(self)} parameters,"
            f" {str(self.dtype).removeprefix('torch.')} on {self.device}"
        ]
        for index, b in enumerate(self.bijections, start=1):
            lines.append(f"  {index:2d}  {b.kind}({b.extra_repr()}), {_count(b)} parameters")
        return "\n".join([*lines, f"  base {self.base.kind}({self.base.extra_repr()})"])


def _count(module: nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()):,}"


def number_of_samples(n: Any) -> int:
    """The n of ``sample(n)``; a shape of one entry, as torch.distributions take it, stands for its entry."""
    if isinstance(n, tuple | list):
        if len(n) != 1:
            raise InputError(f"sample takes a number of points, got the shape {tuple(n)}")
        n = n[0]
    return whole(n, "the number of samples", 0)


def check_generator(generator: Any) -> None:
    """Refuse what is no generator of torch."""
    if not isinstance(generator, torch.Generator | None):
        raise InputError(
            f"generator must be a torch.Generator, got {generator!r}: torch.Generator().manual_seed(1)"
        )
