"""The check on lost modes: points from broad densities, which the adaptation has never seen.

An adapted proposal that covers one of two peaks returns half the integral with a small error and a good
chi2, since it never goes where it is wrong. What can be seen is seen from outside: held-out points from
densities that cover the cube (uniform, or the flow as it was while the target was still broad).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .proposal import Proposal
from .results import Estimate

LOW = 20.0  # "the proposal is too low": f/q is this many times its mean
SHARE = 0.05  # a smaller share of the integral in such places gives no warning
SIGMAS = 4.0
WIDE, FEW = 4.0, 1000.0  # sd/I per call, and effective points per iteration below which errors are doubtful
ENOUGH = 25.0  # effective points below which a comparison of the estimates says nothing


@dataclass(frozen=True)
class Probe:
    """Points that took no part in the adaptation.

    Attributes
    ----------
    name : of the density, for the warning.
    x, values, density : (n, dim) points, (n,) integrand and (n,) density they were drawn from.
    """

    name: str
    x: Float[np.ndarray, "n dim"]
    values: Float[np.ndarray, " n"]
    density: Float[np.ndarray, " n"]


def drawn_probes(
    function: Callable[[np.ndarray], np.ndarray],
    sources: Mapping[str, Proposal],
    calls: int,
    rng: np.random.Generator,
) -> list[Probe]:
    """Fresh points of named densities, which share the calls (at least two each) of the ``function``."""
    probes = []
    for name, source in sources.items():
        x, density = source.sample(max(calls // len(sources), 2), rng)
        probes.append(Probe(name, x, function(x), density))
    return probes


def lost_mode_warnings(
    mean: float, sdev: float, proposal: Proposal, scale: float, probes: list[Probe]
) -> tuple[str, ...]:
    """Warnings for an estimate that may have missed a part of the integral.

    Two tests per probe. (1) The part of ``int |f|`` where ``|f|/q > LOW scale``, estimated from the probe
    with its error, exceeds ``SHARE`` by three standard deviations. (2) The probe's estimate of the integral
    is larger in size than ``mean`` by ``SIGMAS`` combined standard deviations, with at least ``ENOUGH``
    effective points. (A probe that misses a peak is low, so only upward differences count.)

    Parameters
    ----------
    mean, sdev : the estimate.
    proposal : what it was made with.
    scale : ``int |f|``, the mean of ``|f|/q``.
    probes : independent points.

    Returns
    -------
    tuple of str
        One line per finding; empty if there is none.
    """
    messages = []
    for probe in probes:
        weights = np.abs(probe.values) / probe.density
        if not weights.any():
            continue
        q = proposal.density(probe.x)
        missed = np.where(np.abs(probe.values) > LOW * scale * q, weights, 0.0) / scale
        share, error = _mean(missed)
        if share - 3 * error > SHARE:
            messages.append(
                f"possibly lost mode: {share:.0%} +- {error:.0%} of the integral lies where the proposal is "
                f"more than {LOW:g} times too low (found by {len(missed):,} {probe.name} points); "
                "integrate with more calls"
            )
            continue
        estimate, estimate_error = _mean(probe.values / probe.density)
        enough = weights.sum() ** 2 > ENOUGH * (weights @ weights)
        excess = (estimate - mean) * math.copysign(1.0, mean)
        combined = math.hypot(estimate_error, sdev)
        if enough and excess > SIGMAS * combined:
            messages.append(
                f"possibly lost mode: {len(missed):,} {probe.name} points give {estimate:.4g} +- "
                f"{estimate_error:.2g}, {excess / combined:.1f} standard deviations above the result; "
                "integrate with more calls"
            )
    return tuple(messages)


def heavy_tail_warnings(iterations: Sequence[Estimate]) -> tuple[str, ...]:
    """A warning if few points carry the estimates: then their errors are as uncertain as they are.

    The effective number of points is ``n / (1 + n sdev^2 / mean^2)`` for the first component. Few of them
    in ``n`` are the sign of a density far from the integrand's, whose largest weights were not seen yet
    (Chatterjee and Diaconis, 1511.01437).
    """
    worst = math.inf
    for one in iterations:
        mean, sdev = float(one.mean[0]), float(one.sdev[0])
        spread2 = one.calls * (sdev / mean) ** 2 if mean else 0.0
        if spread2 > WIDE**2:
            worst = min(worst, one.calls / (1 + spread2))
    if worst > FEW:
        return ()
    return (
        f"a few large values carry the integral ({worst:.0f} effective points in an iteration): its error "
        "is not reliable and a peak may be missed; use more calls or another method",
    )


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
