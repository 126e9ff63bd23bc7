"""Training of a flow of discrete and continuous variables on an integrand: one flow for all channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .categories import Categories
from .channel_grids import ChannelGrids
from .flow_training import Training
from .mixed import MixedProposal, mixed_flow, set_probability


@dataclass
class MixedTraining(Training):
    """As `Training`, on the categories of the first coordinate and the continuous others.

    The flow is a `MixedFlow`: probabilities of categories and points given the category
    are fitted together, by the same divergence, so that it weighs categories as it weighs points.

    Parameters
    ----------
    categories : Categories
        Of the first coordinate.
    """

    categories: Categories = field(kw_only=True)

    def _start(self) -> None:
        d = self.dim - 1
        grids = ChannelGrids.even(self.categories, self.dim)
        flow = mixed_flow(self.categories, grids.probability, partial(self._new_flow, d))
        self.flow: Any = flow
        self.proposal: Any = MixedProposal(flow, grids)
        self._labels = torch.as_tensor(self.categories.labels)

    def use_grid(self, grid: Any) -> None:
        """Put `ChannelGrids` under the flow, and start with their probabilities."""
        set_probability(self.flow.categorical, self.categories, grid.probability)
        self.proposal = MixedProposal(self.flow, grid)

    def _move(self, device: torch.device) -> None:
        super()._move(device)
        self._labels = self._labels.to(device)

    def _align(self) -> None:
        """Nothing: principal axes of all categories together belong to none."""

    def _log_prob(self, flow: Any, y: Tensor) -> Tensor:
        return flow.log_prob(self._labels[y[:, 0].long()], y[:, 1:])
