"""A flow for the layers' energies, then a density of empty and hit cells."""

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
from .hit_density import HitDensity
from .hit_fit import fit
from .model import ShowerModel, showers_for
from .preprocessing import THRESHOLD
from .training import Deadline, TrainingSettings, checkpoint_in, train

Array = NDArray[np.floating[Any]]


class HitFlow(ShowerModel):
    """p(E_layers | E_inc) as CaloFlow has it, then p(cells | E_layers, E_inc), which needs no training.

    Parameters
    ----------
    energies : EnergyFlow
        Flow I.
    hits : HitDensity
        Of the cells.

    Examples
    --------
    >>> import numpy as np
    >>> from lhcflow.calorimeter.models import HitFlow
    >>> model = HitFlow.build(((2, 4), (2, 2)))
    >>> model.sample(np.full(3, 1000.0), seed=1).shape
    (3, 12)
    """

    def __init__(self, energies: EnergyFlow, hits: HitDensity) -> None:
        super().__init__(hits.layers.sizes)
        self.energies = energies
        self.hits = hits

    @classmethod
    def build(
        cls, shapes: Sequence[Sequence[int]], *, threshold: float = THRESHOLD, seed: int = 0
    ) -> HitFlow:
        """An untrained model.

        Parameters
        ----------
        shapes : sequence of sequence of int
            See `HitDensity`.
        threshold : float
            See `HitDensity`.
        seed : int
            Of flow I's weights.

        Raises
        ------
        InputError
            If a layer has no cells.
        """
        hits = HitDensity(shapes, threshold)
        return cls(EnergyFlow(hits.layers.sizes, 1.0, noise=0.0, seed=seed), hits)

    def train_on(
        self,
        incident: Array,
        voxels: Array,
        settings: TrainingSettings | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
        ridge: float = 10.0,
    ) -> dict[str, History]:
        """Train flow I by maximum likelihood and fit the cells, on all four reflections of each shower.

        Parameters
        ----------
        incident, voxels : Array
            Showers (n,) and (n, V) in MeV.
        settings : TrainingSettings, optional
            Of flow I; ``seed`` also chooses the showers that are held out, here as for other models.
        folder : path, optional
            Of flow I's checkpoint.
        resume : bool
            Of flow I's checkpoint.
        ridge : float
            Inverse prior variance of the coefficients of near cells and sums.

        Returns
        -------
        dict of str to History
            The history of "energies".
        """
        settings = settings or TrainingSettings()
        data = showers_for(self, incident, voxels)
        self.energies.set_range(data[0], self.layers.energies(data[1]))
        history = train(
            self.energies.flow,
            data,
            self.energies.batch,
            settings,
            checkpoint=checkpoint_in(folder, "energies"),
            resume=resume,
            deadline=Deadline(settings.seconds),
        )
        fit(self.hits, *data, ridge, settings.validation, settings.seed)
        return {"energies": history}

    @torch.no_grad()
    def log_prob(self, incident: Array, voxels: Array, seed: int = 0) -> NDArray[np.float64]:
        """Log densities (n,): of flow I in its variables, with one draw of its noise, plus those of
        `HitDensity.encode`.
        """
        data = showers_for(self, incident, voxels)
        batch = self.energies.batch(data, torch.Generator().manual_seed(seed))
        total = self.energies.flow.log_prob(*batch).double() + self.hits.encode(*data)[2]
        return total.numpy()

    def noise(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """As of other models, with uniform numbers (n, V) for the hits in between."""
        energies = torch.randn(n, len(self.layers.sizes), generator=generator)
        chances = torch.rand(n, self.layers.voxels, generator=generator)
        return energies, chances, torch.randn(chances.shape, generator=generator)

    def _decode(self, incident: Tensor, *latent: Tensor) -> Tensor:
        """Showers of normal numbers (n, L) and of what `HitDensity.decode` takes."""
        energies = self.energies.decode(incident, latent[0])
        return self.hits.decode(incident, energies, *latent[1:])

    def config(self) -> dict[str, Any]:
        return {"energies": describe(self.energies), "hits": describe(self.hits)}

    @classmethod
    def from_config(cls, **config: Any) -> HitFlow:
        return cls(build(config["energies"]), build(config["hits"]))
