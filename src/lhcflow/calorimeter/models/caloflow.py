"""CaloFlow: flow I for the layers' energies, flow II for the voxels (2106.05285, 2110.11377, 2210.14245)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...flows import build, describe
from ...training import History
from .energies import EnergyFlow
from .model import ShowerModel, showers_for
from .preprocessing import NOISE, THRESHOLD
from .training import Deadline, TrainingSettings, checkpoint_in, train
from .voxels import VoxelFlow

Array = NDArray[np.floating[Any]]


class CaloFlow(ShowerModel):
    """Showers in two steps: p(E_layers | E_inc) and p(voxels | E_layers, E_inc).

    The teacher has a masked flow that is fast in density and is sampled incrementally; the student of
    `distill` has one that is fast in sampling.

    Parameters
    ----------
    energies : EnergyFlow
        Flow I.
    voxels : VoxelFlow
        Flow II.

    Examples
    --------
    >>> import numpy as np
    >>> from lhcflow.calorimeter.models import CaloFlow
    >>> model = CaloFlow.build((4, 2), blocks=2, hidden=(8,))
    >>> model.sample(np.full(3, 1000.0), seed=1).shape
    (3, 6)
    """

    def __init__(self, energies: EnergyFlow, voxels: VoxelFlow) -> None:
        super().__init__(voxels.layers.sizes)
        self.energies = energies
        self.voxels = voxels

    @classmethod
    def build(
        cls,
        layers: Sequence[int],
        *,
        top: float = 1.0,
        blocks: int = 8,
        hidden: Sequence[int] = (378, 378),
        bins: int = 8,
        noise: float = NOISE,
        threshold: float = THRESHOLD,
        seed: int = 0,
    ) -> CaloFlow:
        """An untrained teacher with the architecture of 2106.05285 unless said otherwise.

        Parameters
        ----------
        layers : sequence of int
            Number of voxels of each layer.
        top : float
            Largest ratio of deposited and incident energy; `train` sets it from the showers.
        blocks : int
            See `VoxelFlow`.
        hidden : sequence of int
            See `VoxelFlow`.
        bins : int
            See `VoxelFlow`.
        noise, threshold : float
            See `VoxelFlow`.
        seed : int
            See `VoxelFlow`.
        """
        energies = EnergyFlow(layers, top, noise, seed=seed)
        return cls(
            energies,
            VoxelFlow(layers, blocks, hidden, bins, "density", noise, threshold, seed=seed),
        )

    def train_on(
        self,
        incident: Array,
        voxels: Array,
        settings: TrainingSettings | None = None,
        *,
        energy_settings: TrainingSettings | None = None,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> dict[str, History]:
        """Train both flows by maximum likelihood.

        Parameters
        ----------
        incident : Array
            (n,) incident energies in MeV.
        voxels : Array
            (n, V) voxel energies in MeV.
        settings : TrainingSettings, optional
            Of flow II.
        energy_settings : TrainingSettings, optional
            Of flow I; with the same number of epochs if None.
        folder : path, optional
            For checkpoints, ``energies.safetensors`` and ``voxels.safetensors``.
        resume : bool
            Go on from the checkpoints in ``folder`` where there are any.

        Returns
        -------
        dict of str to History
            The histories of "energies" and "voxels".

        Raises
        ------
        InputError
            If the showers have wrong shapes or values.
        TimeIsUp
            At the limit on time; the model has its best weights so far.
        """
        settings = settings or TrainingSettings()
        energy_settings = energy_settings or settings
        data = showers_for(self, incident, voxels)
        deadline = Deadline(settings.seconds)
        self.energies.set_range(data[0], self.layers.energies(data[1]))
        self.voxels.set_range(data[1])
        histories = {}
        for name, part, how in (
            ("energies", self.energies, energy_settings),
            ("voxels", self.voxels, settings),
        ):
            histories[name] = train(
                part.flow,
                data,
                part.batch,
                how,
                checkpoint=checkpoint_in(folder, name),
                resume=resume,
                deadline=deadline,
            )
        return histories

    @torch.no_grad()
    def log_prob(self, incident: Array, voxels: Array, seed: int = 0) -> NDArray[np.float64]:
        """Log densities (n,) of both flows together, in their variables and with one draw of the noise."""
        data = showers_for(self, incident, voxels)
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros(len(data[0]), dtype=torch.float64)
        for part in (self.energies, self.voxels):
            total += part.flow.log_prob(*part.batch(data, generator)).double()
        return total.numpy()

    def _decode(self, incident: Tensor, *latent: Tensor) -> Tensor:
        """Showers of points (n, L) and (n, V) in the latent spaces of flows I and II."""
        latent_energies, latent_voxels = latent
        energies = self.energies.decode(incident, latent_energies)
        return self.voxels.decode(incident, energies, latent_voxels)

    def config(self) -> dict[str, Any]:
        return {"energies": describe(self.energies), "voxels": describe(self.voxels)}

    @classmethod
    def from_config(cls, **config: Any) -> CaloFlow:
        return cls(build(config["energies"]), build(config["voxels"]))
