"""MADE: one network gives every dimension its parameters, from the dimensions before it (1502.03509)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ..arguments import whole_numbers
from ..errors import InputError
from .native import eager
from .versions import Kept, trusting, versions

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}


class MaskedLinear(nn.Linear):
    """A linear layer whose weight is zero where ``mask`` (out, in) is.

    The stored weight is multiplied by the mask wherever it is used. So the layer keeps its mask whatever is
    written to ``weight``: another initialisation, noise, another file, any optimiser.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        self._kept = Kept()

    @property
    def masked_weight(self) -> Tensor:
        """The weight (out, in) that the layer uses."""
        return self.weight * self.mask

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self._weight_for(input), self.bias)

    def _weight_for(self, input: Tensor) -> Tensor:
        """The masked weight, which calls with few rows and without gradient make once."""
        if torch.is_grad_enabled() or not trusting(self, input.shape[0]) or not eager():
            return self.masked_weight
        current = versions((self.weight,))
        if current is None or current != self._kept.versions:
            self._kept.versions, self._kept.value = current, self.masked_weight
        return self._kept.value

    def train(self, mode: bool = True) -> MaskedLinear:
        self._kept.clear()
        return super().train(mode)


class MADE(nn.Module):
    """Masked network: the outputs of dimension ``order[i]`` depend on ``order[:i]`` and the context only.

    Parameters
    ----------
    dim : int
        Number of input dimensions D.
    outputs : int
        Numbers per dimension.
    hidden : sequence of int
        Widths of the hidden layers, at least one. With ``residual``, every layer after the first stands for a
        residual block of two masked layers and all widths are equal.
    context : int
        Number of context features. Their activated linear map joins the first hidden layer, and another one
        the inside of each residual block.
    residual : bool
        Pre-activation residual blocks h + W2 a(W1 a(h)), as in nflows.
    activation : str
        "relu", "leaky_relu", "silu", "elu" or "tanh".
    degrees : str or sequence of sequence of int
        Of the hidden units, a unit of degree d sees the first d dimensions: "sequential" spreads them evenly,
        "random" draws them (with ``seed``), or one list per entry of ``hidden``.
    order : sequence of int, optional
        The dimensions in autoregressive order; 0, 1, 2, ... if None.
    inputs : sequence of int, optional
        The dimension that each input feature comes from, where dimensions have several features (cosine and
        sine of an angle); 0, 1, 2, ... if None.

    Notes
    -----
    The last layer starts at zero. The degrees begin at 0 where there is a context (or D = 1), so that
    the first dimension depends on the context too.

    Attributes
    ----------
    layers : nn.ModuleList
        Masked hidden layers in the order of application, 1 + 2 (len(hidden) - 1) if residual.
    final : MaskedLinear
        Masked last layer, with the ``outputs`` rows of dimension 0 first.
    context_layers : nn.ModuleList
        Linear maps of the context: of the first layer, and of each residual block.
    degrees : str or sequence of sequence of int
        One int64 array per entry of ``layers``.
    """

    def __init__(
        self,
        dim: int,
        outputs: int,
        hidden: Sequence[int] = (128, 128),
        *,
        context: int = 0,
        residual: bool = False,
        activation: str = "relu",
        degrees: str | Sequence[Sequence[int]] = "sequential",
        order: Sequence[int] | None = None,
        inputs: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise InputError(f"unknown activation {activation!r}; known are {', '.join(ACTIVATIONS)}")
        hidden = whole_numbers(hidden, "hidden", 1)
        if not hidden:
            raise InputError("a MADE needs one or more hidden layers, got none")
        if residual and len(set(hidden)) > 1:
            raise InputError(f"residual blocks need hidden layers of equal width, got {tuple(hidden)}")
        self.dim, self.outputs, self.context, self.residual = dim, outputs, context, residual
        self.activation_name = activation
        self.activation = ACTIVATIONS[activation]()
        self.order = tuple(range(dim)) if order is None else tuple(int(i) for i in order)
        if sorted(self.order) != list(range(dim)):
            raise InputError(f"order must hold each of the {dim} dimensions once, got {self.order}")

        given = hidden_degrees(dim, tuple(hidden), context > 0, residual, degrees, seed)
        self.degrees = [given[0], *(given[k] for k in range(1, len(given)) for _ in range(1 + residual))]
        self.inputs = tuple(range(dim)) if inputs is None else tuple(inputs)
        ranks = np.empty(dim, dtype=np.int64)
        ranks[list(self.order)] = np.arange(1, dim + 1)
        before = ranks[list(self.inputs)]
        self.layers = nn.ModuleList()
        for after in self.degrees:
            self.layers.append(MaskedLinear(torch.from_numpy(after[:, None] >= before)))
            before = after
        self.final = MaskedLinear(torch.from_numpy(np.repeat(ranks, outputs)[:, None] > before))
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)
        takers = len(hidden) if residual else 1
        self.context_layers = nn.ModuleList(
            nn.Linear(context, hidden[0]) for _ in range(takers if context else 0)
        )

    def forward(
        self, x: Float[Tensor, "n features"], context: Float[Tensor, "n context"] | None = None
    ) -> Float[Tensor, "n dim outputs"]:
        """The parameters (n, dim, outputs) for ``x`` (n, features) and ``context`` (n, context)."""
        h = self.layers[0](x)
        if context is not None:
            h = h + self.activation(self.context_layers[0](context))
        if self.residual:
            for block in range(1, len(self.layers), 2):
                inner = self.layers[block](self.activation(h))
                if context is not None:
                    inner = inner + self.context_layers[(block + 1) // 2](context)
                h = h + self.layers[block + 1](self.activation(inner))
        else:
            h = self.activation(h)
            for layer in self.layers[1:]:
                h = self.activation(layer(h))
        return self.final(h).unflatten(-1, (self.dim, self.outputs))


def hidden_degrees(
    dim: int,
    hidden: tuple[int, ...],
    context: bool,
    residual: bool,
    degrees: str | Sequence[Sequence[int]],
    seed: int,
) -> list[np.ndarray]:
    """The degrees of the units of each hidden layer, from the argument ``degrees`` of `MADE`."""
    low = 0 if context or dim == 1 else 1
    high = dim - 1
    if not isinstance(degrees, str):
        given = [np.asarray(layer, dtype=np.int64) for layer in degrees]
        if tuple(len(layer) for layer in given) != hidden:
            raise InputError(f"degrees must be one list per hidden layer of the widths {hidden}")
        if any(layer.min() < 0 or layer.max() > high for layer in given):
            raise InputError(f"degrees of hidden units must lie in 0..{high}")
        if residual and any((layer != given[0]).any() for layer in given):
            raise InputError("residual blocks need the same degrees in all layers")
        return given
    if degrees == "sequential":
        # With fewer units than degrees the units are spread, so that no dimension but the last is lost.
        return [
            low + np.arange(width) % (high - low + 1)
            if width > high - low
            else np.rint(np.linspace(low, high, width)).astype(np.int64)
            for width in hidden
        ]
    if degrees == "random":
        random = np.random.default_rng(seed)
        drawn = [random.integers(low, high + 1, hidden[0])]
        for width in hidden[1:]:
            same = drawn[0] if residual else random.integers(drawn[-1].min(), high + 1, width)
            drawn.append(same)
        return drawn
    raise InputError(f"degrees must be 'sequential', 'random' or lists of integers, got {degrees!r}")
