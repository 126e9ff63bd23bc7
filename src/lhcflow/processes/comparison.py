"""The same cross section by several methods: what adaptation gains."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..integration.unweighting import bootstrap_efficiency, overweight_efficiency
from .beam import Beams
from .cuts import Cuts
from .generator import EventGenerator, Method
from .jet_cuts import JetCuts
from .process import Process

NEGATIVE = 1e-3  # share of the weights' sum from which on negative ones are warned of
N_OPT = 2000  # weights in a replica; a pool of 50 times as many gives them


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Attributes
    ----------
    method : str
        Its name.
    cross_section, error : float
        pb.
    chi2, dof, q
        Agreement of the iterations.
    calls : int
        Evaluations of the integrand for the cross section, adaptation included.
    efficiency : float
        Unweighting efficiency at the overweight share that was asked for.
    efficiency_error : float
        Statistical error of the efficiency.
    replica_efficiency, replica_error : float
        As defined in 2001.10028, with replicas of ``N_OPT`` weights.
    negative : float
        Share of the sum of |weights| that negative ones carry.
    seconds : float
        For the integration.
    warnings : tuple of str
        Those of the result.
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
    replica_efficiency: float
    replica_error: float
    negative: float
    seconds: float
    warnings: tuple[str, ...]


def summarise(
    generator: EventGenerator, seconds: float, n: int = 50 * N_OPT, overweight: float = 1e-3
) -> Row:
    """The line of a generator that has integrated."""
    result = generator.result
    weights = generator.sample(n)[1]
    efficiency = overweight_efficiency(weights, overweight)
    replicas = bootstrap_efficiency(weights, N_OPT, 1000, np.random.default_rng(generator.seed))
    negative = float(-weights[weights < 0].sum() / np.abs(weights).sum())
    warnings = tuple(result.warnings)
    if negative > NEGATIVE:
        warnings += (f"events of negative weight carry {negative:.2g} of the sum of |weights|",)
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
        replica_efficiency=float(replicas),
        replica_error=replicas.error,
        negative=negative,
        seconds=seconds,
        warnings=warnings,
    )


def compare(
    process: str | Process,
    energy: float | Beams | None = None,
    cuts: Cuts | JetCuts | Mapping[str, float] | None = None,
    phase_space: str = "channels",
    methods: Sequence[Method] = ("flow", "vegas", "bare"),
    calls: int = 200_000,
    seed: int = 0,
    overweight: float = 1e-3,
    **options: Any,
) -> list[Row]:
    """Integrate with each method, with the same calls, cuts and phase space.

    Parameters are those of `EventGenerator`; `options` go to its constructor.
    """
    rows = []
    for method in methods:
        start = time.perf_counter()
        generator = EventGenerator(process, energy, cuts, phase_space, method, seed, **options)
        generator.integrate(calls)
        rows.append(summarise(generator, time.perf_counter() - start, overweight=overweight))
    return rows
