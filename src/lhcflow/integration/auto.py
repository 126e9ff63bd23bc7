"""The method "auto": VEGAS+ first, a flow if it is predicted to pay, and VEGAS+ again if it does not."""

from __future__ import annotations

import time

from .flow_method import Flowing
from .flow_training import Training
from .pilot import run_pilot
from .results import Result
from .task import Task, spread_of
from .vegas_method import finish_with_vegas

TOO_FEW = 20_000  # calls with which no flow is trained
HOPE = 0.02  # sd/I per call that a flow is credited with before it was measured
PATIENCE = 0.15  # share of the calls after which the training must look better than VEGAS+


def integrate_auto(task: Task) -> Result:
    """Choose by the predicted error with the calls that are left, or with ``cost`` by error^2 x time."""
    pilot = run_pilot(task, least=400)
    choice = Choice(task, spread_of(pilot.estimate, task.component), pilot.size)
    if task.calls < TOO_FEW or not pilot.found or not choice.flow_may_pay():
        return finish_with_vegas(task, pilot.vegas, "auto: VEGAS+")
    flowing = Flowing(task, pilot).train(enough=choice.hopeless)
    if choice.abandoned:
        return finish_with_vegas(task, pilot.vegas, "auto: VEGAS+")
    start = time.monotonic()
    calls_before, seconds_before = task.left, 0.0 if task.cost is None else task.cost
    first = flowing.measure()
    seconds = task.measured(lambda: time.monotonic() - start)
    per_point = seconds / max(calls_before - task.left, 1) - seconds_before
    if not choice.flow_is_better(spread_of(first, task.component), max(per_point, 0.0)):
        return finish_with_vegas(task, pilot.vegas, "auto: VEGAS+")
    return flowing.estimate().with_(method="auto: flow")


class Choice:
    """Compares what VEGAS+ would make of the remaining calls with what the flow would.

    Parameters
    ----------
    task : Task
        What is left to do.
    spread : float
        Sd/I per call of VEGAS+ in an iteration of ``size`` calls.
    """

    def __init__(self, task: Task, spread: float, size: int) -> None:
        self.task = task
        # Strata shrink as calls^(-1/dim), and with them the error per call of a smooth integrand.
        growth = max(task.calls / 8 / size, 1.0)
        self.vegas_spread = spread * growth ** (-1 / task.dim)
        self.abandoned = False
        self._start = time.monotonic()

    def flow_may_pay(self) -> bool:
        """Whether a flow as good as hoped for would beat VEGAS+, training included."""
        task = self.task
        if task.points_needed(self.vegas_spread) < 0.1 * task.calls:
            return False
        return self.vegas_spread**2 > HOPE**2 / 0.6

    def hopeless(self, training: Training) -> bool:
        """Whether to stop a training: asked after each stage."""
        task = self.task
        used = len(training.buffer) / task.calls
        spread = training.spread if training.done else HOPE
        if used > PATIENCE and training.done:
            # The latent strata's gain, estimated as a smooth function's.
            strata = max(task.left / 40, 1.0)
            spread *= min(1.0, 4 * strata ** (-1 / task.dim))
            self.abandoned = spread > 1.5 * self.vegas_spread
        if task.cost is not None:
            # error^2 x time, with the time the training took so far
            elapsed = task.measured(lambda: time.monotonic() - self._start)
            flow = spread**2 * (1 + elapsed / (task.cost * task.left))
            self.abandoned = self.abandoned or flow > self.vegas_spread**2
        return self.abandoned

    def flow_is_better(self, spread: float, seconds_per_point: float) -> bool:
        """Whether to spend the rest with the flow, whose measured sd/I per call is ``spread``."""
        merit = spread**2
        if self.task.cost is not None:
            merit *= 1 + seconds_per_point / self.task.cost
        return merit < self.vegas_spread**2
