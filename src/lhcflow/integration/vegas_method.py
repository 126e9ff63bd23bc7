"""Integration with VEGAS+: adapt, estimate, check from outside."""

from __future__ import annotations

import numpy as np

from .guard import Probe, drawn_probes, heavy_tail_warnings, lost_mode_warnings
from .proposal import Uniform
from .results import Estimate, Result, combine
from .sampler import Sampler
from .task import Task
from .vegas import Vegas, converged


def integrate_vegas(task: Task) -> Result:
    """The method "vegas"."""
    vegas = Vegas(task.dim, seed=task.seeds[0])
    probe = _probe(task)
    result = vegas.integrate(task.integrand, task.left, rtol=task.rtol, atol=task.atol)
    return _checked(task, vegas, result, probe)


def finish_with_vegas(task: Task, vegas: Vegas, method: str, iterations: int = 5) -> Result:
    """Spend the calls that are left with a ``vegas`` that has adapted already."""
    probe = _probe(task)
    size = max(task.left // iterations, 100)
    estimates: list[Estimate] = []
    for _ in range(iterations):
        estimates.append(vegas.iterate(task.integrand, size))
        if (task.rtol or task.atol) and converged(combine(estimates, weighted=False), task.rtol, task.atol):
            break
    return _checked(task, vegas, combine(estimates, weighted=False, method=method), probe)


def _probe(task: Task) -> Probe:
    """Uniform points, a part of the task's calls."""
    rng = np.random.default_rng(task.seeds[2])
    return drawn_probes(task.driver, {"uniform": Uniform(task.dim)}, task.probe_calls, rng)[0]


def _checked(task: Task, vegas: Vegas, result: Result, probe: Probe) -> Result:
    """The result with its sampler and the guard's warnings."""
    proposal = vegas.proposal()
    mean, sdev = float(np.ravel(result.mean)[0]), float(np.ravel(result.sdev)[0])
    scale = max(abs(mean), float(np.abs(probe.values).mean()))
    warnings = (
        *lost_mode_warnings(mean, sdev, proposal, scale, [probe]),
        *heavy_tail_warnings(result.iterations),
    )
    return result.with_(sampler=Sampler(proposal, task.integrand, seed=task.seeds[3])).warn(*warnings)
