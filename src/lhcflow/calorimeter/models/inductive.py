"""Inductive CaloFlow: one layer after the other, each given the one before it (2305.11934)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...errors import InputError
from ...flows import Flow, build, describe
from ...training import History
from .blocks import masked_blocks
from .energies import EnergyFlow
from .model import ShowerModel, showers_for
from .preprocessing import (
    THRESHOLD,
    LayerSizes,
    VoxelFractions,
    add_noise,
    expit,
    largest_shares,
    voxel_condition,
)
from .training import Deadline, TrainingSettings, checkpoint_in, train

Array = NDArray[np.floating[Any]]

NOISE = 5e-3
"""Width in MeV of the noise per voxel (5 keV), as published."""
PAIRS = 4
"""Layers of each shower, drawn at random, that one step of flow III sees."""


class InductiveCaloFlow(ShowerModel):
    """Showers in steps: p(E | E_inc), p(I_0 | E_0, E_inc), then p(I_k | I_{k-1}, E_k, E_{k-1}, E_inc, k).

    ``E`` are the energies of all layers, ``I_k`` the voxels of layer k as shares of its energy. Flow III is
    one flow for all layers, which sees the number of the layer as a one-hot vector; so all layers need the
    same voxels, as in data sets 2 and 3 of the CaloChallenge.

    Parameters
    ----------
    layers : sequence of int
        Number of voxels of each layer.
    energies : EnergyFlow
        Flow I, of layers of one voxel each: noise goes on the layer's energy, not on its voxels.
    first, following : Flow
        Flows II and III, over the voxels of one layer.
    noise, threshold : float
        See `VoxelFractions`.

    Attributes
    ----------
    brightest : Tensor
        (V,) largest shares, see `VoxelFlow`.

    Notes
    -----
    The noise on the layer before is new in every step, in training and in sampling: flow III sees generated
    layers as it has seen real ones. As published, but for the variables of flow I, which are those of
    2106.05285, and ``min_bin``, ``min_derivative`` of the splines (1e-3 for 1e-6).

    Examples
    --------
    >>> import numpy as np
    >>> from lhcflow.calorimeter.models import InductiveCaloFlow
    >>> model = InductiveCaloFlow.build((4, 4, 4), blocks=2, hidden=(8,))
    >>> model.sample(np.full(3, 1000.0), seed=1).shape
    (3, 12)
    """

    brightest: Tensor

    def __init__(
        self,
        layers: Sequence[int],
        energies: EnergyFlow,
        first: Flow,
        following: Flow,
        noise: float = NOISE,
        threshold: float = THRESHOLD,
    ) -> None:
        super().__init__(layers)
        self.energies, self.first, self.following = energies, first, following
        self.shares = VoxelFractions(LayerSizes(self.layers.sizes[:1]), noise, threshold)
        self.register_buffer("brightest", torch.ones(self.layers.voxels))

    @classmethod
    def build(
        cls,
        layers: Sequence[int],
        *,
        top: float = 1.0,
        blocks: int = 8,
        hidden: Sequence[int] = (256, 256),
        bins: int = 8,
        noise: float = NOISE,
        threshold: float = THRESHOLD,
        seed: int = 0,
    ) -> InductiveCaloFlow:
        """An untrained model with the architecture of 2305.11934 unless said otherwise.

        Parameters
        ----------
        layers : sequence of int
            Number of voxels of each layer, all the same; two or more layers.
        top : float
            Largest ratio of deposited and incident energy; `train_on` sets it from the showers.
        blocks : int
            Of flows II and III.
        hidden : sequence of int
            Of flows II and III.
        bins : int
            Of flows II and III.
        noise, threshold : float
            In MeV.

        Raises
        ------
        InputError
            If the layers differ in size.
        """
        if len(layers) < 2 or len({*layers}) != 1:
            raise InputError(
                "icaloflow needs two or more layers with the same voxels in each (data sets 2 and 3 of the "
                f"CaloChallenge), got {_short(layers)}: take caloflow"
            )
        size = int(layers[0])
        shape: dict[str, Any] = {"blocks": blocks, "hidden": hidden, "bins": bins}
        return cls(
            layers,
            EnergyFlow([1] * len(layers), top, noise, seed=seed),
            masked_blocks(size, 2, seed=seed + 1, **shape),
            masked_blocks(size, 3 + size + len(layers) - 1, seed=seed + 2, **shape),
            noise,
            threshold,
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
        """Train the three flows by maximum likelihood; arguments and errors as for `CaloFlow`.

        Returns
        -------
        dict of str to History
            The histories of "energies", "first" and "following". In each step flow III sees ``PAIRS`` layers
            of each shower.
        """
        settings = settings or TrainingSettings()
        data = showers_for(self, incident, voxels)
        deadline = Deadline(settings.seconds)
        self.energies.set_range(data[0], self.layers.energies(data[1]))
        self.brightest.copy_(largest_shares(data[1], self.layers, self.shares.noise))
        histories = {}
        for name, flow, batch, how in (
            ("energies", self.energies.flow, self.energy_batch, energy_settings or settings),
            ("first", self.first, self.first_batch, settings),
            ("following", self.following, self.following_batch, settings),
        ):
            histories[name] = train(
                flow,
                data,
                batch,
                how,
                checkpoint=checkpoint_in(folder, name),
                resume=resume,
                deadline=deadline,
            )
        return histories

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        state.setdefault(f"{prefix}brightest", self.brightest)  # older files have none
        super()._load_from_state_dict(state, prefix, *args, **kwargs)

    def energy_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Incident energies (n,) and voxels (n, V) to what flow I is trained on, with new noise."""
        incident, voxels = batch
        return self.energies.batch((incident, self.layers.energies(voxels.double())), generator)

    def first_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Incident energies (n,) and voxels (n, V) to what flow II is trained on, with new noise."""
        incident, voxels = batch
        x, energy = self._noisy(self._layered(voxels)[:, 0], generator)
        return x.to(self.first.dtype), self._condition_of_first(incident, energy)

    def following_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Incident energies (n,) and voxels (n, V) to what flow III is trained on: n ``PAIRS`` rows."""
        incident, voxels = batch
        size = (len(incident) * PAIRS,)
        number = torch.randint(
            1, len(self.layers.sizes), size, generator=generator, device=voxels.device, dtype=torch.int64
        )
        row = torch.arange(len(incident), device=voxels.device).repeat_interleave(PAIRS)
        return self._pairs(incident, voxels, row, number, generator)

    @torch.no_grad()
    def log_prob(self, incident: Array, voxels: Array, seed: int = 0) -> NDArray[np.float64]:
        """Log densities (n,) of all flows together, in their variables and with one draw of the noise."""
        data = showers_for(self, incident, voxels)
        generator = torch.Generator().manual_seed(seed)
        total = self.energies.flow.log_prob(*self.energy_batch(data, generator)).double()
        total += self.first.log_prob(*self.first_batch(data, generator)).double()
        row = torch.arange(len(data[0]))
        for number in range(1, len(self.layers.sizes)):
            pair = self._pairs(*data, row, torch.full_like(row, number), generator)
            total += self.following.log_prob(*pair).double()
        return total.numpy()

    def noise(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """As of other models, then uniform numbers (n, V), which fill empty voxels of what flow III is given
        (those of the last layer are not used).
        """
        normal = super().noise(n, generator)
        return *normal, torch.rand(normal[1].shape, generator=generator)

    def _decode(self, incident: Tensor, *latent: Tensor) -> Tensor:
        """Showers (n, V) in MeV of what `noise` gives."""
        energies = self.energies.decode(incident, latent[0])
        most = self.brightest.unflatten(0, (len(self.layers.sizes), -1))
        points, uniform = (self._layered(x) for x in latent[1:])
        parts: list[Tensor] = []
        for number in range(len(self.layers.sizes)):
            energy = energies[:, number : number + 1]
            if not parts:
                flow, condition = self.first, self._condition_of_first(incident, energy)
            else:
                noisy = parts[-1] + self.shares.noise * uniform[:, number - 1]
                pair = energies[:, number - 1 : number + 1].flip(1)
                numbers = torch.full((len(incident),), number, device=incident.device)
                flow = self.following
                condition = self._condition(incident, pair, self.shares.forward(noisy), numbers)
            y = flow.inverse(points[:, number], condition)[0].double()
            shares = torch.minimum(expit(y, self.shares.alpha), most[number])
            parts.append(self.shares.renormalise(shares, energy))
        return torch.cat(parts, 1)

    def _pairs(
        self,
        incident: Tensor,
        voxels: Tensor,
        row: Tensor,
        number: Tensor,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Variables of the layers ``number`` (k,) of the showers ``row`` (k,), and what flow III is given."""
        layers = self._layered(voxels)
        x, energy = self._noisy(layers[row, number], generator)
        before, energy_before = self._noisy(layers[row, number - 1], generator)
        pair = torch.cat([energy, energy_before], 1)
        return x.to(self.following.dtype), self._condition(incident[row], pair, before, number)

    def _noisy(self, layer: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Variables (n, S) of one layer's voxels (n, S) with noise, and its energy (n, 1) in MeV."""
        noisy = add_noise(layer.double(), self.shares.noise, generator)
        return self.shares.forward(noisy), self.shares.noiseless(noisy.sum(1, keepdim=True))

    def _condition_of_first(self, incident: Tensor, energy: Tensor) -> Tensor:
        return voxel_condition(incident.double(), energy).to(self.first.dtype)

    def _condition(self, incident: Tensor, energies: Tensor, before: Tensor, number: Tensor) -> Tensor:
        """Energies of the layer and of the one before it (n, 2), its variables, the layer's number."""
        known = voxel_condition(incident.double(), energies)
        kind = functional.one_hot(number - 1, len(self.layers.sizes) - 1)
        return torch.cat([known, before, kind], 1).to(self.following.dtype)

    def _layered(self, voxels: Tensor) -> Tensor:
        return voxels.reshape(len(voxels), len(self.layers.sizes), -1)

    def config(self) -> dict[str, Any]:
        return {
            "layers": list(self.layers.sizes),
            "energies": describe(self.energies),
            "first": describe(self.first),
            "following": describe(self.following),
            "noise": self.shares.noise,
            "threshold": self.shares.threshold,
        }

    @classmethod
    def from_config(cls, **config: Any) -> InductiveCaloFlow:
        flows = {name: build(config[name]) for name in ("energies", "first", "following")}
        return cls(**{**config, **flows})


def _short(layers: Sequence[int]) -> str:
    text = ", ".join(str(n) for n in layers[:8])
    return f"({text}{', ...' if len(layers) > 8 else ''})"
