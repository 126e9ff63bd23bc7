"""What is to be integrated, and how far: handed from the integrator to its methods."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .categories import Categories
from .evaluate import Integrand
from .flow_settings import FlowSettings
from .journal import Journal
from .results import Estimate, Result

PROBES = 0.02  # share of the calls for the guard
MOST_PROBES = 20_000
OF_MANY = 0.05  # share of the calls that trains in any case: a large budget is for a small error


@dataclass(frozen=True)
class Task:
    """One call of `Integrator.integrate`.

    Attributes
    ----------
    integrand : Integrand
        As there.
    calls : int
        As there.
    rtol, atol, cost : float or None
        As there.
    quiet : bool
        As there.
    seeds : list of np.random.SeedSequence
        For VEGAS+, the training, estimates with probes, and the sampler.
    settings : FlowSettings
        Of the flow.
    start : int
        Calls of the integrand before this task.
    journal : Journal or None
        Of an integration with checkpoints.
    categories : Categories or None
        Of the first coordinate, if it is discrete.
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

    @property
    def even_calls(self) -> int:
        """Calls at points spread evenly over the cube, at least: with any method half of the guard's are."""
        return max(self.probe_calls // 2, 1)

    @property
    def component(self) -> int:
        """The component that drives the adaptation: the first that was not zero at all points."""
        return self.integrand.driver

    def driver(self, x: np.ndarray) -> np.ndarray:
        """The values (n,) of the component that drives the adaptation."""
        values = self.integrand(x)
        return values if values.ndim == 1 else values[:, self.component]

    def head(self, result: Result) -> tuple[float, float]:
        """Mean and standard deviation of the component that drives the adaptation."""
        mean, sdev = np.ravel(result.mean), np.ravel(result.sdev)
        return float(mean[self.component]), float(sdev[self.component])

    def measured(self, measure: Callable[[], float]) -> float:
        """A measured time; an integration that is resumed takes the one it had."""
        return self.journal.number(measure) if self.journal else measure()

    def points_needed(self, spread: float) -> float:
        """Calls to ``rtol`` with an error of ``spread`` (sd/I) per call; infinite without a tolerance."""
        return (spread / self.rtol) ** 2 if self.rtol else float("inf")


def spread_of(estimate: Estimate, component: int) -> float:
    """sd/I per call of an iteration, stratification counted; infinite where nothing was found."""
    mean, sdev = float(estimate.mean[component]), float(estimate.sdev[component])
    return sdev / abs(mean) * estimate.calls**0.5 if mean else math.inf
