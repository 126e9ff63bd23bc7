"""Ready-made flows: the architectures of the field from a few numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..arguments import seed_number, whole
from ..errors import InputError
from .affine import Affine
from .autoregressive import AutoregressiveSpline
from .bases import Base, NormalWithAngles, StandardNormal, Uniform
from .bijection import Bijection, angles_of
from .coupling import CouplingSpline
from .flow import Flow
from .inverse import Inverse
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
    circular: Sequence[int] | int = (),
    activation: str = "relu",
    residual: bool = False,
    bound: float | Sequence[float] = 5.0,
    standardize: Tensor | np.ndarray | None = None,
    grid: Tensor | None = None,
    seed: int | None = None,
) -> Flow:
    """A flow of rational-quadratic coupling layers (1906.04032), fast in both directions.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    context : int
        Number of context features.
    layers : int
        Number of coupling layers. With binary masks every dimension sees every other one after ``2 ceil(log2
        dim)`` layers (2001.05486).
    hidden : sequence of int
        Widths of the hidden layers of each conditioner network.
    bins : int
        Bins of each spline.
    domain : {"unit", "real"}
        "unit" (data in the unit cube, uniform base) or "real" (splines in [-bound, bound], the identity
        beyond, normal base).
    masks : {"binary", "random", "alternating"}
        Which dimensions each layer transforms; they come in complementary pairs.
    permutation : {"none", "reverse", "random", "soft"}
        What stands between the pairs of layers; "soft" is a learnable rotation, which also precedes the first
        pair.
    circular : sequence of int or int
        Dimensions that are angles; see `CouplingSpline`. Not with ``permutation="soft"``. In the domain
        "real" their base is uniform, and ``bound`` is half their period.
    activation : str
        Of the networks.
    residual : bool
        Of the networks.
    bound : float or sequence of float
        See ``domain``; one number, or one for each dimension.
    standardize : Tensor or ndarray, optional
        A sample (n, dim) of the data in the domain "real". The flow begins with the map to its mean 0 and
        standard deviation 1 (angles stay as they are); ``bound`` is in these units then.
    grid : Tensor, optional
        (dim, bins + 1) edges of a VEGAS grid as the layer next to the data; domain "unit" only.
    seed : int, optional
        Of the initial weights, random masks and permutations; None takes the weights from torch's global
        generator.

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
    dim, bins = whole(dim, "dim", 1), whole(bins, "bins", 1)
    layers, seed = whole(layers, "layers", 1), seed_number(seed)
    ends = _Ends(dim, domain, bound, circular, grid, standardize)
    all_masks = make_masks(masks, dim, layers, seed or 0)

    def layer(index: int, circular: tuple[int, ...]) -> CouplingSpline:
        return CouplingSpline(
            dim,
            all_masks[index],
            context=context,
            hidden=hidden,
            bins=bins,
            domain=domain,
            bound=ends.layer_bound,
            circular=circular,
            activation=activation,
            residual=residual,
        )

    return _flow(ends, layer, layers, 2, permutation, seed)


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
    circular: Sequence[int] | int = (),
    activation: str = "relu",
    residual: bool = False,
    degrees: str = "sequential",
    bound: float | Sequence[float] = 5.0,
    standardize: Tensor | np.ndarray | None = None,
    grid: Tensor | None = None,
    seed: int | None = None,
) -> Flow:
    """A flow of masked autoregressive rational-quadratic splines (1705.07057, 1606.04934, 1906.04032).

    Parameters
    ----------
    dim, context, bins : int
        As in `coupling_spline`.
    domain : {"unit", "real"}
        As in `coupling_spline`.
    circular : sequence of int or int
        As in `coupling_spline`.
    activation : str
        As in `coupling_spline`.
    residual : bool
        As in `coupling_spline`.
    bound : float or sequence of float
        As in `coupling_spline`.
    standardize : Tensor or ndarray, optional
        As in `coupling_spline`.
    grid : Tensor, optional
        As in `coupling_spline`.
    seed : int, optional
        As in `coupling_spline`.
    layers : int
        Number of autoregressive layers.
    hidden : sequence of int
        Widths of the hidden layers of each masked network.
    fast : {"density", "sampling"}
        "density" (MAF: ``log_prob`` in one pass of the networks) or "sampling" (IAF). The other direction is
        computed incrementally.
    permutation : {"none", "reverse", "random", "soft"}
        What stands between the layers; "soft" also precedes the first.
    degrees : str
        Of the hidden units, "sequential" or "random"; see `MADE`.

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
    dim, bins = whole(dim, "dim", 1), whole(bins, "bins", 1)
    layers, seed = whole(layers, "layers", 1), seed_number(seed)
    ends = _Ends(dim, domain, bound, circular, grid, standardize)

    def layer(index: int, circular: tuple[int, ...]) -> AutoregressiveSpline:
        return AutoregressiveSpline(
            dim,
            context=context,
            hidden=hidden,
            bins=bins,
            fast=fast,
            domain=domain,
            bound=ends.layer_bound,
            circular=circular,
            residual=residual,
            activation=activation,
            degrees=degrees,
            seed=(seed or 0) + index,
        )

    return _flow(ends, layer, layers, 1, permutation, seed)


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


class _Ends:
    """What stands before and behind the layers of a recipe, and how wide their splines are."""

    def __init__(
        self,
        dim: int,
        domain: Domain,
        bound: float | Sequence[float],
        circular: Sequence[int] | int,
        grid: Tensor | None,
        standardize: Tensor | np.ndarray | None,
    ) -> None:
        if domain not in ("unit", "real"):
            raise InputError(f"domain must be 'unit' or 'real', got {domain!r}")
        self.dim, self.grid = dim, grid
        self.domain: Domain = domain
        self.circular = angles_of(circular, dim)
        if grid is not None and domain != "unit":
            raise InputError('a VEGAS grid maps onto the unit cube: it needs domain="unit"')
        self.layer_bound, self.bounds = 1.0, None
        if isinstance(bound, int | float):
            self.layer_bound = float(bound)
        else:
            self.bounds = [float(b) for b in bound]
            if domain != "real" or len(self.bounds) != dim or not all(b > 0 for b in self.bounds):
                raise InputError(f'a bound per dimension is {dim} positive numbers with domain="real"')
        self.scaling = None if standardize is None else self._scaling(standardize)

    def _scaling(self, standardize: Tensor | np.ndarray) -> Affine:
        if self.domain != "real":
            raise InputError('standardize needs domain="real"; Affine.min_max maps a box onto the unit cube')
        scaling = Affine.standardize(standardize)
        if scaling.dim != self.dim:
            raise InputError(
                f"standardize needs a sample of shape (n, {self.dim}), got {scaling.dim} columns"
            )
        scaling.shift[list(self.circular)], scaling.scale[list(self.circular)] = 0.0, 1.0
        return scaling

    def flow(self, layers: list[Bijection], order: list[int]) -> Flow:
        """The flow of ``layers``, whose last one gives the dimensions in ``order``."""
        before: list[Bijection] = [] if self.scaling is None else [self.scaling]
        after: list[Bijection] = []
        if self.grid is not None:
            before.append(VegasGrid(self.dim, edges=self.grid))
        bounds: Any = self.layer_bound
        if self.bounds is not None:
            bounds = [self.bounds[i] for i in order]
            before.append(Affine(self.dim, scale=torch.tensor(self.bounds)))
            after.append(Inverse(Affine(self.dim, scale=torch.tensor(bounds))))
        base: Base = Uniform(self.dim) if self.domain == "unit" else StandardNormal(self.dim)
        if self.circular and self.domain == "real":
            base = NormalWithAngles(self.dim, [order.index(i) for i in self.circular], bounds)
        return Flow([*before, *layers, *after], base)


def _flow(
    ends: _Ends,
    layer: Callable[[int, tuple[int, ...]], Bijection],
    layers: int,
    every: int,
    permutation: PermutationKind,
    seed: int | None,
) -> Flow:
    """A flow of ``layer(index, angles)``, with a permutation in front of each ``every`` of them."""
    if ends.circular and permutation == "soft":
        raise InputError('circular dimensions can\'t be mixed with others: no permutation="soft"')
    if ends.bounds and permutation == "soft":
        raise InputError('dimensions with bounds of their own can\'t be mixed: no permutation="soft"')
    bijections: list[Bijection] = []
    order = list(range(ends.dim))  # of the data, as the next layer sees it
    with _seeded(seed):
        for index in range(layers):
            if index % every == 0:
                for part in _permutation(permutation, ends.dim, ends.domain, index, seed):
                    bijections.append(part)
                    if isinstance(part, Permutation):
                        order = [order[i] for i in part.order.tolist()]
            angles = tuple(sorted(order.index(i) for i in ends.circular))
            bijections.append(layer(index, angles))
    return ends.flow(bijections, order)


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draw initial weights from ``seed`` and leave torch's global generator as it was."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
