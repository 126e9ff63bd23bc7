"""What is to be integrated, and how far: handed from the integrator to its methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .categories import Categories
from .evaluate import Integrand
from .flow_settings import FlowSettings
from .journal import Journal
from .results import Estimate

PROBES = 0.02  # share of the calls for the guard
MOST_PROBES = 20_000
OF_MANY = 0.05  # share of the calls that trains in any case: a large budget is for a small error


@dataclass(frozen=True)
class Task:
    """One call of :meth:`Integrator.integrate`.

    Attributes
    ----------
    integrand, calls, rtol, atol, cost, quiet : as there.
    seeds : for VEGAS+, the training, estimates with probes, and the sampler.
    settings : of the flow.
    start : calls of the integrand before this task.
    journal : of an integration with checkpoints.
    categories : of the first coordinate, if it is discrete.
    """

    integrand: Integrand
    calls: int
    rtol: float | None
    atol: float | None
    cost: float | None
    quiet: bool
    seeds: list[np.random.SeedSequence]
    settings: FlowSettings
    start: int
    journal: Journal | None = None
    categories: Categories | None = None

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self.integrand.dim

    @property
    def left(self) -> int:
        """Calls that are left."""
        return self.calls - (self.integrand.calls - self.start)

    @property
    def probe_calls(self) -> int:
        """Calls set aside for the guard."""
        return min(int(PROBES * self.calls), MOST_PROBES)

    @property
    def training_calls(self) -> int:
        """Calls that the training of a flow may spend, those of the pilot included."""
        most = max(self.settings.most, int(OF_MANY * self.calls))
        return min(int(self.settings.share * self.calls), most)

    def driver(self, x: np.ndarray) -> np.ndarray:
        """The component (n,) of the integrand that drives the adaptation."""
        values = self.integrand(x)
        return values if values.ndim == 1 else values[:, 0]

    def measured(self, measure: Callable[[], float]) -> float:
        """A measured time; an integration that is resumed takes the one it had."""
        return self.journal.number(measure) if self.journal else measure()

    def points_needed(self, spread: float) -> float:
        """Calls to ``rtol`` with an error of ``spread`` (sd/I) per call; infinite without a tolerance."""
        return (spread / self.rtol) ** 2 if self.rtol else float("inf")


def spread_of(estimate: Estimate) -> float:
    """sd/I per call of an iteration, stratification counted, for the first component."""
    return float(estimate.sdev[0] / max(abs(estimate.mean[0]), 1e-300)) * estimate.calls**0.5
