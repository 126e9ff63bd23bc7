"""The same cross section by several methods: what adaptation gains."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .beam import Beams
from .cuts import Cuts
from .generator import EventGenerator, Method
from .process import Process


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Attributes
    ----------
    method : str
    cross_section, error : float
        pb.
    chi2, dof, q
        Agreement of the iterations.
    calls : int
        Evaluations of the integrand for the cross section, adaptation included.
    efficiency : float
        Unweighting efficiency at the overweight share that was asked for.
    efficiency_error : float
    seconds : float
        For the integration.
    warnings : tuple of str
    """

    method: str
    cross_section: float
    error: float
    chi2: float
    dof: int
    q: float
    calls: int
    efficiency: float
    efficiency_error: float
    seconds: float
    warnings: tuple[str, ...]


def summarise(generator: EventGenerator, seconds: float, n: int = 100_000, overweight: float = 1e-3) -> Row:
    """The line of a generator that has integrated."""
    result = generator.result
    efficiency = generator.unweighting_efficiency(n, overweight)
    return Row(
        method=generator.method,
        cross_section=float(result.mean),
        error=float(result.sdev),
        chi2=result.chi2,
        dof=result.dof,
        q=result.q,
        calls=result.calls,
        efficiency=float(efficiency),
        efficiency_error=efficiency.error,
        seconds=seconds,
        warnings=tuple(result.warnings),
    )


def compare(
    process: str | Process,
    energy: float | Beams = 91.188,
    cuts: Cuts | None = None,
    phase_space: str = "channels",
    methods: Sequence[Method] = ("flow", "vegas", "bare"),
    calls: int = 200_000,
    seed: int = 0,
    overweight: float = 1e-3,
    **options: Any,
) -> list[Row]:
    """Integrate with each method, with the same calls, cuts and phase space.

    Parameters are those of :class:`EventGenerator`; `options` go to its constructor.
    """
    rows = []
    for method in methods:
        start = time.perf_counter()
        generator = EventGenerator(process, energy, cuts, phase_space, method, seed, **options)
        generator.integrate(calls)
        rows.append(summarise(generator, time.perf_counter() - start, overweight=overweight))
    return rows
