"""Learning-rate schedules: functions of the step, so that there is nothing to save or restore."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError

Schedule = Callable[[int, int], float]
"""``schedule(step, steps)``: the factor on the learning rate in step 0, ..., steps - 1."""


@dataclass(frozen=True)
class Constant:
    """The learning rate as given."""

    def __call__(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to ``floor`` (1608.03983, eq. 5, one cycle).

    Parameters
    ----------
    floor : float
        The factor after the last step.
    warmup : float
        Share of the steps with a linear rise from zero before it.
    """

    floor: float = 0.0
    warmup: float = 0.0

    def __call__(self, step: int, steps: int) -> float:
        rise = self.warmup * steps
        if step < rise:
            return (step + 1) / (rise + 1)
        phase = (step - rise) / max(steps - rise, 1)
        return self.floor + 0.5 * (1 - self.floor) * (1 + math.cos(math.pi * min(phase, 1.0)))


@dataclass(frozen=True)
class OneCycle:
    """Up and down by half cosines, from 1/``start`` to 1 to 1/(``start`` ``end``) (1708.07120).

    The learning rates of torch's ``OneCycleLR`` without its cycle of the momentum.

    Parameters
    ----------
    rise : float
        Share of the steps in which the learning rate rises.
    start : float
        Initial learning rate, as a divisor of the largest.
    end : float
        Final learning rate, as a divisor of the initial one.
    """

    rise: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __call__(self, step: int, steps: int) -> float:
        top = max(self.rise * steps - 1, 0.0)
        low, final = 1 / self.start, 1 / (self.start * self.end)
        if step <= top:
            return _half_cosine(low, 1.0, step / top if top else 1.0)
        return _half_cosine(1.0, final, min((step - top) / max(steps - 1 - top, 1e-9), 1.0))


def _half_cosine(a: float, b: float, phase: float) -> float:
    return b + 0.5 * (a - b) * (1 + math.cos(math.pi * phase))


SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "cosine": Cosine(),
    "warmup-cosine": Cosine(warmup=0.05),
    "one-cycle": OneCycle(),
}
"""The schedules by name."""


def schedule_named(schedule: str | Schedule) -> Schedule:
    """Look a schedule up by name; a function ``(step, steps) -> factor`` is returned as it is."""
    if isinstance(schedule, type) and not hasattr(schedule, "__dataclass_fields__"):
        raise InputError(
            f"the class {schedule.__name__} is no schedule: choose {', '.join(SCHEDULES)} or give a function"
            " (step, steps) -> factor"
        )
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise InputError(f"unknown schedule {schedule!r}: choose {', '.join(SCHEDULES)} or give a function")
    return SCHEDULES[schedule]
