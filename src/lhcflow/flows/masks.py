"""Which dimensions each coupling layer transforms.

A mask is a tuple of ``dim`` booleans, True where the dimension is transformed and False where it
passes unchanged and feeds the conditioner. For ``dim=1`` the only mask is ``(True,)``.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

Mask = tuple[bool, ...]


def binary_masks(dim: int) -> list[Mask]:
    """The masks of i-flow (2001.05486, sec. II.C): binary counting.

    Layer pair ``b`` splits the dimensions by bit ``b`` of their index and then the other way round.
    Two indices differ in some bit, so each dimension is transformed given each other one after
    ``2 ceil(log2 dim)`` layers.
    """
    _check(dim)
    if dim == 1:
        return [(True,)]
    masks: list[Mask] = []
    for bit in range((dim - 1).bit_length()):
        mask = tuple(bool(index >> bit & 1) for index in range(dim))
        masks += [mask, _complement(mask)]
    return masks


def alternating_masks(dim: int) -> list[Mask]:
    """Checkerboard: the odd dimensions, then the even ones."""
    return binary_masks(dim)[:2]


def random_masks(dim: int, layers: int, seed: int = 0) -> list[Mask]:
    """Random halves of the dimensions, each followed by its complement."""
    _check(dim)
    if dim == 1:
        return [(True,)] * layers
    rng = np.random.default_rng(seed)
    masks: list[Mask] = []
    while len(masks) < layers:
        chosen = set(rng.permutation(dim)[: dim // 2].tolist())
        mask = tuple(index in chosen for index in range(dim))
        masks += [mask, _complement(mask)]
    return masks[:layers]


def make_masks(kind: str, dim: int, layers: int, seed: int = 0) -> list[Mask]:
    """``layers`` masks of one kind: "binary" and "alternating" are repeated in turn, "random" is not."""
    if layers < 1:
        raise InputError(f"a coupling flow needs layers >= 1, got {layers}")
    if kind == "random":
        return random_masks(dim, layers, seed)
    if kind not in ("binary", "alternating"):
        raise InputError(f"unknown masks {kind!r}; known are binary, alternating, random")
    cycle = binary_masks(dim) if kind == "binary" else alternating_masks(dim)
    return [cycle[layer % len(cycle)] for layer in range(layers)]


def _complement(mask: Mask) -> Mask:
    return tuple(not chosen for chosen in mask)


def _check(dim: int) -> None:
    if dim < 1:
        raise InputError(f"masks need dim >= 1, got {dim}")
