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
from .tables import SCORES, TABLES, blend, lines, to_scores, to_values

SUMS = 9
"""Per layer, over the cells so far: see `HitDensity.sums`."""
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
class Step:
    """A step of the generation; cells are numbered in the order in which they are generated.

    Attributes
    ----------
    number : int
        Of the step.
    cells : slice
        Numbers of its cells, k of them, and their layer.
    layer : int
        Numbers of its cells, k of them, and their layer.
    near : Tensor
        (m,) columns of the links that they look at.
    weights : Tensor
        (powers + SUMS layers + m, 3 k) of the regressions.
    sums : Tensor
        (3 k, SUMS layers), see `HitDensity.sums`.
    lines : Tensor
        Of the tables, see `lines`.
    most : Tensor
        (k,) largest logarithms of shares.
    """

    number: int
    cells: slice
    layer: int
    near: Tensor
    weights: Tensor
    sums: Tensor
    lines: Tensor
    most: Tensor

    @property
    def links(self) -> slice:
        """The columns of the links that its cells have, 2 k."""
        return slice(2 * self.cells.start, 2 * self.cells.stop)


@dataclass(frozen=True)
class Plan:
    """The steps, the cells (V,) in their order, and the place (V,) of each cell in it."""

    steps: list[Step]
    order: Tensor
    place: Tensor


@dataclass(frozen=True)
class Conditions:
    """What the energies say of all steps, and of all cells in their order.

    Attributes
    ----------
    powers : Tensor
        (n, powers), see `HitDensity.powers`.
    odds, mean, scale : Tensor
        (n, V) of the cells, see `HitDensity.base`.
    blend : Tensor
        (n, L, TABLES), weights of the layers' tables.
    state_mean, state_inverse : Tensor
        (steps, n, SUMS layers), see `HitDensity.moments`.
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
    `powers` of the energies; in the sums and first moments of energies, hits and standardised energies
    over the steps before; and in the cells near by. Where the core has most of a layer's energy it comes
    last, and cells see what is left. Elsewhere they are fitted to shares of a total that varies by a fifth,
    which decouples them as a gamma total does Dirichlet's shares; samples are scaled. Cells of one step
    are independent given all steps before; there are 44 in CaloGAN's calorimeter. No hit has a larger share
    than the largest that was seen in the fit in cells of its place (`brightest`): mean and sigma, of degree
    two in the energies, are large where a layer has an unusual energy, and one shower in 2,000 had a tenth
    or half of its first layer in a cell at the side, where no real one has a hundredth. Everything is fitted
    by ridge regressions, see `hit_fit`: no epochs, no learning rate.

    Parameters
    ----------
    shapes : sequence of sequence of int
        Cells along both axes of each layer; layers cover the same square, with the axis in its middle.
    threshold : float
        In MeV, below which a cell counts as empty.
    inwards : sequence of bool
        Of each layer, whether its cells are generated from the outside inwards; the fit chooses that.
    """

    centre: Tensor
    width: Tensor
    least: Tensor
    most: Tensor
    orbit_terms: Tensor
    brightest: Tensor
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
            "brightest": torch.zeros(orbits),
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

    def score(self, t: Tensor, index: Tensor | slice, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised logarithms (n, k) of cells to normal variables, and the slopes; ``weights`` of
        `blend`.
        """
        return to_scores(t, self.knots[self.orbit[index]], weights[:, self.layer[index]])

    def precision(self, expected: Tensor) -> Tensor:
        """One over the standard deviations of hits of a probability: rare ones say more."""
        return (expected * (1 - expected)).clamp_min(RARE).rsqrt()

    def surplus(self, hit: Tensor, odds: Tensor) -> Tensor:
        """Hits less their probability from the energies alone, in standard deviations."""
        expected = odds.sigmoid()
        return (hit.to(odds.dtype) - expected) * self.precision(expected)

    def excess(self, voxels: Tensor, energies: Tensor) -> Tensor:
        """What hits have above the threshold, as shares of their layers' energies; 0 for empty cells."""
        above = (voxels - self.threshold).clamp_min(_NEAR * self.threshold)
        total = self.layers.spread(energies).clamp_min(1e-300)
        return torch.where(voxels >= self.threshold, above.double() / total, 0.0)

    def threshold_shares(self, energies: Tensor) -> Tensor:
        """The threshold as a share of each layer's energy: (n, L)."""
        return self.threshold / energies.clamp_min(1e-30)  # finite in float32 too

    def renormalise(self, excess: Tensor, energies: Tensor) -> Tensor:
        """Voxels (n, V) in MeV: every layer has its energy, and every hit the threshold or more.

        Where the energy is not enough for that, all hits have the same.
        """
        hit = (excess > 0).double()
        count, sums = self.layers.energies(hit), self.layers.energies(excess)
        floor = (energies / count.clamp_min(1.0)).clamp_max(self.threshold)
        factor = torch.where(sums > 0, (energies - floor * count) / sums.clamp_min(1e-300), 0.0)
        return hit * self.layers.spread(floor) + excess * self.layers.spread(factor)

    def sums(self, index: Tensor, layer: int) -> Tensor:
        """What shares, hits and standardised energies of cells (k,) of a layer add to the sums and to those
        of the three times each of the cells' coordinates: a matrix (3 k, SUMS layers).
        """
        weights = self.weights[index]
        result = weights.new_zeros(3 * len(weights), SUMS, len(self.layers.sizes))
        result[:, :, layer] = torch.block_diag(weights, weights, weights)
        return result.flatten(1)

    def raw_state(self, total: Tensor) -> Tensor:
        """The sums (n, SUMS layers); of shares, the logarithm of what they leave."""
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
        base, moments = self.base(powers, self.plan().order), self.moments(powers, slice(None))
        return Conditions(powers, *base, self.blend(powers), *moments)

    def parameters_of(
        self, step: Step, given: Conditions, total: Tensor, links: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds, mean and log sigma (n, k) of the cells of a step, given all before.

        ``total`` (n, SUMS layers) are the sums; ``links`` (n, 2 V) of each step hits less their probability
        from the energies alone, in standard deviations, and standardised energies, 0 where a cell is empty.
        """
        state = self.state(total, given.state_mean[step.number], given.state_inverse[step.number])
        x = torch.cat([given.powers, state, links.index_select(1, step.near)], 1)
        odds, mean, scale = (x @ step.weights).tensor_split(3, 1)
        return given.odds[:, step.cells] + odds, mean, scale.clamp(-4.0, 1.5)

    def plan(self) -> Plan:
        """All steps with their parts of the weights, made once."""
        if self._plan is None:
            parts = [torch.from_numpy(cells).to(self.links.device) for cells in self.cells.steps]
            columns = torch.cat([part + shift for part in parts for shift in (0, self.layers.voxels)])
            steps: list[Step] = []
            start = 0
            for number, (index, layer) in enumerate(zip(parts, self.cells.step_layers, strict=True)):
                stop = start + len(index)
                links = self.links[:, index][:, :, columns]
                near = torch.nonzero(links.ne(0).any(0).any(0)).flatten()
                weights = torch.cat([self.terms[:, index], links[:, :, near]], 2).flatten(0, 1).T.contiguous()
                sums, orbit = self.sums(index, layer), self.orbit[index]
                table, most = lines(self.knots[orbit]), self.brightest[orbit]
                steps.append(Step(number, slice(start, stop), layer, near, weights, sums, table, most))
                start = stop
            order = torch.cat(parts)
            self._plan = Plan(steps, order, order.argsort())
        return self._plan

    def forget_plans(self) -> None:
        """To be called when weights have changed."""
        self._plan: Plan | None = None
        self._graphs = Graphs()

    def _apply(self, *args: Any, **kwargs: Any) -> HitDensity:
        self.forget_plans()
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        self.forget_plans()
        state.setdefault(f"{prefix}brightest", self.brightest)  # older files have none
        super()._load_from_state_dict(state, prefix, *args, **kwargs)

    @torch.no_grad()
    def decode(self, incident: Tensor, energies: Tensor, chances: Tensor, latent: Tensor) -> Tensor:
        """Voxels (n, V) in MeV of uniform numbers (n, V), which choose the hits, and normal ones (n, V).

        On CUDA this is one graph, see `Graphs`.
        """
        return self._graphs.run(self._decode, incident, energies, chances, latent)[0]

    def _decode(self, incident: Tensor, energies: Tensor, chances: Tensor, latent: Tensor) -> tuple[Tensor]:
        plan, n = self.plan(), len(incident)
        given = self.conditions(self.powers(incident, energies))
        expected, sigma = given.odds.sigmoid(), given.scale.exp()
        precision = self.precision(expected)
        impossible = (energies <= 0)[:, self.layer]
        chances, latent = chances.masked_fill(impossible, 2.0)[:, plan.order], latent[:, plan.order]
        least = self.threshold_shares(energies).to(sigma.dtype)
        links = sigma.new_zeros(n, 2 * self.layers.voxels)
        total = sigma.new_zeros(n, SUMS * len(self.layers.sizes))
        counts = [len(cells) for cells in self.cells.steps]
        columns = (x.split(counts, 1) for x in (chances, latent, given.mean, sigma, expected, precision))
        parts = []
        for step, uniform, normal, typical, width, usual, weight in zip(plan.steps, *columns, strict=True):
            odds, mean, scale = self.parameters_of(step, given, total, links)
            hit = (uniform < odds.sigmoid()).to(sigma.dtype)
            z = (mean + scale.exp() * normal).clamp(-LIMIT, LIMIT)
            logs = typical + width * to_values(z, step.lines, given.blend[:, step.layer])
            above, z = hit * torch.minimum(logs, step.most).exp(), hit * z
            share = above + hit * least[:, step.layer, None]
            new = torch.cat([share, (hit - usual) * weight, z], 1)
            links[:, step.links] = new[:, share.shape[1] :]
            total = torch.addmm(total, new, step.sums)
            parts.append(above)
        excess = torch.cat(parts, 1)[:, plan.place]
        return (self.renormalise(excess.double(), energies),)

    @torch.no_grad()
    def encode(self, incident: Tensor, voxels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inverse of `decode`, as far as there is one.

        Returns
        -------
        (Tensor, Tensor, Tensor)
            Hit probabilities (n, V); normal variables (n, V), 0 for empty cells; and log densities (n,) of
            the cells given the layers' energies: probabilities of empty cells, densities of hit ones in the
            logarithm of the MeV above the threshold, before they are scaled to the layer's energy.
        """
        plan, hit = self.plan(), voxels >= self.threshold
        voxels = torch.where(hit, voxels, 0.0)
        energies = self.layers.energies(voxels.double())
        given = self.conditions(self.powers(incident, energies))
        excess, spread = self.excess(voxels, energies), self.layers.spread(energies)
        hit, voxels, excess, spread = (x[:, plan.order] for x in (hit, voxels, excess, spread))
        logs = torch.where(hit, excess, 1.0).log().to(given.mean.dtype)
        z, slope = self.score((logs - given.mean) * (-given.scale).exp(), plan.order, given.blend)
        z, surplus = torch.where(hit, z.clamp(-LIMIT, LIMIT), 0.0), self.surplus(hit, given.odds)
        shares = (voxels / spread.clamp_min(1e-300)).to(z.dtype)
        links = torch.cat([part[:, step.cells] for step in plan.steps for part in (surplus, z)], 1)
        total, log_prob = z.new_zeros(len(z), SUMS * len(self.layers.sizes)), z.new_zeros(len(z)).double()
        probability, latent = [], []
        for step in plan.steps:
            here = step.cells
            odds, mean, scale = self.parameters_of(step, given, total, links)
            chosen, possible = hit[:, here], spread[:, here] > 0
            e = (z[:, here] - mean) * (-scale).exp()
            density = -0.5 * (e * e + _LOG2PI) - scale + slope[:, here].log() - given.scale[:, here]
            either = torch.where(chosen, functional.logsigmoid(odds) + density, functional.logsigmoid(-odds))
            log_prob += torch.where(possible, either, 0.0).double().sum(1)
            probability.append(torch.where(possible, odds.sigmoid(), 0.0))
            latent.append(torch.where(chosen, e, 0.0))
            total = total + torch.cat([shares[:, here], surplus[:, here], z[:, here]], 1) @ step.sums
        return torch.cat(probability, 1)[:, plan.place], torch.cat(latent, 1)[:, plan.place], log_prob

    def config(self) -> dict[str, Any]:
        return {
            "shapes": [list(shape) for shape in self.cells.shapes],
            "inwards": list(self.cells.inwards),
            "threshold": self.threshold,
        }

    @classmethod
    def from_config(cls, **config: Any) -> HitDensity:
        return cls(**config)
