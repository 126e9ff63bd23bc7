"""Flow I: the energies of the calorimeter layers, given the incident energy (2106.05285, section III A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...flows import Component, Flow, build, describe
from .blocks import masked_blocks
from .preprocessing import (
    ALPHA,
    NOISE,
    THRESHOLD,
    EnergyFractions,
    LayerSizes,
    VoxelFractions,
    add_noise,
    energy_condition,
)

MARGIN = 1.002
"""Generated showers may deposit a little more of their energy than any in the training."""


class EnergyFlow(Component):
    """p(E_0, ..., E_{L-1} | E_inc) with a masked spline flow over energy fractions.

    Parameters
    ----------
    layers : number of voxels of each layer.
    top : largest ratio of deposited and incident energy.
    noise : width in MeV of the noise per voxel in the training, whose mean is taken off again. 0: only layers
        below the threshold get any energy, even in its logarithm, over the decade below the threshold: they
        stay apart from others, and are empty again in what is generated.
    alpha : see :func:`~lhcflow.calorimeter.models.preprocessing.logit`.
    flow : over the L numbers of :class:`EnergyFractions`, with one context feature.
    """

    def __init__(
        self,
        layers: Sequence[int],
        top: float,
        noise: float = NOISE,
        alpha: float = ALPHA,
        flow: Flow | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layers = LayerSizes(tuple(layers))
        self.noise, self.alpha = noise, alpha
        self.fractions = EnergyFractions(top, alpha)
        self.flow = flow or masked_blocks(len(layers), 1, blocks=6, hidden=(64, 64), seed=seed)

    def set_top(self, incident: Float[Tensor, " n"], deposited: Float[Tensor, " n"]) -> None:
        """Take the largest ratio of deposited and incident energy of some showers, plus a margin."""
        ratio = (deposited + self.noise * self.layers.voxels) / incident
        self.fractions = EnergyFractions(MARGIN * float(ratio.max()), self.alpha)

    def batch(self, batch: tuple[Tensor, ...], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Incident energies (n,) and voxels (n, V) to what the flow is trained on, with new noise."""
        incident, voxels = batch
        if self.noise:
            energies = self.layers.energies(add_noise(voxels.double(), self.noise, generator))
        else:
            energies = self.layers.energies(voxels.double())
            faint = THRESHOLD * 10 ** -torch.rand(energies.shape, generator=generator, dtype=energies.dtype)
            energies = torch.where(energies < THRESHOLD, faint, energies)
        x = self.fractions.forward(incident.double(), energies)
        return x.to(self.flow.dtype), self.condition(incident)

    def condition(self, incident: Float[Tensor, " n"]) -> Float[Tensor, "n 1"]:
        """What the flow sees of the incident energy."""
        return energy_condition(incident.double()).to(self.flow.dtype)

    @torch.no_grad()
    def sample(
        self, incident: Float[Tensor, " n"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "n L"]:
        """Layer energies (n, L) in MeV and float64 for incident energies (n,) in MeV."""
        return self.decode(incident, self.flow.base.sample(len(incident), generator))

    def decode(self, incident: Float[Tensor, " n"], latent: Float[Tensor, "n L"]) -> Float[Tensor, "n L"]:
        """The layer energies of points (n, L) in the latent space."""
        y, _ = self.flow.inverse(latent, self.condition(incident))
        energies = self.fractions.inverse(incident.double(), y.double())
        return VoxelFractions(self.layers, self.noise).noiseless(energies)

    def config(self) -> dict[str, Any]:
        return {
            "layers": list(self.layers.sizes),
            "top": self.fractions.top,
            "noise": self.noise,
            "alpha": self.alpha,
            "flow": describe(self.flow),
        }

    @classmethod
    def from_config(cls, **config: Any) -> EnergyFlow:
        return cls(**{**config, "flow": build(config["flow"])})
