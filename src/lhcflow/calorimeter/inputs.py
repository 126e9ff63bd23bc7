"""What the classifier test looks at: voxels or high-level features, as in the published protocols."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .features import calochallenge_features
from .showers import Showers

Level = Literal["low", "low-normalised", "high"]
LEVELS: tuple[Level, ...] = ("low", "low-normalised", "high")
_GEV = 1e3


class VoxelInputs:
    """Voxels and energies of showers as inputs of a network, made for the rows that are asked for.

    Protocol "caloflow" (2106.05285): voxels in units of 100 GeV, or divided by their layer's energy;
    log10(10 E_inc / 100 GeV); log10(E_i / 100 GeV + 1e-8) + 2 for each layer.
    Protocol "calochallenge" (2410.21611): log10(E_inc / MeV); voxels divided by E_inc; or divided by their
    layer's energy, with log10(E_i / MeV + 1e-8) for each layer.

    Parameters
    ----------
    showers : Showers
        The sample; it is not copied.
    normalised : bool
        Whether voxels are divided by their layer's energy.
    protocol : str
        "caloflow" or "calochallenge".
    """

    def __init__(self, showers: Showers, normalised: bool, protocol: str) -> None:
        if protocol not in ("caloflow", "calochallenge"):
            raise InputError(f"there is no protocol {protocol!r}: take caloflow or calochallenge")
        self.normalised = normalised
        self.caloflow = protocol == "caloflow"
        self.voxels = torch.from_numpy(np.ascontiguousarray(showers.voxels))
        incident = torch.from_numpy(showers.energy_mev)
        layers = torch.from_numpy(showers.layer_energies())
        self.scale = incident.float()[:, None]
        if self.caloflow:
            self.energies = torch.cat(
                [
                    torch.log10(10 * incident[:, None] / (100 * _GEV)),
                    torch.log10(layers / (100 * _GEV) + 1e-8) + 2,
                ],
                dim=1,
            ).float()
        else:
            parts = [torch.log10(incident[:, None])]
            parts += [torch.log10(layers + 1e-8)] if normalised else []
            self.energies = torch.cat(parts, dim=1).float()
        self.layers = (layers + 1e-16).float()
        self.sizes = torch.tensor([layer.size for layer in showers.geometry.layers])
        self.dim = showers.geometry.voxels + self.energies.shape[1]

    def __len__(self) -> int:
        return len(self.voxels)

    def rows(self, index: Tensor) -> Tensor:
        """Inputs (k, dim) of the showers ``index``."""
        voxels = self.voxels[index].float()
        if self.normalised:
            voxels /= torch.repeat_interleave(self.layers[index], self.sizes, dim=1)
        elif self.caloflow:
            voxels /= 100 * _GEV
        else:
            voxels /= self.scale[index]
        return torch.cat([voxels, self.energies[index]], dim=1)


def high_level_inputs(showers: Showers) -> NDArray[np.float64]:
    """High-level features as the CaloChallenge gives them to its classifiers and to FPD and KPD.

    log10 of incident, layer and total energies in MeV (+ 1e-8), centres and widths over 100 mm, sparsities:
    (n, features).
    """
    f = calochallenge_features(showers)

    def scaled(name: str) -> NDArray[np.float64]:
        return f.group(name) / 1e2

    return np.concatenate(
        [
            np.log10(showers.energy_mev)[:, None],
            np.log10(f.group("E") + 1e-8),
            *(scaled(name) for name in ("centre_eta", "centre_phi", "width_eta", "width_phi")),
            np.log10(f.group("E_tot") + 1e-8),
            f.group("sparsity"),
            scaled("centre_r"),
            scaled("width_r"),
        ],
        axis=1,
    )


def support_inputs(showers: Showers) -> NDArray[np.float32]:
    """What PRDC looks at, as in the CaloChallenge: log10 of voxels in MeV, -1 for empty ones (n, voxels)."""
    return np.log10(np.where(showers.voxels == 0, 0.1, showers.voxels)).astype(np.float32)


def classifier_inputs(showers: Showers, level: Level, protocol: str) -> VoxelInputs | NDArray[np.float64]:
    """Inputs of the classifier test.

    Parameters
    ----------
    showers : Showers
        Voxels below the readout threshold already set to zero.
    level : {"low", "low-normalised", "high"}
        "low" (voxels), "low-normalised" (voxels over their layer's energy) or "high" (features).
    protocol : str
        "caloflow" or "calochallenge"; the high level is the same in both.
    """
    if level == "high":
        return high_level_inputs(showers)
    if level not in LEVELS:
        raise InputError(f"there is no level {level!r}: take {', '.join(LEVELS)}")
    return VoxelInputs(showers, level == "low-normalised", protocol)
