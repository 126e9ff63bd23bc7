"""A density of empty and hit cells: which have energy, then how much, cell after cell in a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...errors import InputError
from ...flows import Component
from ...flows.graphed import Graphs
from .cells import Cells
from .preprocessing import THRESHOLD, LayerSizes
from .tables import SCORES, TABLES, blend, to_scores, to_values

SUMS = 9
"""Per layer, over the cells so far: see :meth:`HitDensity.summary`."""
KNOTS = (-2.0, -1.0, 0.0, 1.0)
"""Standardised logarithms of energies, where a dependence on them may bend: layers have four decades."""
FAINT = 1.0
"""MeV: layers with less are described as if they had that."""
LIMIT = 8.0
"""Of standardised numbers."""
STATE = 3.5
"""Of the sums, which are features: outliers would be levers."""
RARE = 0.05
"""Least variance of a hit: one that nobody expected is not worth any number of others."""
LEAST = 1e-3
"""Of what is left of a layer's energy, for its logarithm."""
_NEAR = 1e-3  # of the threshold: hits are at least so far above it
_LOG2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Conditions:
    """What the energies say of all cells and steps.

    Attributes
    ----------
    powers : (n, powers), see :meth:`HitDensity.powers`.
    odds, mean, scale : (n, V) of the cells, see :meth:`HitDensity.base`.
    blend : (n, L, TABLES), weights of the layers' tables.
    state_mean, state_inverse : (steps, n, SUMS layers), see :meth:`HitDensity.moments`.
    """

    powers: Tensor
    odds: Tensor
    mean: Tensor
    scale: Tensor
    blend: Tensor
    state_mean: Tensor
    state_inverse: Tensor


class HitDensity(Component):
    """p(cells | E_0, ..., E_{L-1}, E_inc), autoregressive in steps, empty cells being apart from hit ones.

    A cell is empty with a probability of its own: nothing is dequantised. If it is hit, the logarithm of what
    it has above the threshold, as a share of the layer's energy, standardised given the energies and mapped
    to a normal variable by tables, is normal. Log-odds, mean and log sigma of a cell are linear in
    :meth:`powers` of the energies; in the sums and first moments of energies, hits and standardised energies
    over the steps before; and in the cells near by. Where the core has most of a layer's energy it comes
    last, and cells see what is left. Elsewhere they are fitted to shares of a total that varies by a fifth,
    which decouples them as a gamma total does Dirichlet's shares; samples are scaled. Cells of one step
    are independent given all steps before; there are 44 in CaloGAN's calorimeter. Everything is fitted by
    ridge regressions, see :mod:`.hit_fit`: no epochs, no learning rate.

    Parameters
    ----------
    shapes : cells along both axes of each layer; layers cover the same square, with the axis in its middle.
    threshold : in MeV, below which a cell counts as empty.
    inwards : of each layer, whether its cells are generated from the outside inwards; the fit chooses that.
    """

    centre: Tensor
    width: Tensor
    least: Tensor
    most: Tensor
    orbit_terms: Tensor
    knots: Tensor
    centres: Tensor
    orbit: Tensor
    layer: Tensor
    terms: Tensor
    links: Tensor
    state_terms: Tensor
    weights: Tensor

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        threshold: float = THRESHOLD,
        inwards: Sequence[bool] = (),
    ) -> None:
        super().__init__()
        self.cells = Cells(tuple((int(a), int(b)) for a, b in shapes), tuple(map(bool, inwards)))
        if not self.cells.shapes or min(min(shape) for shape in self.cells.shapes) < 1:
            raise InputError(f"layers need one or more cells along both axes, got {tuple(shapes)}")
        if len(self.cells.inwards) != len(self.cells.shapes):
            raise InputError(f"inwards needs one value for each layer, got {self.cells.inwards}")
        sizes = [a * b for a, b in self.cells.shapes]
        self.layers = LayerSizes(tuple(sizes))
        self.threshold = threshold
        self.forget_plans()
        cells, layers, orbits = sum(sizes), len(sizes), int(self.cells.orbits.max()) + 1
        powers = (layers + 2) * (layers + 3) // 2 + len(KNOTS) * (layers + 1)
        steps = len(self.cells.steps)
        table, places = torch.from_numpy(SCORES).float(), torch.linspace(-1.0, 1.0, TABLES)
        for name, start in {
            "centre": torch.zeros(layers + 1),
            "least": torch.full((layers + 1,), -8.0),
            "most": torch.full((layers + 1,), 8.0),
            "width": torch.ones(layers + 1),
            "orbit_terms": torch.zeros(3, orbits, powers),
            "knots": table.expand(orbits, TABLES, -1).clone(),
            "centres": places.expand(layers, -1).clone(),
            "terms": torch.zeros(3, cells, powers + SUMS * layers),
            "links": torch.zeros(3, cells, 2 * cells),
            "state_terms": torch.zeros(2, steps, SUMS * layers, powers),
        }.items():
            self.register_buffer(name, start)
        for name, index in (("orbit", self.cells.orbits), ("layer", self.cells.layer)):
            self.register_buffer(name, torch.from_numpy(index.copy()), persistent=False)
        weights = np.stack([np.ones(cells), *self.cells.places], 1)
        self.register_buffer("weights", torch.from_numpy(weights).float(), persistent=False)

    def logs(self, incident: Tensor, energies: Tensor) -> Tensor:
        """log10 of incident and layer energies (n, 1 + L) in MeV."""
        return torch.cat([incident.double()[:, None], energies.double().clamp_min(FAINT)], 1).log10()

    def powers(self, incident: Tensor, energies: Tensor) -> Tensor:
        """Products of up to two of the logarithms (standardised and within those of the fit), and what they
        have above each knot: (n, powers).
        """
        logs = self.logs(incident, energies).to(self.centre.dtype)
        c = (logs.clamp(self.least, self.most) - self.centre) / self.width
        above = [(c - knot).clamp_min(0.0) for knot in KNOTS]
        c = torch.cat([torch.ones_like(c[:, :1]), c], 1)
        rows, columns = torch.triu_indices(c.shape[1], c.shape[1], device=c.device)
        return torch.cat([c[:, rows] * c[:, columns], *above], 1)

    def base(self, powers: Tensor, index: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds, mean and log sigma (n, k) of cells from the energies alone, common to mirror images."""
        odds, mean, scale = powers @ self.orbit_terms[:, self.orbit[index]].transpose(1, 2)
        return odds.clamp(-9.0, 9.0), mean, scale.clamp(-5.0, 2.0)

    def layer_logs(self, powers: Tensor) -> Tensor:
        """Standardised logarithms (n, L) of the layers' energies, which are among the powers."""
        return powers[:, 2 : 2 + len(self.layers.sizes)]

    def blend(self, powers: Tensor) -> Tensor:
        """Weights (n, L, TABLES) of the tables of each layer."""
        return blend(self.layer_logs(powers), self.centres)

    def score(self, t: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised logarithms (n, V) of all cells to normal variables, and the slopes; ``weights`` of
        :meth:`blend`.
        """
        return to_scores(t, self.knots[self.orbit], weights[:, self.layer])

    def unscore(self, z: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        """The inverse of :meth:`score` for cells (k,) of one layer; ``weights`` (n, TABLES) of its tables."""
        return to_values(z, self.knots[self.orbit[index]], weights)

    def surplus(self, hit: Tensor, expected: Tensor) -> Tensor:
        """Hits (n, k) less their probability from the energies alone, in standard deviations: rare ones say
        more.
        """
        return (hit.to(expected.dtype) - expected) * (expected * (1 - expected)).clamp_min(RARE).rsqrt()

    def excess(self, voxels: Tensor, energies: Tensor) -> Tensor:
        """What hits have above the threshold, as shares of their layers' energies; 0 for empty cells."""
        above = (voxels - self.threshold).clamp_min(_NEAR * self.threshold)
        total = self.layers.spread(energies).clamp_min(1e-300)
        return torch.where(voxels >= self.threshold, above.double() / total, 0.0)

    def threshold_shares(self, energies: Tensor) -> Tensor:
        """The threshold as a share of each cell's layer energy: (n, V)."""
        return self.layers.spread(self.threshold / energies.clamp_min(1e-300))

    def renormalise(self, excess: Tensor, energies: Tensor) -> Tensor:
        """Voxels (n, V) in MeV: every layer has its energy, and every hit the threshold or more.

        Where the energy is not enough for that, all hits have the same.
        """
        hit = (excess > 0).double()
        count, sums = self.layers.energies(hit), self.layers.energies(excess)
        floor = (energies / count.clamp_min(1.0)).clamp_max(self.threshold)
        factor = torch.where(sums > 0, (energies - floor * count) / sums.clamp_min(1e-300), 0.0)
        return hit * self.layers.spread(floor) + excess * self.layers.spread(factor)

    def summary(self, shares: Tensor, hits: Tensor, z: Tensor, index: Tensor, layer: int) -> Tensor:
        """What a step adds to the sums (n, SUMS layers) of shares, hits and standardised energies, and to
        those of the three times each of the cells' coordinates; all (n, k), for cells (k,) of one layer.
        """
        result = shares.new_zeros(len(shares), SUMS, len(self.layers.sizes))
        weights = self.weights[index]
        result[:, :, layer] = torch.cat([shares @ weights, hits @ weights, z @ weights], 1)
        return result.flatten(1)

    def raw_state(self, total: Tensor) -> Tensor:
        """Sums of :meth:`summary`; of shares, the logarithm of what they leave."""
        layers = len(self.layers.sizes)
        left = (1 - total[:, :layers]).clamp_min(LEAST).log()
        return torch.cat([left, total[:, layers:]], 1)

    def moments(self, powers: Tensor, step: int | slice) -> tuple[Tensor, Tensor]:
        """Mean and inverse sigma (..., n, SUMS layers) of the sums before steps, given the energies."""
        mean, scale = powers @ self.state_terms[:, step].transpose(-1, -2)
        return mean, (-scale).clamp(-5.0, 5.0).exp()

    def state(self, total: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
        """The sums (n, SUMS layers) before a step, standardised by their moments."""
        return ((self.raw_state(total) - mean) * inverse).clamp(-STATE, STATE)

    def conditions(self, powers: Tensor) -> Conditions:
        """All that the energies say."""
        everything = slice(None)
        base, moments = self.base(powers, everything), self.moments(powers, everything)
        return Conditions(powers, *base, self.blend(powers), *moments)

    def parameters_of(
        self, step: int, given: Conditions, total: Tensor, links: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds, mean and log sigma (n, k) of the cells of a step, given all before.

        ``total`` (n, SUMS layers) are sums of :meth:`summary`; ``links`` (n, 2 V) hits less their probability
        from the energies alone, and standardised energies, 0 where a cell is empty.
        """
        index, near, weights = self._plan(step)
        state = self.state(total, given.state_mean[step], given.state_inverse[step])
        x = torch.cat([given.powers, state, links[:, near]], 1)
        odds, mean, scale = (x @ weights).tensor_split(3, 1)
        return given.odds[:, index] + odds, mean, scale.clamp(-4.0, 1.5)

    def _plan(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The cells of a step, the columns of links they look at, and the weights (features, 3 k)."""
        if step not in self._plans:
            index = torch.from_numpy(self.cells.steps[step]).to(self.links.device)
            part = self.links[:, index]
            near = torch.nonzero(part.ne(0).any(0).any(0)).flatten()
            weights = torch.cat([self.terms[:, index], part[:, :, near]], 2).flatten(0, 1).T.contiguous()
            self._plans[step] = index, near, weights
        return self._plans[step]

    def forget_plans(self) -> None:
        """To be called when weights have changed."""
        self._plans: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self._graphs = Graphs()

    def _apply(self, *args: Any, **kwargs: Any) -> HitDensity:
        self.forget_plans()
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.forget_plans()
        super()._load_from_state_dict(*args, **kwargs)

    @torch.no_grad()
    def decode(self, incident: Tensor, energies: Tensor, chances: Tensor, latent: Tensor) -> Tensor:
        """Voxels (n, V) in MeV of uniform numbers (n, V), which choose the hits, and normal ones (n, V).

        On CUDA this is one graph, see :class:`~lhcflow.flows.graphed.Graphs`.
        """
        return self._graphs.run(self._decode, incident, energies, chances, latent)[0]

    def _decode(self, incident: Tensor, energies: Tensor, chances: Tensor, latent: Tensor) -> tuple[Tensor]:
        given = self.conditions(self.powers(incident, energies))
        expected, sigma = given.odds.sigmoid(), given.scale.exp()
        possible = (energies > 0)[:, self.layer]
        least = self.threshold_shares(energies).to(sigma.dtype)
        n, cells = len(incident), self.layers.voxels
        links, excess = given.powers.new_zeros(n, 2 * cells), given.powers.new_zeros(n, cells)
        total = links.new_zeros(n, SUMS * len(self.layers.sizes))
        for step, layer in enumerate(self.cells.step_layers):
            index = self._plan(step)[0]
            odds, mean, scale = self.parameters_of(step, given, total, links)
            hit = (chances[:, index] < odds.sigmoid()) & possible[:, index]
            z = (mean + scale.exp() * latent[:, index]).clamp(-LIMIT, LIMIT)
            weights = given.blend[:, layer]
            logs = given.mean[:, index] + sigma[:, index] * self.unscore(z, index, weights)
            above, z = torch.where(hit, logs.clamp_max(0.0).exp(), 0.0), torch.where(hit, z, 0.0)
            share = torch.where(hit, above + least[:, index], 0.0)
            surplus = self.surplus(hit, expected[:, index])
            links[:, index], links[:, index + cells], excess[:, index] = surplus, z, above
            total = total + self.summary(share, surplus, z, index, layer)
        return (self.renormalise(excess.double(), energies),)

    @torch.no_grad()
    def encode(self, incident: Tensor, voxels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inverse of :meth:`decode`, as far as there is one.

        Returns
        -------
        Hit probabilities (n, V); normal variables (n, V), 0 for empty cells; and log densities (n,) of the
        cells given the layers' energies: probabilities of empty cells, densities of hit ones in the logarithm
        of the MeV above the threshold, before they are scaled to the layer's energy.
        """
        hit = voxels >= self.threshold
        voxels = torch.where(hit, voxels, 0.0)
        energies = self.layers.energies(voxels.double())
        given = self.conditions(self.powers(incident, energies))
        spread = self.layers.spread(energies)
        above = torch.where(hit, self.excess(voxels, energies), 1.0)
        t = (above.log().to(given.mean.dtype) - given.mean) * (-given.scale).exp()
        z, slope = self.score(t, given.blend)
        z, surplus = torch.where(hit, z.clamp(-LIMIT, LIMIT), 0.0), self.surplus(hit, given.odds.sigmoid())
        shares = (voxels / spread.clamp_min(1e-300)).to(z.dtype)
        links = torch.cat([surplus, z], 1)
        total = links.new_zeros(len(links), SUMS * len(self.layers.sizes))
        probability, latent, log_prob = torch.zeros_like(z), torch.zeros_like(z), z.new_zeros(len(z)).double()
        for step, layer in enumerate(self.cells.step_layers):
            index = self._plan(step)[0]
            odds, mean, scale = self.parameters_of(step, given, total, links)
            chosen, possible = hit[:, index], spread[:, index] > 0
            e = (z[:, index] - mean) * (-scale).exp()
            density = -0.5 * (e * e + _LOG2PI) - scale + slope[:, index].log() - given.scale[:, index]
            here = torch.where(chosen, functional.logsigmoid(odds) + density, functional.logsigmoid(-odds))
            log_prob += torch.where(possible, here, 0.0).double().sum(1)
            probability[:, index] = torch.where(possible, odds.sigmoid(), 0.0)
            latent[:, index] = torch.where(chosen, e, 0.0)
            parts = shares[:, index], surplus[:, index], z[:, index]
            total = total + self.summary(*parts, index, layer)
        return probability, latent, log_prob

    def config(self) -> dict[str, Any]:
        return {
            "shapes": [list(shape) for shape in self.cells.shapes],
            "inwards": list(self.cells.inwards),
            "threshold": self.threshold,
        }

    @classmethod
    def from_config(cls, **config: Any) -> HitDensity:
        return cls(**config)
