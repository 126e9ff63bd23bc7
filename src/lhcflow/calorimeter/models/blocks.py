"""The stack of masked spline blocks that CaloFlow uses for both of its flows (2106.05285, section III)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from ...errors import InputError
from ...flows import AutoregressiveSpline, Flow, Permutation, StandardNormal
from ...flows.bijection import Bijection

TAIL = 14.0
"""Half the interval of the splines: logit(1e-6) is -13.8."""


def masked_blocks(
    dim: int,
    context: int,
    *,
    blocks: int,
    hidden: Sequence[int],
    bins: int = 8,
    bound: float = TAIL,
    fast: Literal["density", "sampling"] = "density",
    seed: int = 0,
) -> Flow:
    """Blocks of masked autoregressive splines with reversed and random orders of the dimensions in turn.

    Parameters
    ----------
    dim, context : int
        Dimensions of the data and of the condition.
    blocks : int
        Number of blocks.
    hidden : sequence of int
        Widths of the hidden layers of each block.
    bins : int
        Of the splines, which are the identity outside [-bound, bound].
    bound : float
        Of the splines, which are the identity outside [-bound, bound].
    fast : {"density", "sampling"}
        "density" (teacher, MAF) or "sampling" (student, IAF).
    seed : int
        Of weights and permutations; flows of one seed have the same permutations.
    """
    if blocks < 1:
        raise InputError(f"a flow needs one or more blocks, got {blocks}")
    layers: list[Bijection] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for block in range(blocks):
            if block and dim > 1:
                reverse = block % 2 == 1
                layers.append(
                    Permutation.reverse(dim) if reverse else Permutation.random(dim, 1000 * seed + block)
                )
            layers.append(
                AutoregressiveSpline(
                    dim, context=context, hidden=hidden, bins=bins, fast=fast, domain="real", bound=bound
                )
            )
    return Flow(layers, StandardNormal(dim))
