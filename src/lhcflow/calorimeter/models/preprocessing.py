"""What stands between showers and the variables of the flows, forth and back (2106.05285, section III).

All energies are in MeV. Functions take and return float64 torch tensors: ``logit`` near 0 and 1 needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError

NOISE = 1e-3
"""Width in MeV of the uniform noise that fills empty voxels (1 keV)."""

THRESHOLD = 1e-2
"""Generated voxels below this energy in MeV (10 keV) become empty."""

ALPHA = 1e-6
"""Numbers x in [0, 1] become logit(alpha + (1 - 2 alpha) x)."""

_ROWS = 10_000  # showers whose shares exist at once


@dataclass(frozen=True)
class LayerSizes:
    """How the voxels of a shower, (n, V) in one row each, are divided into calorimeter layers.

    Parameters
    ----------
    sizes : tuple of int
        Number of voxels of each layer, in the order of the voxels.

    Examples
    --------
    >>> import torch
    >>> LayerSizes((2, 1)).energies(torch.tensor([[1.0, 2.0, 5.0]]))
    tensor([[3., 5.]])
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))
        if not self.sizes or min(self.sizes) < 1:
            raise InputError(f"layers need one or more sizes >= 1, got {self.sizes}")

    @property
    def voxels(self) -> int:
        """Number of voxels V."""
        return sum(self.sizes)

    @property
    def slices(self) -> list[slice]:
        """The voxels of each layer."""
        return [slice(a, b) for a, b in pairwise(accumulate(self.sizes, initial=0))]

    def energies(self, voxels: Float[Tensor, "n V"]) -> Float[Tensor, "n L"]:
        """The energy of each layer."""
        return torch.stack([voxels[:, part].sum(1) for part in self.slices], 1)

    def spread(self, values: Float[Tensor, "n L"]) -> Float[Tensor, "n V"]:
        """One value per layer as one value per voxel."""
        parts = [values[:, i : i + 1].expand(-1, size) for i, size in enumerate(self.sizes)]
        return torch.cat(parts, 1)


def check_showers(
    incident: Tensor | Sequence[float], voxels: Tensor | None = None, layers: LayerSizes | None = None
) -> tuple[Tensor, Tensor]:
    """Incident energies (n,) in float64 and voxels (n, V), or the reason why they can't be that.

    Voxels keep their precision and, where they have one, their memory: they may be gigabytes.

    Raises
    ------
    InputError
        For wrong shapes, energies that are negative, zero (incident ones) or not finite.
    """
    incident = torch.as_tensor(incident, dtype=torch.float64).reshape(-1)
    if incident.numel() == 0:
        raise InputError("there are no showers: give at least one incident energy")
    if not bool((torch.isfinite(incident) & (incident > 0)).all()):
        raise InputError("incident energies must be positive and finite (in MeV)")
    if voxels is None:
        return incident, incident.new_zeros(len(incident), 0)
    voxels = torch.as_tensor(voxels)
    voxels = voxels if voxels.is_floating_point() else voxels.double()
    wanted = f"({len(incident)}, {layers.voxels if layers else 'V'})"
    if voxels.ndim != 2 or len(voxels) != len(incident) or (layers and voxels.shape[1] != layers.voxels):
        raise InputError(f"voxels must have shape {wanted}, got {tuple(voxels.shape)}")
    low, high = voxels.aminmax()  # NaN if there is one
    if not (low >= 0 and torch.isfinite(high)):
        rows = int((~(torch.isfinite(voxels) & (voxels >= 0))).any(1).sum())
        raise InputError(f"voxel energies are negative or not finite in {rows} of {len(voxels)} showers")
    return incident, voxels


def add_noise(voxels: Tensor, width: float, generator: torch.Generator | None = None) -> Tensor:
    """Voxels with uniform noise between 0 and ``width``, new on every access."""
    noise = torch.rand(voxels.shape, generator=generator, dtype=voxels.dtype, device=voxels.device)
    return voxels + width * noise


def largest_shares(voxels: Float[Tensor, "n V"], layers: LayerSizes, noise: float) -> Float[Tensor, " V"]:
    """Largest share (V,) of its layer's energy that each voxel has in some showers, with the noise's mean."""
    most = torch.zeros(layers.voxels, dtype=torch.float64)
    for part in voxels.split(_ROWS):
        noisy = part.double() + 0.5 * noise
        share = noisy / layers.spread(layers.energies(noisy)).clamp_min(1e-300)
        most = torch.maximum(most, share.amax(0))
    return most


def logit(x: Tensor, alpha: float = ALPHA) -> Tensor:
    """``log(p / (1 - p))`` of p = alpha + (1 - 2 alpha) x, x clamped to [0, 1]."""
    p = alpha + (1 - 2 * alpha) * x.clamp(0, 1)
    return p.log() - torch.log1p(-p)


def expit(y: Tensor, alpha: float = ALPHA) -> Tensor:
    """The inverse of `logit`, clamped to [0, 1]."""
    return ((torch.sigmoid(y) - alpha) / (1 - 2 * alpha)).clamp(0, 1)


def energy_condition(incident: Float[Tensor, " n"]) -> Float[Tensor, "n 1"]:
    """log10(E_inc / 10 GeV): -1 to 1 between 1 and 100 GeV."""
    return incident[:, None].log10() - 4


def voxel_condition(incident: Float[Tensor, " n"], energies: Float[Tensor, "n L"]) -> Tensor:
    """log10 of incident and layer energies (n, 1 + L), in units of 10 GeV; at least 0.1 keV a layer."""
    return torch.cat([incident[:, None], energies.clamp_min(1e-4)], 1).log10() - 4


@dataclass(frozen=True)
class EnergyFractions:
    """Layer energies as numbers in [0, 1], and these on the real line (2106.05285, eq. 7).

    ``u_0 = sum E_i / (top E_inc)``, then ``u_{n+1} = E_n / sum_{m >= n} E_m`` for all layers but the last.

    Parameters
    ----------
    top : float
        The largest possible ratio of deposited and incident energy.
    alpha : float
        See `logit`.
    seen : tuple of pairs of floats
        The least and the largest of each fraction in the training, which `energies` keeps to; none if empty.
        A flow goes on outside what it was trained on, a detector does not: without these bounds some
        showers in 10,000 had half of their energy in a layer where no real one has more than 3 %.
    """

    top: float = 1.0
    alpha: float = ALPHA
    seen: tuple[tuple[float, float], ...] = ()

    def fractions(self, incident: Float[Tensor, " n"], energies: Float[Tensor, "n L"]) -> Tensor:
        """The fractions u (n, L)."""
        rest = energies.flip(1).cumsum(1).flip(1)  # sum over m >= n
        below = rest[:, :-1]
        share = torch.where(below > 0, energies[:, :-1] / below.clamp_min(1e-300), torch.zeros_like(below))
        return torch.cat([(rest[:, 0] / (self.top * incident))[:, None], share], 1).clamp(0, 1)

    def energies(self, incident: Float[Tensor, " n"], fractions: Float[Tensor, "n L"]) -> Tensor:
        """The layer energies (n, L) of fractions u; the inverse of `fractions`, within the bounds."""
        if self.seen:
            least, most = torch.tensor(self.seen, dtype=fractions.dtype, device=fractions.device).T
            fractions = fractions.clamp(least, most)
        rest = fractions[:, 0] * self.top * incident
        parts = []
        for n in range(1, fractions.shape[1]):
            parts.append(fractions[:, n] * rest)
            rest = rest - parts[-1]
        return torch.stack([*parts, rest], 1)

    def forward(self, incident: Float[Tensor, " n"], energies: Float[Tensor, "n L"]) -> Tensor:
        """Energies to the variables (n, L) of flow I."""
        return logit(self.fractions(incident, energies), self.alpha)

    def inverse(self, incident: Float[Tensor, " n"], y: Float[Tensor, "n L"]) -> Tensor:
        """The variables of flow I to energies (n, L)."""
        return self.energies(incident, expit(y, self.alpha))


@dataclass(frozen=True)
class VoxelFractions:
    """Voxels as shares of their layer's energy, and these on the real line.

    Parameters
    ----------
    layers : LayerSizes
        The division of the voxels.
    noise : float
        Width in MeV of the noise that is in the voxels of `forward`.
    threshold : float
        In MeV; voxels below it become 0 in `inverse`.
    alpha : float
        See `logit`.

    Notes
    -----
    ``inverse`` undoes ``forward`` up to the scale of each layer, which it takes from the layer energies,
    and up to what is below the threshold.
    """

    layers: LayerSizes
    noise: float = NOISE
    threshold: float = THRESHOLD
    alpha: float = ALPHA

    def forward(self, voxels: Float[Tensor, "n V"]) -> Tensor:
        """Voxels with noise to the variables (n, V) of flow II."""
        total = self.layers.spread(self.layers.energies(voxels)).clamp_min(1e-300)
        return logit(voxels / total, self.alpha)

    def inverse(self, y: Float[Tensor, "n V"], energies: Float[Tensor, "n L"]) -> Tensor:
        """The variables of flow II to voxels (n, V) with layer energies ``energies``, without noise."""
        return self.renormalise(expit(y, self.alpha), energies)

    def renormalise(self, shares: Float[Tensor, "n V"], energies: Float[Tensor, "n L"]) -> Tensor:
        """Scale each layer to its energy, cut at the threshold and scale what is left again.

        In the first step the layer's energy includes the mean of the noise, as it does in the training.
        """
        sizes = torch.tensor(self.layers.sizes, dtype=shares.dtype, device=shares.device)
        voxels = self._scale(shares, energies + 0.5 * self.noise * sizes)
        return self._scale(torch.where(voxels < self.threshold, 0.0, voxels), energies)

    def _scale(self, voxels: Tensor, energies: Tensor) -> Tensor:
        total = self.layers.energies(voxels)
        return voxels * self.layers.spread(torch.where(total > 0, energies / total.clamp_min(1e-300), 0.0))

    def noiseless(self, energies: Float[Tensor, "n L"]) -> Tensor:
        """Layer energies (n, L) of voxels with noise, less the noise's mean; 0 below the threshold."""
        sizes = torch.tensor(self.layers.sizes, dtype=energies.dtype, device=energies.device)
        clean = energies - 0.5 * self.noise * sizes
        return torch.where(clean < self.threshold, 0.0, clean)
