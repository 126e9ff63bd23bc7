"""The phase-space map as it is: plain Monte Carlo, without adaptation, to compare with."""

from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..integration import Estimate, Result, Uniform, combine
from ..integration.sampler import Sampler

ITERATIONS = 10


def integrate_bare(
    f: Callable[[np.ndarray], np.ndarray], dim: int, calls: int, seed: int, rtol: float | None = None
) -> Result:
    """Integrate with even points in ten iterations; the result's sampler draws even points, too.

    Parameters
    ----------
    f : callable
        Integrand (n, dim) -> (n,).
    calls : int
        Evaluations of `f`.
    seed : int
        Of the points.
    rtol : float, optional
        Stop when the relative error is smaller.
    """
    if calls < 2 * ITERATIONS:
        raise InputError(f"an integration needs at least {2 * ITERATIONS} calls, got {calls}")
    sampler = Sampler(Uniform(dim), f, seed=seed)
    estimates: list[Estimate] = []
    while len(estimates) < ITERATIONS:
        _, weights = sampler.sample(calls // ITERATIONS)
        estimates.append(Estimate.of_weights(weights[:, None]))
        mean = np.mean([e.mean for e in estimates])
        if rtol is not None and estimates[-1].sdev[0] <= rtol * abs(mean) * len(estimates) ** 0.5:
            break
    # weighted by calls: with few events in the peaks the errors correlate with the means
    return combine(estimates, weighted=False, sampler=sampler, method="bare")
