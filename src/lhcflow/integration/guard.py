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
# Shares of the squared error that one point has: of that of all iterations together, and the mean of those of
# each, which counts only if the point's weight is this many times the mean (beside a step it is not).
# Infinite variances (x^-a at an edge, 1/2 < a < 1) give 0.2 to 1 and 0.3 to 0.8, however many calls there
# are. Of 4,000 integrations with 20,000 calls of sixteen integrands with a finite variance (test functions,
# steps, narrow peaks) one was above a limit; of 250 of x^-0.9 one was not.
TOP, TOP_OF_EACH, LARGE = 0.3, 0.4, 25.0


@dataclass(frozen=True)
class Probe:
    """Points that took no part in the adaptation.

    Attributes
    ----------
    name : str
        Of the density, for the warning.
    x : ndarray, shape (n, dim)
        (n, dim) points, (n,) integrand and (n,) density they were drawn from.
    values, density : ndarray, shape (n,)
        (n, dim) points, (n,) integrand and (n,) density they were drawn from.
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
    mean, sdev : float
        The estimate.
    proposal : Proposal
        What it was made with.
    scale : float
        ``int |f|``, the mean of ``|f|/q``.
    probes : list of Probe
        Independent points.

    Returns
    -------
    tuple of str
        One line per finding; empty if there is none.
    """
    messages = []
    for probe in probes:
        weights = np.abs(probe.values) / probe.density
        if not weights.any() or not scale > 0:
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
        relative = weights / weights.max()  # squares of the weights themselves may overflow
        enough = relative.sum() ** 2 > ENOUGH * (relative @ relative)
        excess = (estimate - mean) * math.copysign(1.0, mean)
        combined = math.hypot(estimate_error, sdev)
        if enough and excess > SIGMAS * combined:
            messages.append(
                f"possibly lost mode: {len(missed):,} {probe.name} points give {estimate:.4g} +- "
                f"{estimate_error:.2g}, {excess / combined:.1f} standard deviations above the result; "
                "integrate with more calls"
            )
    return tuple(messages)


def heavy_tail_warnings(iterations: Sequence[Estimate], component: int = 0) -> tuple[str, ...]:
    """A warning if few points carry the estimates: then their errors are as uncertain as they are.

    The effective number of points is ``n / (1 + n sdev^2 / mean^2)``. Few of them in ``n`` are the sign of a
    density far from the integrand's, whose largest weights were not seen yet (Chatterjee and Diaconis,
    1511.01437).

    Parameters
    ----------
    iterations : sequence of Estimate
        What was combined.
    component : int
        The one that drives the adaptation.
    """
    worst = math.inf
    for one in iterations:
        mean, sdev = float(one.mean[component]), float(one.sdev[component])
        spread2 = one.calls * (sdev / mean) ** 2 if mean else 0.0
        if spread2 > WIDE**2:
            worst = min(worst, one.calls / (1 + spread2))
    if worst > FEW:
        return ()
    return (
        f"a few large values carry the integral ({worst:.0f} effective points in an iteration): its error "
        "is not reliable and a peak may be missed; use more calls or another method",
    )


def single_point_warnings(iterations: Sequence[Estimate], component: int = 0) -> tuple[str, ...]:
    """A warning if single points decide the error: the sign of weights with an infinite variance.

    With a finite variance the share of one point in the sum of squares falls as points are added; with an
    infinite one it does not (Feller, vol. II, XIII.11), and the mean of a sample lies below the integral,
    with too small an error, more often than not. As this looks at the error and not at the spread
    of the weights, it also sees a tail that has a thousandth of the points: the first bin of a VEGAS grid.

    Parameters
    ----------
    iterations : sequence of Estimate
        What was combined.
    component : int
        The one that drives the adaptation.
    """
    sdevs = np.array([one.sdev[component] for one in iterations])
    shares = np.array([one.top for one in iterations])
    calls = np.array([one.calls for one in iterations])
    means = np.array([one.mean[component] for one in iterations])
    if not sdevs.any() or not means.any():
        return ()
    squares = (sdevs / sdevs.max()) ** 2
    top = float((shares * squares).max() / squares.sum())
    each = float(shares.mean())
    largest = float((np.sqrt(shares) * sdevs * calls).max() / abs(means.mean()))
    if top < TOP and (each < TOP_OF_EACH or largest < LARGE):
        return ()
    return (
        f"single points decide the error ({top:.0%} of its square comes from one point, {each:.0%} on "
        "average in an iteration): it is not reliable. At a singularity the variance is infinite and the "
        "integral larger than the error says: change variables so that it cancels",
    )


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error; squares of very large or small values are not formed."""
    size = float(np.abs(values).max(initial=0.0)) or 1.0
    relative = values / size
    return float(relative.mean()) * size, float(relative.std(ddof=1) / math.sqrt(len(values))) * size
