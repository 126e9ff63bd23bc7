"""What every shower model can do: sample showers for incident energies, and be saved."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...arguments import whole
from ...errors import InputError
from ...flows import Component, load_component, save
from ...training import History
from .preprocessing import LayerSizes, check_showers
from .training import TrainingSettings

M = TypeVar("M", bound="ShowerModel")
BLOCK = 256
"""Showers per block; every block has its own random numbers, whatever the batch and the device."""
BLOCKS_ON_GPU = 40
"""Blocks that are made at once there."""


class ShowerModel(Component):
    """A generative model of showers in a calorimeter of ``layers``; energies are in MeV.

    Subclasses give ``train_on``, ``_decode(incident, *latent)`` and, where it is not CaloFlow's, ``noise``.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = LayerSizes(tuple(layers))

    def train_on(
        self,
        incident: NDArray[np.floating[Any]],
        voxels: NDArray[np.floating[Any]],
        settings: TrainingSettings | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> dict[str, History]:
        """Train on showers of (n,) incident and (n, V) voxel energies in MeV; histories by name.

        ``folder`` is for checkpoints, from which ``resume`` goes on.
        """
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the model is, and so where it samples."""
        return next(self.parameters()).device

    def noise(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The random numbers that `decode` takes for n showers, in float32 on the CPU: normal ones
        (n, L) for the layers' energies and (n, V) for the voxels.
        """
        energies = torch.randn(n, len(self.layers.sizes), generator=generator)
        return energies, torch.randn(n, self.layers.voxels, generator=generator)

    def _decode(self, incident: Tensor, *latent: Tensor) -> Tensor:
        raise NotImplementedError

    @torch.no_grad()
    def decode(self, incident: Tensor, *latent: Tensor) -> Tensor:
        """Showers (n, V) in MeV of points in the latent spaces, see the model's ``_decode``.

        All in float64, unlike `sample`: a steep flow amplifies what float32 rounds away, and exports
        are compared with this.
        """
        exact = copy.deepcopy(self).double().eval()
        return exact._decode(incident.double(), *(x.double() for x in latent))

    def batches(
        self, incident: NDArray[np.floating[Any]] | Sequence[float], seed: int = 0
    ) -> Iterator[NDArray[np.float32]]:
        """Showers in blocks of at most 256 (10,240 on a GPU), for streaming; see `sample`."""
        seed = whole(seed, "seed", 0)
        try:
            given = np.asarray(incident, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("incident energies must be numbers (in MeV)") from None
        energies, _ = check_showers(torch.from_numpy(np.atleast_1d(given)))
        if self.training:  # eval() forgets the plans of the incremental kernel
            self.eval()
        blocks = 1 if self.device.type == "cpu" else BLOCKS_ON_GPU
        for number, part in enumerate(energies.split(blocks * BLOCK)):
            yield self._showers(part, seed, number * blocks)

    @torch.no_grad()
    def sample(
        self,
        incident: NDArray[np.floating[Any]] | Sequence[float],
        seed: int = 0,
        update: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Showers for given incident energies, made where the model is.

        Parameters
        ----------
        incident : ndarray or sequence of float
            (n,) incident energies in MeV.
        seed : int
            Of the random numbers; the same seed gives the same showers, and on a GPU the same up to what is
            rounded there.
        update : callable, optional
            Called with the number of showers made so far.

        Returns
        -------
        ndarray
            Voxel energies (n, V) in MeV.

        Raises
        ------
        InputError
            If an energy is not positive and finite.
        """
        parts = []
        done = 0
        for part in self.batches(incident, seed):
            parts.append(part)
            done += len(part)
            if update is not None:
                update(done)
        return np.concatenate(parts)

    @torch.no_grad()
    def _showers(self, incident: Tensor, seed: int, first: int) -> NDArray[np.float32]:
        """Showers of some blocks, the first of which has the number ``first``."""

        def draw(number: int, n: int) -> tuple[Tensor, ...]:
            state = np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0]
            return self.noise(n, torch.Generator().manual_seed(int(state)))

        blocks = [len(part) for part in incident.split(BLOCK)]
        if len(blocks) == 1:
            drawn = [draw(first, blocks[0])]
        else:  # for a GPU, which would wait for one thread for longer than it works
            with ThreadPoolExecutor() as pool:
                drawn = list(pool.map(draw, range(first, first + len(blocks)), blocks))
        like = next(self.parameters())
        latent = (torch.cat(parts).to(like) for parts in zip(*drawn, strict=True))
        return self._decode(incident.to(like.device), *latent).float().cpu().numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write architecture and weights to one safetensors file, atomically."""
        save(self, path)

    @classmethod
    def load(cls: type[M], path: str | os.PathLike[str]) -> M:
        """Read what `save` wrote; ``ShowerModel.load`` takes every kind of model.

        Raises
        ------
        InputError
            If the file is missing, broken or holds something else.
        """
        return load_component(path, cls)


def showers_for(model: ShowerModel, incident: Any, voxels: Any) -> tuple[Tensor, Tensor]:
    """Showers checked against the model's geometry, (n,) in float64 and (n, V) as they are."""
    checked = check_showers(torch.as_tensor(incident), torch.as_tensor(voxels), model.layers)
    if len(checked[0]) < 2:
        raise InputError("a training needs two or more showers")
    return checked
