"""The strata of VEGAS+: equal boxes of the latent cube, points where the integrand varies (2009.05112)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Integer

from ..errors import InputError

UNIFORM_SHARE = 0.25  # of the calls, spread evenly: every stratum is watched, whatever it showed before
MOST_STRATA = 2**26


def choose_divisions(dim: int, calls: int, multiple_of: int | None = None) -> Integer[np.ndarray, " dim"]:
    """Number of strata along each dimension for a number of calls per iteration.

    As many as leave two calls per stratum from the evenly spread quarter of the calls; the first
    dimensions have one more than the last if that comes closer (2009.05112).

    Parameters
    ----------
    dim, calls : int
        Of the integral and of one iteration.
    multiple_of : int, optional
        With more strata than this, a multiple of it (bins of a map, so that edges coincide).
    """
    most = max(UNIFORM_SHARE * calls / 2, 1.0)
    most = min(most, float(MOST_STRATA))
    base = max(int(most ** (1 / dim) * (1 + 1e-12)), 1)
    more = int((math.log(most) - dim * math.log(base)) / math.log(1 + 1 / base) + 1e-9)
    divisions = np.full(dim, base, dtype=np.int64)
    divisions[: min(max(more, 0), dim)] += 1
    if multiple_of:
        divisions = np.where(divisions > multiple_of, divisions // multiple_of * multiple_of, divisions)
    return divisions


class Strata:
    """Boxes of the latent cube and the spread of the integrand in each of them.

    Parameters
    ----------
    divisions : (dim,) number of equal intervals along each dimension; stratum ``h`` has the interval
        ``h // (N_0 ... N_{d-1}) % N_d`` of dimension ``d``.
    beta : float
        Points go to strata as spread^beta: 0 is plain stratification, 1 the optimum if the spread were known
        exactly, 0.75 what is robust.

    Attributes
    ----------
    variance, mean, largest : ndarray, shape (strata,) or None
        (strata,) of the absolute weights in each stratum, times its volume (its square for the variance): the
        means add up to the integral of |f|. None before the first iteration.
    """

    def __init__(self, divisions: Integer[np.ndarray, " dim"], beta: float = 0.75) -> None:
        self.divisions = np.ascontiguousarray(divisions, dtype=np.int64)
        if (self.divisions < 1).any():
            raise InputError(f"strata need at least one interval per dimension, got {divisions}")
        if not 0 <= beta <= 1:
            raise InputError(f"beta must be between 0 and 1, got {beta}")
        self.beta = beta
        self.count = math.prod(int(n) for n in self.divisions)
        self.variance: Float[np.ndarray, " strata"] | None = None
        self.mean: Float[np.ndarray, " strata"] | None = None
        self.largest: Float[np.ndarray, " strata"] | None = None
        self.iterations = 0

    def allocate(self, calls: int) -> Integer[np.ndarray, " strata"]:
        """Points per stratum, at least 2 each, in total ``calls`` where that is possible."""
        if self.count == 1:
            return np.array([max(calls, 2)], dtype=np.int64)
        spread = self._spread()
        floor = max(2, int((UNIFORM_SHARE if spread is not None else 1.0) * calls / self.count))
        counts = np.full(self.count, floor, dtype=np.int64)
        rest = calls - floor * self.count
        if rest > 0:
            share = np.ones(self.count) if spread is None else spread
            # Rounded sums, so that fractions of points are not lost.
            cumulative = np.cumsum(share)
            edges = np.rint(cumulative * (rest / cumulative[-1])).astype(np.int64)
            counts += np.diff(edges, prepend=0)
        return counts

    def _spread(self) -> np.ndarray | None:
        if self.variance is None or self.beta == 0:
            return None
        spread = self.variance ** (self.beta / 2)
        return spread if spread.sum() > 0 else None

    def learn(
        self,
        variance: Float[np.ndarray, " strata"],
        mean: Float[np.ndarray, " strata"],
        largest: Float[np.ndarray, " strata"],
    ) -> None:
        """Take over what an iteration measured: variance, mean and largest of the |weights| in each stratum.

        Averaged (or the maximum taken) with earlier iterations since the last `forget`.
        """
        if self.iterations == 0 or self.variance is None or self.mean is None or self.largest is None:
            self.variance, self.mean, self.largest = variance.copy(), mean.copy(), largest.copy()
        else:
            new = 1 / (self.iterations + 1)
            self.variance += new * (variance - self.variance)
            self.mean += new * (mean - self.mean)
            np.maximum(self.largest, largest, out=self.largest)
        self.iterations += 1

    def scale(self, power: int) -> None:
        """Multiply the integrand that was learned by 2 to the ``power``."""
        for moment, times in ((self.variance, 2), (self.mean, 1), (self.largest, 1)):
            if moment is not None:
                np.ldexp(moment, times * power, out=moment)

    def forget(self) -> None:
        """The next iteration replaces what was learned (the grid below the strata has changed)."""
        self.iterations = 0

    def index(self, y: Float[np.ndarray, "n dim"]) -> Integer[np.ndarray, " n"]:
        """The stratum of each point ``y`` of the latent cube."""
        place = np.clip((y * self.divisions).astype(np.int64), 0, self.divisions - 1)
        strides = np.concatenate([[1], np.cumprod(self.divisions[:-1])])
        return place @ strides

    def corner(self, stratum: Integer[np.ndarray, " k"]) -> Integer[np.ndarray, "k dim"]:
        """Interval of each dimension of the strata, the inverse of `index` on corners."""
        place = np.empty((len(stratum), len(self.divisions)), dtype=np.int64)
        rest = np.asarray(stratum, dtype=np.int64)
        for d, n in enumerate(self.divisions):
            place[:, d] = rest % n
            rest = rest // n
        return place
