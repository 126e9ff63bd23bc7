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
    layers : sequence of int
        Number of voxels of each layer.
    top : float
        Largest ratio of deposited and incident energy.
    noise : float
        Width in MeV of the noise per voxel in the training, whose mean is taken off again. 0: only layers
        below the threshold get any energy, even in its logarithm, over the decade below the threshold: they
        stay apart from others, and are empty again in what is generated.
    alpha : float
        See `logit`.
    flow : Flow, optional
        Over the L numbers of `EnergyFractions`, with one context feature.
    seed : int
        Of the flow's weights, if none is given.
    seen : sequence of sequence of float
        See `EnergyFractions`.
    trained : sequence of float
        Least and largest incident energy of the training, in MeV; empty if there was none.
    """

    def __init__(
        self,
        layers: Sequence[int],
        top: float,
        noise: float = NOISE,
        alpha: float = ALPHA,
        flow: Flow | None = None,
        seed: int = 0,
        seen: Sequence[Sequence[float]] = (),
        trained: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.layers = LayerSizes(tuple(layers))
        self.noise, self.alpha, self.trained = noise, alpha, tuple(trained)
        self.fractions = EnergyFractions(top, alpha, tuple((float(a), float(b)) for a, b in seen))
        self.flow = flow or masked_blocks(len(layers), 1, blocks=6, hidden=(64, 64), seed=seed)

    def set_range(self, incident: Float[Tensor, " n"], energies: Float[Tensor, "n L"]) -> None:
        """Take the range of all fractions from some showers; of the first one with a margin.

        Parameters
        ----------
        incident, energies : Tensor
            Incident energies (n,) and those of the layers (n, L) in MeV.
        """
        incident, energies = incident.double(), energies.double()
        ratio = (energies.sum(1) + self.noise * self.layers.voxels) / incident
        fractions = EnergyFractions(MARGIN * float(ratio.max()), self.alpha)
        # What the training adds: the mean of the noise, or some energy to layers that have none.
        sizes = torch.tensor(self.layers.sizes, dtype=energies.dtype)
        noisy = energies + 0.5 * self.noise * sizes if self.noise else self._not_empty(energies, None)
        u = fractions.fractions(incident, noisy)
        least, most = u.amin(0), u.amax(0)
        most[0] = 1.0  # the margin
        seen = tuple(zip(least.tolist(), most.tolist(), strict=True))
        self.trained = float(incident.min()), float(incident.max())
        self.fractions = EnergyFractions(fractions.top, self.alpha, seen)

    def batch(self, batch: tuple[Tensor, ...], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Incident energies (n,) and voxels (n, V) to what the flow is trained on, with new noise."""
        incident, voxels = batch
        if self.noise:
            energies = self.layers.energies(add_noise(voxels.double(), self.noise, generator))
        else:
            energies = self._not_empty(self.layers.energies(voxels.double()), generator)
        x = self.fractions.forward(incident.double(), energies)
        return x.to(self.flow.dtype), self.condition(incident)

    def _not_empty(self, energies: Tensor, generator: torch.Generator | None) -> Tensor:
        """Layer energies, with others, even in their logarithm, over the decade below the threshold where
        there are less; the least of that decade without a generator.
        """
        chance = torch.ones_like(energies)
        if generator is not None:
            chance = torch.rand(energies.shape, generator=generator, dtype=energies.dtype)
        return torch.where(energies < THRESHOLD, THRESHOLD * 10**-chance, energies)

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
            "trained": list(self.trained),
            "seen": [list(pair) for pair in self.fractions.seen],
            "noise": self.noise,
            "alpha": self.alpha,
            "flow": describe(self.flow),
        }

    @classmethod
    def from_config(cls, **config: Any) -> EnergyFlow:
        return cls(**{**config, "flow": build(config["flow"])})
