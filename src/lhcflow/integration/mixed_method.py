"""Integration over discrete and continuous variables: multichannel VEGAS, or one flow for all channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..training.progress import progress_bar
from .categories import for_unweighting
from .channel_grids import ChannelGrids, adapted_grids
from .flow_training import NothingFound, Stage, train_flow
from .grid_start import NARROW
from .guard import drawn_probes, lost_mode_warnings, single_point_warnings
from .mixed_training import MixedTraining
from .mixture import MixtureProposal
from .proposal import Proposal, Uniform
from .results import Estimate, Result, combine
from .sampler import Sampler
from .task import Task
from .vegas import converged

ITERATIONS = 5  # of the estimate
GRID = 0.3  # share of the training's calls that adapt the grids under the flow; they train it, too
BINS = 32, 64  # of the grids under a flow, whose splines do the rest, and of those alone


def integrate_mixed(task: Task, method: str) -> Result:
    """The methods "vegas" and "flow" ("auto" is "flow"), where the first coordinate is discrete."""
    return _integrate_grids(task) if method == "vegas" else _integrate_flow(task)


def _integrate_flow(task: Task) -> Result:
    assert task.categories is not None
    grid_seed, training_seed = task.seeds[1].spawn(2)
    rng = np.random.default_rng(task.seeds[2])
    s = task.settings
    training = MixedTraining(task.dim, training_seed, s, task.journal, categories=task.categories)
    calls = task.training_calls
    start = ChannelGrids.even(task.categories, task.dim, BINS[0])
    grid_calls = int(GRID * calls)
    grids = adapted_grids(
        task.driver, start, grid_calls, np.random.default_rng(grid_seed), buffer=training.buffer
    )
    training.use_grid(grids.where_narrow(NARROW))
    with progress_bar(s.stages + 2, "flow", not task.quiet) as update:

        def report(stage: Stage) -> None:
            update(len(training.history), f"beta {stage.beta:.2f}, sd/I {stage.spread:.3g}")

        try:
            train_flow(task.driver, training, calls - grid_calls, report=report)
        except NothingFound as reason:
            grids = ChannelGrids.even(task.categories, task.dim, BINS[1])
            return _finish(task, grids, rng, "multichannel VEGAS").warn(f"no flow was trained: {reason}")
    proposal = training.proposal
    sources = {"uniform": Uniform(task.dim), "early-flow": training.earliest}
    probes = drawn_probes(task.driver, sources, task.probe_calls, rng)
    broad = training.halfway if s.defensive else None
    result = _finish(task, proposal, rng, "flow of channels and points", broad)
    mean, sdev = task.head(result)
    scale = float(np.exp(training.buffer.log_integral()))
    return result.warn(*lost_mode_warnings(mean, sdev, proposal, scale, probes))


def _integrate_grids(task: Task) -> Result:
    assert task.categories is not None
    rng = np.random.default_rng(task.seeds[0])
    start = ChannelGrids.even(task.categories, task.dim, BINS[1])
    grids = adapted_grids(task.driver, start, int(task.settings.share * task.calls), rng, own=6)
    return _finish(task, grids, rng, "multichannel VEGAS")


def _finish(
    task: Task, proposal: Any, rng: np.random.Generator, method: str, broad: Proposal | None = None
) -> Result:
    """Estimates from fresh points with the calls that are left; the same points tune the sampler.

    The sampler's points come in part from the proposal `broad`, if there is one.
    """
    size = max(task.left // ITERATIONS, 100)
    estimates, numbers, weights = [], [], []
    for _ in range(ITERATIONS):
        x, density = proposal.sample(size, rng)
        values = task.integrand(x)
        weighted = values.reshape(size, -1) / density[:, None]
        w = weighted[:, task.component]
        estimates.append(Estimate.of_weights(weighted, task.component))
        numbers.append(proposal.categories.number(x[:, 0]))
        weights.append(w)
        if converged(combine(estimates), task.rtol, task.atol):
            break
    tuned = for_unweighting(np.concatenate(numbers), np.concatenate(weights), proposal.probability)
    sampled = proposal.with_probability(tuned)
    if broad is not None:
        share = task.settings.defensive
        sampled = MixtureProposal([sampled, broad], [1 - share, share])
    sampler = Sampler(sampled, task.integrand, seed=task.seeds[3])
    # weighted by calls: with rare large weights the errors correlate with the means
    scalar = task.integrand.components is None
    result = combine(estimates, weighted=False, scalar=scalar, sampler=sampler, method=method)
    return result.warn(*single_point_warnings(estimates, task.component))
