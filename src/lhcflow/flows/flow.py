"""The Flow: bijections between data and a base distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from .bases import Base
from .bijection import Bijection, Component, build, describe, in_functorch
from .fused import run_stack


class Flow(Component):
    """A normalizing flow: ``x`` is distributed as the inverse image of the base distribution.

    ``log p(x) = log p_base(z) + log|dz/dx|`` with ``z = f_n(... f_1(x))`` (1505.05770, eq. 5).

    Parameters
    ----------
    bijections : the maps in the order data to latent, all of the base's dimension. Each either takes
        the flow's context or none.
    base : the distribution of the latent variables.

    Raises
    ------
    InputError
        Here if dimensions or contexts do not fit together; in all methods if ``x`` or ``context`` has a
        wrong shape, dtype or device, is missing, or holds NaN or infinity.

    Notes
    -----
    Wherever ``context`` is asked for, it is (n, context), one row per point, or one row for all of them.
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

    def __init__(self, bijections: Sequence[Bijection], base: Base) -> None:
        super().__init__()
        self.dim = base.dim
        self.context = max((b.context for b in bijections), default=0)
        for index, bijection in enumerate(bijections):
            name = f"bijection {index} ({bijection.kind})"
            if bijection.dim != self.dim:
                raise InputError(f"{name} has dim={bijection.dim}, but the base has dim={self.dim}")
            if bijection.context not in (0, self.context):
                raise InputError(f"{name} has context={bijection.context}, another has {self.context}")
        self.bijections = nn.ModuleList(bijections)
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
        self, x: Tensor, context: Tensor | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Map data to latent.

        Parameters
        ----------
        x : (n, dim) data.
        context : (n, context), (1, context) or (context,); None if the flow has no context.

        Returns
        -------
        z, log_det : (n, dim) latent variables and (n,) ``log|dz/dx|``.
        """
        context = self._check(x, "x", context)
        return run_stack(self._bijections(), x, context)

    def inverse(
        self, z: Tensor, context: Tensor | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Map latent to data; return ``x`` (n, dim) and ``log|dx/dz|`` (n,). See :meth:`forward`."""
        context = self._check(z, "z", context)
        return self._inverse(z, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Float[Tensor, " n"]:
        """Log density (n,) at ``x`` (n, dim), given ``context``; -inf outside the support."""
        z, log_det = self.forward(x, context)
        return log_det + self.base.log_prob(z)

    @torch.no_grad()
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n dim"]:
        """Draw ``n`` points (n, dim) without gradient, one per row of ``context`` if there is one.

        The numbers come from ``generator``, on the flow's device, or else from torch's global one.
        """
        return self.sample_and_log_prob(n, context, generator)[0]

    def sample_and_log_prob(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Draw ``n`` points (n, dim) with their log density (n,), for about the price of :meth:`sample`.

        Differentiable with respect to the flow's parameters (reparametrised samples) unless called
        under ``torch.no_grad()``.
        """
        if n < 0:
            raise InputError(f"the number of samples must be >= 0, got {n}")
        context = self._check_context(context, n)
        z = self.base.sample(n, generator)
        x, log_det = self._inverse(z, context)
        return x, self.base.log_prob(z) - log_det

    def _inverse(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return run_stack(self._bijections(), z, context, inverse=True)

    def _bijections(self) -> list[Bijection]:
        return list(self.bijections)  # type: ignore[arg-type]

    def _check(self, x: Tensor, name: str, context: Tensor | None) -> Tensor | None:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise InputError(f"{name} must have shape (n, {self.dim}), got {tuple(x.shape)}")
        self._check_values(x, name)
        return self._check_context(context, x.shape[0])

    def _check_context(self, context: Tensor | None, n: int) -> Tensor | None:
        if self.context == 0:
            if context is not None:
                raise InputError("this flow was built without context (context=0), but context was given")
            return None
        if context is None:
            raise InputError(f"this flow needs context of shape ({n}, {self.context})")
        if context.ndim == 1:
            context = context[None]
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
        return {"bijections": [describe(b) for b in self._bijections()], "base": describe(self.base)}

    @classmethod
    def from_config(cls, **config: Any) -> Flow:
        return cls([build(d) for d in config["bijections"]], build(config["base"]))

    def __repr__(self) -> str:
        lines = [
            f"{self.kind}(dim={self.dim}, context={self.context}), {_count(self)} parameters,"
            f" {str(self.dtype).removeprefix('torch.')} on {self.device}"
        ]
        for index, b in enumerate(self._bijections(), start=1):
            lines.append(f"  {index:2d}  {b.kind}({b.extra_repr()}), {_count(b)} parameters")
        return "\n".join([*lines, f"  base {self.base.kind}({self.base.extra_repr()})"])


def _count(module: nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()):,}"
