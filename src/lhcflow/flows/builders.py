"""Ready-made flows: the architectures of the field from a few numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from .autoregressive import AutoregressiveSpline
from .bases import NormalWithAngles, StandardNormal, Uniform
from .bijection import Bijection
from .coupling import CouplingSpline
from .flow import Flow
from .masks import make_masks
from .permutations import Permutation, SoftPermutation
from .vegas_grid import VegasGrid

Domain = Literal["unit", "real"]
PermutationKind = Literal["none", "reverse", "random", "soft"]


def coupling_spline(
    dim: int,
    context: int = 0,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64, 64),
    bins: int = 16,
    domain: Domain = "unit",
    *,
    masks: Literal["binary", "random", "alternating"] = "binary",
    permutation: PermutationKind = "none",
    circular: Sequence[int] = (),
    activation: str = "relu",
    residual: bool = False,
    bound: float = 5.0,
    grid: Tensor | None = None,
    seed: int | None = None,
) -> Flow:
    """A flow of rational-quadratic coupling layers (1906.04032), fast in both directions.

    Parameters
    ----------
    dim : number of dimensions.
    context : number of context features.
    layers : number of coupling layers. With binary masks every dimension sees every other one after
        ``2 ceil(log2 dim)`` layers (2001.05486).
    hidden : widths of the hidden layers of each conditioner network.
    bins : bins of each spline.
    domain : "unit" (data in the unit cube, uniform base) or "real" (splines in [-bound, bound], the
        identity beyond, normal base).
    masks : which dimensions each layer transforms; they come in complementary pairs.
    permutation : what stands between the pairs of layers; "soft" is a learnable rotation, which also
        precedes the first pair.
    circular : dimensions that are angles; see :class:`CouplingSpline`. Not with a permutation. In the domain
        "real" their base is uniform, and ``bound`` is half their period.
    activation, residual : of the networks.
    bound : see ``domain``.
    grid : (dim, bins + 1) edges of a VEGAS grid as the layer next to the data; domain "unit" only.
    seed : of the initial weights, random masks and permutations; None takes the weights from torch's
        global generator.

    Returns
    -------
    Flow
        The identity at the start, up to ``permutation`` and ``grid``.

    Raises
    ------
    InputError
        If an option is unknown or does not fit the others.

    Examples
    --------
    >>> flow = coupling_spline(3, layers=4, hidden=(32,), bins=8, permutation="soft", seed=1)
    >>> flow.sample(5).shape
    torch.Size([5, 3])
    """
    if circular and permutation != "none":
        raise InputError('circular dimensions need permutation="none": a permutation would move them')
    bijections: list[Bijection] = []
    with _seeded(seed):
        for layer, mask in enumerate(make_masks(masks, dim, layers, seed or 0)):
            if layer % 2 == 0:
                bijections += _permutation(permutation, dim, domain, layer, seed)
            bijections.append(
                CouplingSpline(
                    dim,
                    mask,
                    context=context,
                    hidden=hidden,
                    bins=bins,
                    domain=domain,
                    bound=bound,
                    circular=circular,
                    activation=activation,
                    residual=residual,
                )
            )
    flow = _flow(bijections, dim, domain, grid)
    if circular and domain == "real":
        flow.base = NormalWithAngles(dim, circular, bound)
    return flow


def autoregressive_spline(
    dim: int,
    context: int = 0,
    layers: int = 6,
    hidden: Sequence[int] = (128, 128),
    bins: int = 8,
    fast: Literal["density", "sampling"] = "density",
    domain: Domain = "unit",
    *,
    permutation: PermutationKind = "reverse",
    activation: str = "relu",
    residual: bool = False,
    degrees: str = "sequential",
    bound: float = 5.0,
    grid: Tensor | None = None,
    seed: int | None = None,
) -> Flow:
    """A flow of masked autoregressive rational-quadratic splines (1705.07057, 1606.04934, 1906.04032).

    Parameters
    ----------
    dim, context, bins, domain, activation, residual, bound, grid, seed : as in :func:`coupling_spline`.
    layers : number of autoregressive layers.
    hidden : widths of the hidden layers of each masked network.
    fast : "density" (MAF: ``log_prob`` in one pass of the networks) or "sampling" (IAF). The other
        direction is computed incrementally.
    permutation : what stands between the layers; "soft" also precedes the first.
    degrees : of the hidden units, "sequential" or "random"; see :class:`MADE`.

    Returns
    -------
    Flow
        The identity at the start, up to ``permutation`` and ``grid``.

    Raises
    ------
    InputError
        If an option is unknown or does not fit the others.

    Examples
    --------
    >>> flow = autoregressive_spline(3, context=1, layers=2, hidden=(32,), domain="real", seed=1)
    >>> flow.log_prob(flow.sample(5, context=torch.ones(1)), context=torch.ones(1)).shape
    torch.Size([5])
    """
    if layers < 1:
        raise InputError(f"an autoregressive flow needs layers >= 1, got {layers}")
    bijections: list[Bijection] = []
    with _seeded(seed):
        for layer in range(layers):
            bijections += _permutation(permutation, dim, domain, layer, seed)
            bijections.append(
                AutoregressiveSpline(
                    dim,
                    context=context,
                    hidden=hidden,
                    bins=bins,
                    fast=fast,
                    domain=domain,
                    bound=bound,
                    residual=residual,
                    activation=activation,
                    degrees=degrees,
                    seed=(seed or 0) + layer,
                )
            )
    return _flow(bijections, dim, domain, grid)


def _permutation(
    kind: PermutationKind, dim: int, domain: Domain, layer: int, seed: int | None
) -> list[Bijection]:
    """What stands in front of ``layer``."""
    if kind not in ("none", "reverse", "random", "soft"):
        raise InputError(f'permutation must be "none", "reverse", "random" or "soft", got {kind!r}')
    if kind == "none" or dim == 1:
        return []
    if kind == "soft":
        return [SoftPermutation(dim, domain)]
    if layer == 0:  # the order of the data is as good as any
        return []
    return [Permutation.reverse(dim) if kind == "reverse" else Permutation.random(dim, (seed or 0) + layer)]


def _flow(bijections: list[Bijection], dim: int, domain: Domain, grid: Tensor | None) -> Flow:
    if grid is None:
        return Flow(bijections, Uniform(dim) if domain == "unit" else StandardNormal(dim))
    if domain != "unit":
        raise InputError('a VEGAS grid maps onto the unit cube: it needs domain="unit"')
    return Flow([VegasGrid(dim, edges=grid), *bijections], Uniform(dim))


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draw initial weights from ``seed`` and leave torch's global generator as it was."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
