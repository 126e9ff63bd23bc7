"""Flow II: the voxels, given incident and layer energies (2106.05285, section III B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ...flows import Component, Flow, build, describe
from .blocks import masked_blocks
from .preprocessing import (
    ALPHA,
    NOISE,
    THRESHOLD,
    LayerSizes,
    VoxelFractions,
    add_noise,
    expit,
    largest_shares,
    voxel_condition,
)


class VoxelFlow(Component):
    """p(voxels | E_0, ..., E_{L-1}, E_inc) with a masked spline flow over shares of the layers' energies.

    Parameters
    ----------
    layers : sequence of int
        Number of voxels of each layer.
    blocks : int
        Of the flow, if none is given.
    hidden : sequence of int
        Of the flow, if none is given.
    bins : int
        Of the flow, if none is given.
    fast : {"density", "sampling"}
        "density" (the teacher, a MAF) or "sampling" (the student, an IAF).
    noise : float
        Width in MeV of the noise per voxel in the training.
    threshold : float
        In MeV, below which generated voxels are empty.
    alpha : float
        See `logit`.
    flow : Flow, optional
        Over the V voxels, with 1 + L context features.

    Attributes
    ----------
    brightest : Tensor
        (V,) largest share of its layer's energy that each voxel had in the training, which none has more of
        before layers are scaled to their energies; 1 if there was no training. A flow goes on outside what it
        was trained on: a training of two minutes put 15 % of e+ showers' first layers far outside those of
        Geant4.
    """

    brightest: Tensor

    def __init__(
        self,
        layers: Sequence[int],
        blocks: int = 8,
        hidden: Sequence[int] = (378, 378),
        bins: int = 8,
        fast: Literal["density", "sampling"] = "density",
        noise: float = NOISE,
        threshold: float = THRESHOLD,
        alpha: float = ALPHA,
        flow: Flow | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layers = LayerSizes(tuple(layers))
        self.register_buffer("brightest", torch.ones(self.layers.voxels))
        self.shares = VoxelFractions(self.layers, noise, threshold, alpha)
        self.flow = flow or masked_blocks(
            self.layers.voxels,
            1 + len(layers),
            blocks=blocks,
            hidden=hidden,
            bins=bins,
            fast=fast,
            seed=seed,
        )

    def batch(self, batch: tuple[Tensor, ...], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Incident energies (n,) and voxels (n, V) to what the flow is trained on, with new noise."""
        incident, voxels = batch
        noisy = add_noise(voxels.double(), self.shares.noise, generator)
        energies = self.shares.noiseless(self.layers.energies(noisy))
        return self.shares.forward(noisy).to(self.flow.dtype), self.condition(incident, energies)

    @torch.no_grad()
    def set_range(self, voxels: Float[Tensor, "n V"]) -> None:
        """Take the largest shares from some showers, with the mean of the noise."""
        self.brightest.copy_(largest_shares(voxels, self.layers, self.shares.noise))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        state.setdefault(f"{prefix}brightest", self.brightest)  # older files have none
        super()._load_from_state_dict(state, prefix, *args, **kwargs)

    def condition(self, incident: Float[Tensor, " n"], energies: Float[Tensor, "n L"]) -> Tensor:
        """What the flow sees of incident and layer energies (n, 1 + L)."""
        return voxel_condition(incident.double(), energies).to(self.flow.dtype)

    def decode(
        self, incident: Float[Tensor, " n"], energies: Float[Tensor, "n L"], latent: Float[Tensor, "n V"]
    ) -> Float[Tensor, "n V"]:
        """Voxels (n, V) in MeV and float64 of latent points (n, V); each layer has exactly its energy."""
        y, _ = self.flow.inverse(latent, self.condition(incident, energies))
        shares = torch.minimum(expit(y.double(), self.shares.alpha), self.brightest)
        return self.shares.renormalise(shares, energies)

    def config(self) -> dict[str, Any]:
        return {
            "layers": list(self.layers.sizes),
            "noise": self.shares.noise,
            "threshold": self.shares.threshold,
            "alpha": self.shares.alpha,
            "flow": describe(self.flow),
        }

    @classmethod
    def from_config(cls, **config: Any) -> VoxelFlow:
        return cls(**{**config, "flow": build(config["flow"])})
