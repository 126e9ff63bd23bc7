"""A flow of discrete and continuous variables as a proposal on the unit cube."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..flows import AutoregressiveCategorical, Flow, MixedFlow
from .categories import Categories, drawn
from .channel_grids import ChannelGrids
from .domains import domain_of
from .latent import CHUNK, flow_from_state, flow_state
from .proposal import Proposal, inside

EVEN = 0.15  # share of the training's points that is spread evenly over categories
CLOSED = -30.0  # logarithm of the probability of combinations of labels that no category has


class MixedProposal(Proposal):
    """Categories with learned probabilities, and one conditional flow for the points of all of them.

    The first coordinate is a category's, see `Categories`; the others are ``grid_k(Phi(y))``, where
    ``y`` follows the flow given the category's labels (one-hot), ``Phi`` is the normal distribution function
    (if the flow is on the real line) and ``grid_k`` the category's VEGAS map. A flow that is the identity
    gives the grids' density.

    Parameters
    ----------
    flow : MixedFlow
        p(labels) and p(y | labels); see `mixed_flow`.
    grids : ChannelGrids
        The VEGAS maps, one for each category.
    probability : ndarray, shape (k,)
        (k,) of the categories, instead of the flow's own.
    """

    def __init__(self, flow: MixedFlow, grids: ChannelGrids, probability: np.ndarray | None = None) -> None:
        if flow.categorical.categories != grids.categories.sizes:
            raise InputError(
                f"the flow has discrete variables with {flow.categorical.categories} values, "
                f"the categories {grids.categories.sizes}"
            )
        self.flow = flow
        self.grids = grids
        self.dim = grids.dim
        self.fixed = probability
        self._domain = domain_of(flow.flow)

    @property
    def categories(self) -> Categories:
        """Of the first coordinate."""
        return self.grids.categories

    @property
    def probability(self) -> Float[np.ndarray, " k"]:
        """Of the categories."""
        if self.fixed is not None:
            return self.fixed
        with torch.no_grad():
            log_p = self.flow.categorical.log_prob(torch.as_tensor(self.categories.labels)).double().numpy()
        p = np.where(self.categories.shares > 0, np.exp(log_p), 0.0)
        return p / p.sum()

    def with_probability(self, probability: np.ndarray) -> MixedProposal:
        """The same flow with other probabilities of the categories."""
        return MixedProposal(self.flow, self.grids, probability)

    def snapshot(self) -> MixedProposal:
        """A copy that further training does not change, to draw points of the training from.

        A part of its points is spread evenly over the categories, so that rare ones are learned, too.
        """
        open_ = self.categories.shares > 0
        probability = (1 - EVEN) * self.probability + EVEN * open_ / open_.sum()
        return MixedProposal(copy.deepcopy(self.flow), self.grids, probability)

    def _ratio(self) -> Float[np.ndarray, " k"]:
        return self.grids.with_probability(self.probability).ratio

    def map(
        self, u: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Latent cube to integration variables: ``x`` (n, dim) and |dx/du| (n,), 1 / density.

        The first latent coordinate chooses the category.
        """
        latent = Categories(self.probability)
        number = latent.number(u[:, 0])
        return self._points(number, latent.inside(u[:, 0], number), u[:, 1:])

    def _points(self, number: np.ndarray, along: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, log_jacobian = np.empty((len(u), self.dim)), np.empty(len(u))
        x[:, 0] = self.categories.place(number, along)
        for start in range(0, len(u), CHUNK):
            part = slice(start, start + CHUNK)
            z = torch.as_tensor(self._domain.enter(u[part]), dtype=self.flow.dtype)
            with torch.no_grad():
                y_torch, log_det = self.flow.flow.inverse(z, self._context(number[part]))
            y = y_torch.double().numpy()
            x[part, 1:], jacobian = self.grids.map(self._domain.leave(y), number[part])
            # |dx/du| = |dx/dy| |dy/dz| |dz/du|, with the float32 z that the flow really saw
            slopes = self._domain.log_slope(y) - self._domain.log_slope(z.double().numpy())
            log_jacobian[part] = log_det.double().numpy() + np.log(jacobian) + slopes
        return x, np.exp(log_jacobian) / self._ratio()[number]

    def _context(self, number: np.ndarray) -> Tensor:
        return self.flow.categorical.one_hot(torch.as_tensor(self.categories.labels[number]))

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        number = drawn(self.probability, n, rng)
        x, jacobian = self._points(number, rng.random(n), rng.random((n, self.dim - 1)))
        return x, 1 / jacobian

    def density(self, x: np.ndarray) -> np.ndarray:
        points, log_jacobian = self.real(np.clip(x, 0, 1))
        number, y = points[:, 0].astype(np.intp), points[:, 1:]
        log_q = np.log(self.probability[number])
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            with torch.no_grad():
                on_line = torch.as_tensor(y[part], dtype=self.flow.dtype)
                log_q[part] += self.flow.flow.log_prob(on_line, self._context(number[part])).double().numpy()
        return np.where(inside(x), np.exp(log_q - log_jacobian), 0.0)

    def real(
        self, x: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Numbers of categories and ``y`` of the flow for points ``x`` of the cube, and the Jacobian.

        Returns
        -------
        numbers_and_y : ndarray, shape (n, 1 + d)
            The number of the category, and y.
        log_jacobian : ndarray, shape (n,)
            ``log|dx/dy|``, with the share of the category: what turns a density in the cube into a
            probability of the category times a density of y.
        """
        number = self.categories.number(x[:, 0])
        u, density = self.grids.inverse(x[:, 1:], number)
        y = self._domain.enter(u)
        log_jacobian = self._domain.log_slope(y) - np.log(density) + np.log(self.categories.shares[number])
        return np.concatenate([number[:, None], y], axis=1), log_jacobian

    def state(self) -> dict[str, np.ndarray]:
        grids = self.grids.with_probability(self.probability).state()
        return {**grids, **flow_state(self.flow)}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        flow = flow_from_state(state)
        if not isinstance(flow, MixedFlow):
            raise InputError("the saved proposal holds no flow of discrete and continuous variables")
        grids = ChannelGrids.from_state(state)
        return cls(flow, grids, grids.probability)

    def __repr__(self) -> str:
        return f"MixedProposal({len(self.categories)} categories, {self.flow!r})"


def mixed_flow(categories: Categories, probability: np.ndarray, new_flow: Callable[[int], Flow]) -> MixedFlow:
    """A flow that gives the categories a probability, and their points a conditional flow.

    Parameters
    ----------
    categories : Categories
        Their labels are the discrete variables.
    probability : ndarray
        (k,) at the start.
    new_flow : callable
        Makes the flow of the continuous variables with a given number of context features.
    """
    # without hidden layers the networks are tables: a logit for each label given each earlier one
    categorical = AutoregressiveCategorical(categories.sizes, hidden=())
    set_probability(categorical, categories, probability)
    return MixedFlow(categorical, new_flow(categorical.features))


@torch.no_grad()
def set_probability(
    categorical: AutoregressiveCategorical, categories: Categories, probability: np.ndarray
) -> None:
    """Give the first two labels (or the one) of the categories these probabilities."""
    if len(categories.sizes) > 2:
        raise InputError(f"categories may have one or two labels, got {len(categories.sizes)}")
    table = np.zeros((*categories.sizes, 1)[:2])
    columns = categories.labels.T if categories.labels.shape[1] == 2 else (categories.labels[:, 0], 0)
    np.add.at(table, tuple(columns), probability)
    networks: list[Any] = list(categorical.networks)
    first, rest = networks[0], networks[1:]
    first.constant.copy_(torch.as_tensor(np.log(np.maximum(table.sum(axis=1), math.exp(CLOSED)))))
    if rest:
        given = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-300)
        layer = rest[0].layers[0]
        layer.weight.copy_(torch.as_tensor(np.log(np.maximum(given, math.exp(CLOSED))).T))
        layer.bias.zero_()
