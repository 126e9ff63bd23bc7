"""Integration with a flow: pilot, training, estimate with VEGAS+ on the latent cube, check from outside."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..training.progress import progress_bar
from .flow_training import NothingFound, Stage, Training, train_flow
from .grid_start import tempered_grid
from .guard import Probe, drawn_probes, lost_mode_warnings, single_point_warnings
from .latent import FlowProposal, LatentProposal
from .mixture import MixtureProposal
from .pilot import Pilot, run_pilot
from .proposal import Proposal, Uniform
from .results import Estimate, Result, combine
from .sampler import Sampler
from .task import Task, spread_of
from .vegas import Vegas, converged
from .vegas_method import finish_with_vegas

GRID = 0.1  # share of the training's calls that look for narrow peaks
ITERATIONS = 5
FINE = 4  # strata per dimension
LATENT_BINS = 32  # a flow's marginal errors are smooth; more bins would adapt to noise


def integrate_flow(task: Task) -> Result:
    """The method "flow"; where no point had a value to train on, the rest is spent with VEGAS+."""
    pilot = run_pilot(task, least=20)
    try:
        return Flowing(task, pilot).train().estimate()
    except NothingFound as reason:
        return finish_with_vegas(task, pilot.vegas).warn(f"no flow was trained: {reason}")


class Flowing:
    """A task on its way through the method "flow": `train`, then `estimate`.

    Parameters
    ----------
    task : Task
        What is to be integrated.
    pilot : Pilot
        Its evaluations start the training; they count as a part of its calls.

    Attributes
    ----------
    training : Training
        The flow's.
    estimates : list of Estimate
        Independent of the training, one per iteration.
    seconds : float
        Wall-clock time of the training.
    """

    def __init__(self, task: Task, pilot: Pilot) -> None:
        self.task = task
        self.pilot = pilot
        grid_seed, training_seed = task.seeds[1].spawn(2)
        self._grid_rng = np.random.default_rng(grid_seed)
        vegas_seed, probe_seed = task.seeds[2].spawn(2)
        self._probe_rng = np.random.default_rng(probe_seed)
        self.training = Training(task.dim, training_seed, task.settings, task.journal)
        self.training.buffer = pilot.buffer
        self.vegas = Vegas(task.dim, seed=vegas_seed, bins=LATENT_BINS)
        self.estimates: list[Estimate] = []
        self.probes: list[Probe] = []
        self.seconds = 0.0

    @property
    def proposal(self) -> FlowProposal:
        """The flow's density on the cube."""
        return self.training.proposal

    def train(self, enough: Callable[[Training], bool] = lambda training: False) -> Flowing:
        """Adapt the flow; ends early where the tolerance is in reach or progress has stopped."""
        task, training = self.task, self.training
        calls = task.training_calls
        known = len(training.buffer)
        grid_calls = max(int(GRID * calls) - known, int(GRID * calls / 2))
        start = time.monotonic()
        training.use_grid(tempered_grid(task.driver, training.buffer, grid_calls, self._grid_rng))

        def stop(training: Training) -> bool:
            self.seconds = time.monotonic() - start
            return (
                task.points_needed(training.spread) < calls / task.settings.stages
                or training.settled
                or enough(training)
            )

        with progress_bar(task.settings.stages + 2, "flow", not task.quiet) as update:

            def report(stage: Stage) -> None:
                update(len(training.history), f"beta {stage.beta:.2f}, sd/I {stage.spread:.3g}")

            train_flow(task.driver, training, calls - known - grid_calls, enough=stop, report=report)
        self.seconds = time.monotonic() - start
        return self

    def measure(self) -> Estimate:
        """The guard's probes, and the first iteration of the estimate."""
        task = self.task
        sources = {"uniform": Uniform(task.dim), "early-flow": self.training.earliest}
        self.probes = drawn_probes(task.driver, sources, task.probe_calls, self._probe_rng)
        size = max(task.left // ITERATIONS, 100)
        if task.rtol:
            size = int(np.clip(task.points_needed(self.training.spread) / 2, min(1000, size), size))
        return self.iterate(size)

    def estimate(self) -> Result:
        """Spend the calls that are left with VEGAS+ on the latent cube."""
        task = self.task
        first = self.estimates[0] if self.estimates else self.measure()
        size = first.calls
        if task.rtol:
            # Strata are learned for one size: from here on it stays.
            needed = 1.2 * task.points_needed(spread_of(first, task.component))
            size = int(np.clip(min(needed, task.left) / 3, size, max(size, task.left)))
        while task.left >= size and not self._converged():
            self.iterate(size)
        result = combine(self.estimates, method="flow")
        mean, sdev = task.head(result)
        scale = float(np.exp(self.training.buffer.log_integral()))
        warnings = lost_mode_warnings(mean, sdev, self.proposal, scale, self.probes)
        if not self.training.done:
            warnings = (
                f"the training ended at beta = {self.training.beta:.2f} < 1: the flow is broader than "
                "the integrand; integrate with more calls",
                *warnings,
            )
        sampler = Sampler(self._sampled(), task.integrand, seed=task.seeds[3])
        warnings += single_point_warnings(result.iterations, task.component)
        return result.with_(sampler=sampler).warn(*warnings, *self.pilot.warnings(result))

    def _sampled(self) -> Proposal:
        """The flow with the latent strata, where they are fine enough to describe more than noise."""
        sampled: Proposal = self.proposal
        if self.vegas.strata.divisions.min() >= FINE:
            sampled = LatentProposal(self.proposal, self.vegas.proposal())
        share = self.task.settings.defensive
        return MixtureProposal([sampled, self.training.halfway], [1 - share, share]) if share else sampled

    def iterate(self, calls: int) -> Estimate:
        """One iteration of VEGAS+ on ``u -> f(x(u)) |dx/du|``, and adaptation of its strata for the next."""

        def pulled_back(u: np.ndarray) -> np.ndarray:
            x, jacobian = self.proposal.map(u)
            values = self.task.integrand(x)
            return values * (jacobian if values.ndim == 1 else jacobian[:, None])

        self.estimates.append(self.vegas.iterate(pulled_back, calls))
        return self.estimates[-1]

    def _converged(self) -> bool:
        task = self.task
        if not self.estimates or (task.rtol is None and task.atol is None):
            return False
        return converged(combine(self.estimates), task.rtol, task.atol)
