"""The fit of a density of hits: distributions of mirror images, then what cells know of each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from .cells import Cells
from .hit_density import HitDensity
from .reflections import Reflections
from .regression import linear, log_scale, logistic
from .tables import TABLES, fitted
from .training import split

Array = NDArray[np.floating[Any]]
_NEVER = 1e9  # inverse prior variance
_MOST = 2 / 3  # of a layer's energy: a core that has more is generated last
_TOTAL = 0.2  # log sigma of the totals of other layers
_OWN = 100.0  # inverse prior variance of what a cell has for itself of what the energies say


@torch.no_grad()
def fit(model: HitDensity, incident: Tensor, voxels: Tensor, ridge: float, share: float, seed: int) -> None:
    """Fit a density to showers (n,) and (n, V) in MeV, of which the held-out ones are left out."""
    kept, _ = split(len(incident), share, seed)
    incident, voxels = incident[kept], voxels[kept].double()
    voxels = torch.where(voxels >= model.threshold, voxels, 0.0)
    mirror = Reflections(model.cells.shapes)
    mirrored = [mirror.reflect(voxels, a, b) for a in (False, True) for b in (False, True)]
    incident, voxels = incident.repeat(4), torch.cat(mirrored)
    energies = model.layers.energies(voxels)
    logs = model.logs(incident, energies)
    model.centre.copy_(logs.mean(0))
    model.width.copy_(logs.std(0).clamp_min(1e-3))
    model.least.copy_(logs.amin(0))
    model.most.copy_(logs.amax(0))
    powers = model.powers(incident, energies)
    groups = _fit_centres(model, powers, energies)
    excess = model.excess(voxels, energies)
    model.cells = Cells(model.cells.shapes, _order(model, excess, energies))
    excess = excess * model.layers.spread(_totals(model, len(excess), seed))
    shares = torch.where(excess > 0, excess + model.layers.spread(model.threshold_shares(energies)), 0.0)
    # Many small products: threads would mostly wait for each other, at ten times the CPU time on busy cores.
    with threadpool_limits(1):
        _fit_orbits(model, powers.double().numpy(), excess.numpy(), energies.numpy(), groups)
        _fit_cells(model, powers, excess, shares, energies, ridge)
    model.forget_plans()


def _order(model: HitDensity, excess: Tensor, energies: Tensor) -> tuple[bool, ...]:
    """The layers whose cores have most of the energy."""
    core = model.layers.energies(excess * torch.from_numpy(model.cells.core))
    alive = (energies > 0).sum(0).clamp_min(1)
    return tuple((core.sum(0) / alive > _MOST).tolist())


def _totals(model: HitDensity, n: int, seed: int) -> Tensor:
    """What shares add up to (n, L). If that were always 1, in a layer that is not generated inwards, the last
    cells would have to make up for what others took, and could not, being empty or faint; and the scale that
    brings generated cells to their total would come on top of that.
    """
    outwards = torch.tensor([not inwards for inwards in model.cells.inwards], dtype=torch.float64)
    normal = torch.randn(n, len(outwards), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (_TOTAL * outwards * normal).exp()


def _fit_centres(model: HitDensity, powers: Tensor, energies: Tensor) -> NDArray[np.int64]:
    """Energies of the tables, and the table (n, L) to which each layer's hits contribute."""
    groups = np.zeros(energies.shape, dtype=np.int64)
    columns = model.layer_logs(powers).double().numpy().T
    for layer, (logs, alive) in enumerate(zip(columns, energies.numpy().T > 0, strict=True)):
        some = logs[alive] if alive.any() else logs
        places = np.quantile(some, (2 * np.arange(TABLES) + 1) / (2 * TABLES))
        model.centres[layer] = torch.from_numpy(places + 1e-3 * np.arange(TABLES))
        groups[:, layer] = np.searchsorted(np.quantile(some, np.arange(1, TABLES) / TABLES), logs)
    return groups


def _fit_orbits(
    model: HitDensity, powers: Array, excess: Array, energies: Array, groups: NDArray[np.int64]
) -> None:
    """Occupancy, mean and log sigma of the logarithm as functions of the energies, and the tables."""
    cells, width = model.cells, powers.shape[1]
    ridge = np.ones(width)
    ridge[0] = 1e-3
    quarter = len(powers) // 4  # the other rows are reflections, which other cells of the orbit show
    for orbit in range(int(cells.orbits.max()) + 1):
        index = np.flatnonzero(cells.orbits == orbit)
        rows = np.flatnonzero(energies[:quarter, cells.layer[index[0]]] > 0)
        x, values = powers[rows], excess[np.ix_(rows, index)]
        odds = logistic(x, (values > 0).mean(1), ridge, weight=len(index))
        hit = np.nonzero(values > 0)
        logs, x = np.log(values[hit]), x[hit[0]]
        layer = excess[:quarter, cells.layer == cells.layer[index[0]]]
        # Cells that were never hit get as little as any.
        model.brightest[orbit] = logs.max() if len(logs) else np.log(layer[layer > 0].min(initial=1.0))
        group = groups[rows, cells.layer[index[0]]][hit[0]]
        if len(logs) < 2:
            model.orbit_terms[0, orbit] = torch.from_numpy(odds)
            continue
        mean = linear(x, logs - logs.mean(), ridge)
        mean[0] += logs.mean()
        sigma = log_scale(x, logs - x @ mean, 10 * ridge)
        for kind, coefficients in enumerate((odds, mean, sigma)):
            model.orbit_terms[kind, orbit] = torch.from_numpy(coefficients)
        t = (logs - x @ mean) * np.exp(-np.clip(x @ sigma, -5, 2))
        model.knots[orbit] = fitted(t, group)


def _fit_cells(
    model: HitDensity, powers: Tensor, excess: Tensor, shares: Tensor, energies: Tensor, ridge: float
) -> None:
    """Cell by cell, what sums over earlier steps and near cells add."""
    cells, count = model.cells, model.layers.voxels
    odds, mean, sigma = model.base(powers, slice(None))
    hit = excess > 0
    t = (torch.where(hit, excess, 1.0).log().float() - mean) * (-sigma).exp()
    z = torch.where(hit, model.score(t, slice(None), model.blend(powers))[0].clamp(-8, 8), 0.0)
    surplus = model.surplus(hit, odds)
    total = powers.new_zeros(len(powers), model.state_terms.shape[2])
    links = torch.cat([surplus, z], 1).double().numpy()
    hits, known = hit.numpy(), odds.double().numpy()
    terms, few = powers.shape[1], model.terms.shape[2]
    weights = np.full(few, float(ridge))
    weights[:terms] = _OWN
    layers = len(model.layers.sizes)
    for step, numbers in enumerate(cells.steps):
        _fit_state(model, step, powers, total)
        common = torch.cat([powers, model.state(total, *model.moments(powers, step))], 1).double().numpy()
        layer = cells.step_layers[step]
        alive = energies[:, layer].numpy() > 0
        weights[terms : terms + layers] = _NEVER
        if cells.inwards[layer]:
            weights[terms + layer] = ridge
        for cell in numbers:
            near = cells.neighbours(cell)
            near = np.concatenate([near, near + count])
            x = np.concatenate([common, links[:, near]], 1)[alive]
            penalty = np.concatenate([weights, np.full(len(near), float(ridge))])
            chosen = hits[alive, cell]
            probability = logistic(x, chosen.astype(float), penalty, known[alive, cell])
            x, y = x[chosen], links[alive, count + cell][chosen]
            location = linear(x, y, penalty)
            spread = log_scale(x[:, :few], y - x @ location, 3 * weights)
            for kind, values in enumerate((probability, location)):
                model.terms[kind, cell] = torch.from_numpy(values[:few])
                model.links[kind, cell, near] = torch.from_numpy(values[few:]).float()
            model.terms[2, cell] = torch.from_numpy(spread)
        index = torch.from_numpy(numbers)
        parts = [shares[:, index].float(), surplus[:, index], z[:, index]]
        total = total + torch.cat(parts, 1) @ model.sums(index, layer)


def _fit_state(model: HitDensity, step: int, powers: Tensor, total: Tensor) -> None:
    """Mean and log sigma of the sums before a step, as functions of the energies."""
    x, raw = powers.double().numpy(), model.raw_state(total).double().numpy()
    ridge = np.full(x.shape[1], 1.0)
    for number, values in enumerate(raw.T):
        if np.ptp(values) < 1e-6:  # nothing yet
            model.state_terms[0, step, number, 0] = float(values[0])
            continue
        mean = linear(x, values, ridge)
        scale = log_scale(x, values - x @ mean, 10 * ridge)
        model.state_terms[0, step, number] = torch.from_numpy(mean)
        model.state_terms[1, step, number] = torch.from_numpy(scale)
