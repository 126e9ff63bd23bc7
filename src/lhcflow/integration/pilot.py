"""The first look at an integrand: a few short iterations of VEGAS+, whose points serve the flow too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .buffer import SampleBuffer
from .guard import SHARE as MISSED
from .guard import SIGMAS
from .results import Estimate, Result
from .stratified_proposal import StratifiedProposal
from .task import Task, spread_of
from .vegas import Vegas

SHARE, OF_TRAINING = 0.02, 0.05  # of the calls, and of the training's calls at most, in each iteration
# An iteration in which the error of VEGAS+ fell by more than FAST is followed by another one. That is so for
# narrow peaks (by 4 to 45 for widths of 1e-2 to 1e-4) and not for the functions of 2001.05486 (by 3.46 at
# most in 180 runs). Eight iterations take 40 % of the training's calls.
FAST, MORE = 3.5, 6


@dataclass(frozen=True)
class Pilot:
    """What VEGAS+ found in two iterations, or some more.

    Attributes
    ----------
    vegas : Vegas
        Adapted to them.
    buffer : SampleBuffer
        Their points.
    estimate : Estimate
        Of the last iteration.
    size : int
        Calls of an iteration.
    component : int
        That drives the adaptation.
    """

    vegas: Vegas
    buffer: SampleBuffer
    estimate: Estimate
    size: int
    component: int = 0

    @property
    def found(self) -> bool:
        """Whether the integrand was not zero at all points."""
        return bool(np.isfinite(self.buffer.log_f).any())

    def warnings(self, result: Result) -> tuple[str, ...]:
        """A warning if VEGAS+ found clearly more than ``result``; that it found less is nothing unusual.

        Errors from two points per stratum are themselves uncertain: small differences say nothing.
        """
        mean, sdev = (float(np.ravel(part)[self.component]) for part in (result.mean, result.sdev))
        pilot, pilot_sdev = (
            float(self.estimate.mean[self.component]),
            float(self.estimate.sdev[self.component]),
        )
        difference = (pilot - mean) * np.sign(mean)
        combined = float(np.hypot(pilot_sdev, sdev))
        if difference <= max(SIGMAS * combined, MISSED * abs(mean)):
            return ()
        return (
            f"VEGAS+ found {pilot:.4g} +- {pilot_sdev:.2g}, "
            f"{difference / combined:.1f} standard deviations above the flow: possibly a lost mode; "
            "integrate with more calls",
        )


def run_pilot(task: Task, least: int) -> Pilot:
    """Two iterations with a small share of the calls each, but at least ``least`` calls.

    More where the error still falls fast, as for a narrow peak: before, it does not say what VEGAS+ can do.
    """
    vegas = Vegas(task.dim, seed=task.seeds[0])
    size = max(int(min(SHARE * task.calls, OF_TRAINING * task.training_calls)), least)
    buffer = SampleBuffer(task.dim)
    before, estimate = (_recorded(task, vegas, size, buffer) for _ in range(2))
    for _ in range(MORE):
        if not spread_of(before, task.component) > FAST * spread_of(estimate, task.component) > 0:
            break
        before, estimate = estimate, _recorded(task, vegas, size, buffer)
    return Pilot(vegas, buffer, estimate, size, task.component)


def _recorded(task: Task, vegas: Vegas, calls: int, buffer: SampleBuffer) -> Estimate:
    """One iteration of VEGAS+, whose points go into ``buffer`` too: no flow need look there again."""
    vegas.prepare(calls)
    counts = np.zeros(vegas.strata.count)
    xs, values = [], []
    for batch in vegas.batches(calls):
        values.append(task.integrand(batch.x))
        xs.append(batch.x)
        counts[batch.stratum] = batch.sizes
        vegas.accumulate(batch, values[-1])
    # Points in fixed numbers per stratum are a sample of the density that gives strata these shares.
    drawn = StratifiedProposal(
        vegas.grid, divisions=vegas.strata.divisions, probability=counts / counts.sum()
    )
    driving = np.concatenate(values)
    driving = driving if driving.ndim == 1 else driving[:, task.component]
    buffer.add(np.concatenate(xs), driving, drawn)
    estimate = vegas.estimate()
    vegas.refine()
    return estimate
