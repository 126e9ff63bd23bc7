"""The network that gives a coupling layer its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..arguments import whole_numbers
from ..errors import InputError

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "leaky_relu": nn.LeakyReLU}


class Conditioner(nn.Module):
    """A fully connected network of the untouched features and the context.

    Parameters
    ----------
    features : int
        Number of input features; 0 is allowed.
    outputs : int
        Number of outputs. The last layer starts at zero, so that a new flow is the identity.
    hidden : sequence of int
        Widths of the hidden layers.
    context : int
        Number of context features, concatenated to the input.
    activation : str
        "relu", "silu" or "leaky_relu".
    residual : bool
        Add the input of each hidden layer after the first to its output (1512.03385, with one layer per
        block); needs hidden layers of equal width.

    Notes
    -----
    With neither features nor context the outputs are free constants.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64, 64),
        context: int = 0,
        activation: str = "relu",
        residual: bool = False,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise InputError(f"unknown activation {activation!r}; known are {', '.join(ACTIVATIONS)}")
        hidden = whole_numbers(hidden, "hidden", 1)
        if residual and len(set(hidden)) > 1:
            raise InputError(f"residual layers need equal widths, got {tuple(hidden)}")
        self.features = features
        self.context = context
        self.residual = residual
        self.activation = ACTIVATIONS[activation]()
        self.layers = nn.ModuleList()
        self.constant: nn.Parameter | None = None
        if features + context == 0:
            self.constant = nn.Parameter(torch.zeros(outputs))
            return
        widths = [features + context, *hidden, outputs]
        self.layers.extend(nn.Linear(a, b) for a, b in pairwise(widths))
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(
        self, x: Float[Tensor, "n features"], context: Float[Tensor, "n context"] | None = None
    ) -> Float[Tensor, "n outputs"]:
        """The outputs for ``x`` (n, features) and ``context`` (n, context)."""
        if self.constant is not None:
            return self.constant.expand(x.shape[0], -1)
        h = x if context is None else torch.cat([x, context], -1)
        for index, layer in enumerate(self.layers[:-1]):
            out = self.activation(layer(h))
            h = h + out if self.residual and index > 0 else out
        return self.layers[-1](h)
