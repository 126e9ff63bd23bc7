"""Integration with VEGAS+: adapt, estimate, check from outside."""

from __future__ import annotations

import numpy as np

from .guard import Probe, drawn_probes, heavy_tail_warnings, lost_mode_warnings, single_point_warnings
from .proposal import Uniform
from .results import Result
from .sampler import Sampler
from .task import Task
from .vegas import Vegas


def integrate_vegas(task: Task) -> Result:
    """The method "vegas"."""
    return finish_with_vegas(task, Vegas(task.dim, seed=task.seeds[0]))


def finish_with_vegas(task: Task, vegas: Vegas, method: str = "VEGAS+") -> Result:
    """Spend the calls that are left with ``vegas``, fresh or adapted by a pilot.

    A pilot's few calls do not replace the warm-up: a peak of width 1e-4 takes six iterations to be resolved,
    and iterations that count by their calls are as bad together as the first of them.
    """
    rng = np.random.default_rng(task.seeds[2])
    probe = drawn_probes(task.driver, {"uniform": Uniform(task.dim)}, task.probe_calls, rng)[0]
    result = vegas.integrate(task.integrand, task.left, rtol=task.rtol, atol=task.atol)
    return _checked(task, vegas, result.with_(method=method), probe)


def _checked(task: Task, vegas: Vegas, result: Result, probe: Probe) -> Result:
    """The result with its sampler and the guard's warnings."""
    proposal = vegas.proposal()
    mean, sdev = task.head(result)
    scale = max(abs(mean), float(np.abs(probe.values).mean()))
    warnings = (
        *lost_mode_warnings(mean, sdev, proposal, scale, [probe]),
        *heavy_tail_warnings(result.iterations, task.component),
        *single_point_warnings(result.iterations, task.component),
    )
    return result.with_(sampler=Sampler(proposal, task.integrand, seed=task.seeds[3])).warn(*warnings)
