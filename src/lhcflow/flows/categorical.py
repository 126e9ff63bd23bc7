"""Discrete variables, such as channel numbers: a distribution of integers, and a flow given them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..arguments import whole, whole_numbers
from ..errors import InputError
from .bijection import Component, build, describe
from .conditioner import Conditioner
from .flow import Flow


class AutoregressiveCategorical(Component):
    """Integers ``0 <= c_j < categories[j]`` with ``p(c | context) = prod_j p(c_j | c_1..c_{j-1}, context)``.

    Each factor is a softmax of a small network of the one-hot encoded earlier variables and the
    context. It starts uniform.

    Parameters
    ----------
    categories : sequence of int
        Number of values of each variable.
    context : int
        Number of context features.
    hidden : sequence of int
        Of the networks, see `lhcflow.flows.conditioner.Conditioner`.
    activation : str
        Of the networks, see `lhcflow.flows.conditioner.Conditioner`.
    """

    def __init__(
        self,
        categories: Sequence[int],
        context: int = 0,
        hidden: Sequence[int] = (64,),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.categories = whole_numbers(categories, "categories", 1)
        if not self.categories:
            raise InputError("categories must be one or more numbers >= 1, got none")
        self.context = whole(context, "context", 0)
        self.hidden = whole_numbers(hidden, "hidden", 1)
        self.activation = activation
        self.features = sum(self.categories)
        earlier = accumulate(self.categories[:-1], initial=0)
        self.networks = nn.ModuleList(
            Conditioner(before, outputs, hidden, context, activation)
            for before, outputs in zip(earlier, self.categories, strict=True)
        )

    def log_prob(self, c: Tensor, context: Float[Tensor, "n context"] | None = None) -> Float[Tensor, " n"]:
        """Log probability (n,) of the integer vectors ``c`` (n, k)."""
        self._check_context(context)
        c = self.whole(c)
        encoded = self.one_hot(c)
        log_prob = encoded.new_zeros(c.shape[0])
        for j, network in enumerate(self.networks):
            earlier = encoded[:, : sum(self.categories[:j])]
            log_prob = log_prob + network(earlier, context).log_softmax(-1).gather(-1, c[:, j : j + 1])[:, 0]
        return log_prob

    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n context"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "n k"]:
        """Draw ``n`` integer vectors (n, k), one per row of ``context`` if there is one."""
        self._check_context(context)
        like = next(self.parameters())
        encoded = like.new_zeros(n, 0)
        drawn = []
        for size, network in zip(self.categories, self.networks, strict=True):
            probabilities = network(encoded, context).softmax(-1)
            value = _draw(probabilities, generator)
            drawn.append(value)
            encoded = torch.cat([encoded, _encode(value, size, like.dtype)], -1)
        return torch.stack(drawn, -1)

    def one_hot(self, c: Tensor) -> Float[Tensor, "n features"]:
        """The one-hot encoding (n, sum of categories) of ``c`` (n, k)."""
        c = self.whole(c)
        captured = c.is_cuda and torch.cuda.is_current_stream_capturing()
        if not captured and bool(((c < 0) | (c >= torch.tensor(self.categories, device=c.device))).any()):
            raise InputError(f"c must lie between 0 and {self.categories} (exclusive)")
        dtype = next(self.parameters()).dtype
        return torch.cat([_encode(c[:, j], size, dtype) for j, size in enumerate(self.categories)], -1)

    def whole(self, c: Tensor) -> Int[Tensor, "n k"]:
        """``c`` as int64 of shape (n, k); (n,) is one variable, other types need whole values."""
        if c.ndim == 1 and len(self.categories) == 1:
            c = c[:, None]
        if c.ndim != 2 or c.shape[1] != len(self.categories):
            raise InputError(f"c must have shape (n, {len(self.categories)}), got {tuple(c.shape)}")
        if c.is_floating_point() and not bool((c == c.round()).all()):
            raise InputError("c holds categories, but its values are not whole: are c and x interchanged?")
        return c.long()

    def _check_context(self, context: Tensor | None) -> None:
        width = 0 if context is None else context.shape[-1]
        if width != self.context:
            raise InputError(f"this distribution takes context={self.context}, got {width} features")

    def config(self) -> dict[str, Any]:
        return {
            "categories": list(self.categories),
            "context": self.context,
            "hidden": list(self.hidden),
            "activation": self.activation,
        }

    def extra_repr(self) -> str:
        return f"categories={self.categories}, context={self.context}, hidden={self.hidden}"


class MixedFlow(Component):
    """Discrete and continuous variables together: ``p(c, x | context) = p(c | context) p(x | c, context)``.

    Parameters
    ----------
    categorical : AutoregressiveCategorical
        The distribution of ``c``.
    flow : Flow
        The flow of ``x``; its context is the one-hot encoding of ``c``, followed by the context of
        ``categorical``, so it is built with ``context=categorical.features + categorical.context``.
    """

    def __init__(self, categorical: AutoregressiveCategorical, flow: Flow) -> None:
        super().__init__()
        needed = categorical.features + categorical.context
        if flow.context != needed:
            raise InputError(
                f"the flow needs context={needed} (one-hot categories and context), has {flow.context}"
            )
        self.categorical = categorical
        self.flow = flow

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of ``x`` and of the parameters."""
        return self.flow.dtype

    def log_prob(
        self,
        c: Tensor,
        x: Tensor,
        context: Float[Tensor, "n context"] | None = None,
    ) -> Float[Tensor, " n"]:
        """Log of probability times density (n,) of ``c`` (n, k) and ``x`` (n, dim), as `sample` returns them.

        Their types tell them apart where they come the other way round.
        """
        if c.is_floating_point() and not x.is_floating_point():
            c, x = x, c
        given = self._context(c, context)
        return self.categorical.log_prob(c, context) + self.flow.log_prob(x, given)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Float[Tensor, "n context"] | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n dim"]]:
        """Draw ``c`` (n, k) and ``x`` (n, dim)."""
        c = self.categorical.sample(n, context, generator)
        return c, self.flow.sample(n, self._context(c, context), generator)

    def _context(self, c: Tensor, context: Tensor | None) -> Tensor:
        encoded = self.categorical.one_hot(c)
        return encoded if context is None else torch.cat([encoded, context], -1)

    def config(self) -> dict[str, Any]:
        return {"categorical": describe(self.categorical), "flow": describe(self.flow)}

    @classmethod
    def from_config(cls, **config: Any) -> MixedFlow:
        return cls(build(config["categorical"]), build(config["flow"]))


def _encode(value: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    return (value[:, None] == torch.arange(size, device=value.device)).to(dtype)


def _draw(probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    if len(probabilities) == 0:  # torch.multinomial refuses an empty batch
        return torch.zeros(0, dtype=torch.long, device=probabilities.device)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
