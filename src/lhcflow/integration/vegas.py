"""VEGAS and VEGAS+: importance grid and adaptive stratification (Lepage 1978; 2009.05112)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer

from ..arguments import whole
from ..errors import InputError
from . import vegas_kernels as kernels
from .evaluate import Integrand
from .results import Estimate, Result, combine
from .sampler import Sampler
from .stratification import Strata, choose_divisions
from .stratified_proposal import StratifiedProposal
from .units import Units
from .vegas_map import VegasMap

Function = Callable[[np.ndarray], np.ndarray]

BATCH = 2**17  # points that are handed out together, about
POINTS_PER_WINDOW = 200  # the grid is trained on averages over about so many points
# Calls per iteration from which on the iterations that only adapt are half as long and twice as many: narrow
# peaks take about six. With fewer calls the grid would follow noise (measured with testfunctions.py).
LONG = 1500


@dataclass(frozen=True)
class Batch:
    """Points of one iteration that belong to consecutive strata.

    Attributes
    ----------
    x : ndarray, shape (n, dim)
        (n, dim) points in the open unit cube.
    weight : ndarray, shape (n,)
        (n,); over all batches of an iteration, ``(weight * f(x)).sum()`` estimates the integral.
    index : Integer[np.ndarray, 'n dim']
        (n, dim) bins of the grid.
    stratum, count : Integer[np.ndarray, ' groups']
        (groups,) stratum of each group of consecutive points, points in the group and in its whole stratum.
    sizes : ndarray, shape (groups,)
        (groups,) stratum of each group of consecutive points, points in the group and in its whole stratum.
    """

    x: Float[np.ndarray, "n dim"]
    weight: Float[np.ndarray, " n"]
    index: Integer[np.ndarray, "n dim"]
    stratum: Integer[np.ndarray, " groups"]
    count: Integer[np.ndarray, " groups"]
    sizes: Float[np.ndarray, " groups"]


class Vegas:
    """Adaptive integration over the unit cube, step by step.

    One iteration is ``for batch in vegas.batches(calls): vegas.accumulate(batch, f(batch.x))``, then
    ``vegas.estimate()``, then ``vegas.refine()`` if the next one should be better. `iterate` does
    this for a function, `integrate` does several and combines them. The integrand may be
    anything on the cube, such as ``u -> f(x(u)) / q(x(u))`` on the latent cube of a flow.

    Points depend on ``seed``, the iteration and what was accumulated before, not on batches or threads.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    seed : int or np.random.SeedSequence
        Of all random numbers.
    bins : int
        Most bins of the grid per dimension (fewer if there are less than 10 calls for each); 1 means no
        importance grid.
    alpha : float
        Damping of the grid's adaptation: 0.5 in VEGAS; averaging over neighbours makes 0.8 safe.
    beta : float
        Points go to strata as variance^(beta/2); 0 for strata with equal numbers of points.
    stratify : bool
        False is classic VEGAS: one stratum.
    grid : VegasMap, optional
        A grid to start with.
    threads : int
        Of the native kernels.

    Attributes
    ----------
    driver : int or None
        Component of a vector integrand that grid and strata adapt to: the first that was not zero at all
        points so far; None before there is one.

    References
    ----------
    G. P. Lepage, J. Comput. Phys. 27 (1978) 192; 2009.05112.

    Examples
    --------
    >>> result = Vegas(2, seed=1).integrate(lambda x: 4 * x[:, 0] * x[:, 1], calls=20_000)
    >>> abs(result.mean - 1) < 4 * result.sdev < 0.01
    True
    """

    def __init__(
        self,
        dim: int,
        *,
        seed: int | np.random.SeedSequence = 0,
        bins: int = 1000,
        alpha: float = 0.8,
        beta: float = 0.75,
        stratify: bool = True,
        grid: VegasMap | None = None,
        threads: int = 1,
    ) -> None:
        dim, bins, threads = whole(dim, "dim", 1), whole(bins, "bins", 1), whole(threads, "threads", 1)
        if not 1 <= bins <= 65536:
            raise InputError(f"bins must be between 1 and 65536, got {bins}")
        if grid is not None and grid.dim != dim:
            raise InputError(f"the grid has {grid.dim} dimensions, the integral {dim}")
        self.dim = dim
        self.bins = bins
        self.alpha = alpha
        self.beta = beta
        self.stratify = stratify
        self.grid = VegasMap(dim) if grid is None else grid
        self.strata = Strata(np.ones(dim, dtype=np.int64), beta)
        self.threads = threads
        self.iteration = 0
        self.calls = 0
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(whole(seed, "seed", 0))
        self._sequence = seed
        self._keys = np.random.Generator(np.random.PCG64(self._sequence))
        self.driver: int | None = None
        self._sums: _Sums | None = None
        self._units: Units | None = None

    def prepare(self, calls: int) -> None:
        """Choose bins and strata for iterations of ``calls`` calls; keeps what was learned where it can."""
        if calls < 4:
            raise InputError(f"an iteration needs at least 4 calls, got {calls}")
        bins = min(self.bins, max(calls // 10, 1))
        if self.grid.bins != bins:
            self.grid = self.grid.rebinned(bins)
        divisions = np.ones(self.dim, dtype=np.int64)
        if self.stratify:
            divisions = choose_divisions(self.dim, calls, bins if bins > 1 else None)
        if (divisions != self.strata.divisions).any():
            self.strata = Strata(divisions, self.beta)

    def batches(self, calls: int) -> Iterator[Batch]:
        """Start an iteration of about ``calls`` calls and hand out its points."""
        self.prepare(calls)
        self._sums = sums = _Sums(self.strata.count, self.dim, self.grid.bins)
        self.iteration += 1
        key = int(self._keys.integers(0, 2**64, dtype=np.uint64))
        sizes = self.strata.allocate(calls)
        volume = 1 / self.strata.count
        # A large stratum is cut into groups; the variance between them is not lost, only its n - 1.
        parts = -(-sizes // BATCH)
        stratum = np.repeat(np.arange(self.strata.count, dtype=np.int64), parts)
        counts = sizes if len(stratum) == len(sizes) else _split(sizes, parts)
        sums.points = int(sizes.sum())
        sums.sizes = sizes
        total = sizes[stratum].astype(float)
        ends = np.cumsum(counts)
        first = 0
        while first < len(counts):
            done = int(ends[first - 1]) if first else 0
            last = max(int(np.searchsorted(ends, done + BATCH, side="right")), first + 1)
            part = slice(first, last)
            x, weight, index = kernels.draw(
                self.grid.edges,
                self.strata.divisions,
                stratum[part],
                counts[part],
                volume / total[part],
                key,
                done,
                self.threads,
            )
            yield Batch(x, weight, index, stratum[part], counts[part], total[part])
            first = last
        sums.drawn = True

    def accumulate(self, batch: Batch, values: np.ndarray) -> None:
        """Take the integrand's values (n,) or (n, m) at the points of ``batch``; all must be finite.

        Grid and strata adapt to the first component that is not zero everywhere.
        """
        if self._sums is None:
            raise InputError("accumulate needs an iteration: take the batch from batches()")
        values = np.ascontiguousarray(values, dtype=float)
        if values.shape[0] != len(batch.x) or values.ndim > 2:
            raise InputError(f"the integrand gave shape {values.shape} for {len(batch.x)} points")
        values = values.reshape(len(values), -1)
        if self._units is None:
            self._units = Units(values.shape[1])
        if self.driver is None:
            self.driver = first_nonzero(values)
        if len(self._units.exponent) != values.shape[1]:
            raise InputError(
                f"the integrand changed from {len(self._units.exponent)} components to {values.shape[1]}"
            )
        shift = self._units.fit(values)
        if shift.any():
            self._sums.scale(shift[self._order(len(shift))])
            self.strata.scale(int(shift[self.driver or 0]))
        values = self._units.apply(values)
        if self.driver:
            values = np.ascontiguousarray(values[:, self._order(values.shape[1])])
        self._sums.add(batch, values)
        self.calls += len(values)

    def _order(self, size: int) -> np.ndarray:
        """The components as the kernels take them: the driving one comes first."""
        first = self.driver or 0
        return np.array([first, *(i for i in range(size) if i != first)])

    def estimate(self) -> Estimate:
        """The integral from the iteration that was just completed."""
        sums = self._sums
        if sums is None or self._units is None or not sums.complete:
            raise InputError("estimate needs a complete iteration: accumulate all batches first")
        back = np.argsort(self._order(len(sums.mean)))
        mean, covariance = sums.mean[back], sums.covariance[np.ix_(back, back)]
        # What rounding leaves of a constant integrand is an error too.
        rounding = np.finfo(float).eps * np.abs(mean)
        dof, top = sums.quality()
        return Estimate(
            np.ldexp(mean, self._units.exponent),
            covariance + np.diag(rounding**2),
            sums.calls,
            dof,
            top,
            self._units.unit,
        )

    def refine(self, grid: bool = True) -> None:
        """Adapt grid (unless told not to) and strata to the iteration that was just completed.

        With the grid left alone, what the strata learn is pooled over iterations.
        """
        sums = self._sums
        if sums is None or not sums.complete:
            raise InputError("refine needs a complete iteration: accumulate all batches first")
        self.strata.learn(*sums.moments.T)
        if grid and self.grid.bins > 1 and self.alpha > 0:
            self.strata.forget()
            squares, hits = sums.histogram[..., 0], sums.histogram[..., 1]
            training = np.divide(squares, hits, out=np.zeros_like(squares), where=hits > 0)
            for row, seen in zip(training, hits > 0, strict=True):
                if not seen.all():  # a bin that had no point is like its neighbours
                    row[~seen] = np.interp(np.flatnonzero(~seen), np.flatnonzero(seen), row[seen])
            window = POINTS_PER_WINDOW * self.grid.bins // (2 * sums.calls)
            self.grid = self.grid.refined(training, self.alpha, window)

    def iterate(
        self, f: Function, calls: int, adapt: Literal["all", "strata", "nothing"] = "all"
    ) -> Estimate:
        """One iteration: evaluate ``f`` at about ``calls`` points, estimate, and adapt."""
        for batch in self.batches(calls):
            self.accumulate(batch, np.asarray(f(batch.x)))
        estimate = self.estimate()
        if adapt != "nothing":
            self.refine(grid=adapt == "all")
        return estimate

    def proposal(self) -> StratifiedProposal:
        """The density learned so far: the grid, with the probability of each stratum its share of |f|."""
        return StratifiedProposal(self.grid, self.strata)

    def integrate(
        self,
        f: Integrand | Function,
        calls: int = 200_000,
        *,
        iterations: int = 10,
        warmup: int = 3,
        rtol: float | None = None,
        atol: float | None = None,
        weighted: bool = False,
    ) -> Result:
        """Several iterations, the first ``warmup`` of which only adapt.

        Grid and strata adapt in 70 % of the iterations, then the strata alone: the sampler of the result
        needs to know them well. From 1,500 calls per iteration on, each of the warm-up is done in two halves.

        Parameters
        ----------
        f : Integrand or Function
            Function of points (n, dim) with values (n,) or (n, m), or an
            `Integrand`.
        calls : int
            Of all iterations together, warm-up included.
        iterations : int
            How many the calls are divided into.
        warmup : int
            How many of them do not count in the result: their errors are the least reliable.
        rtol, atol : float, optional
            Stop when all errors are below ``rtol * |mean|`` or below ``atol``; the warm-up stops when that
            holds for one of its iterations.
        weighted : bool
            See `combine`.

        Returns
        -------
        Result
            With the calls really made, which may be slightly more or fewer.
        """
        if not 0 <= warmup < iterations:
            raise InputError(
                f"warmup must be at least 0 and less than iterations, got {warmup} of {iterations}"
            )
        calls = whole(calls, "calls", 4)
        integrand = f if isinstance(f, Integrand) else Integrand(f, self.dim)
        before = self.calls
        size = max(calls // iterations, 4)
        parts = 2 if size >= LONG else 1
        for _ in range(warmup * parts):
            one = self.iterate(integrand, size // parts)
            if (rtol is not None or atol is not None) and converged(combine([one]), rtol, atol):
                break
        estimates: list[Estimate] = []
        for i in range(warmup, iterations):
            adapt = "all" if 10 * i < 7 * iterations else "strata"
            estimates.append(self.iterate(integrand, size, adapt))
            if (rtol is not None or atol is not None) and converged(
                combine(estimates, weighted=weighted), rtol, atol
            ):
                break
        return combine(
            estimates,
            calls=self.calls - before,
            weighted=weighted,
            scalar=integrand.components is None,
            warnings=integrand.report(),
            sampler=Sampler(self.proposal(), integrand, seed=self._sequence.spawn(1)[0]),
            method="VEGAS+" if self.stratify else "VEGAS",
        )

    def __repr__(self) -> str:
        strata = "x".join(str(n) for n in self.strata.divisions)
        return f"Vegas(dim={self.dim}, bins={self.grid.bins}, strata={strata}, beta={self.beta})"


class _Sums:
    """What an iteration accumulates, the driving component first and all in the integrator's units."""

    def __init__(self, strata: int, dim: int, bins: int) -> None:
        self.mean = np.empty(0)
        self.covariance = np.empty((0, 0))
        self.moments = np.zeros((strata, 3))
        self.histogram = np.zeros((dim, bins, 2))
        self.sizes = np.zeros(strata, dtype=np.int64)
        self.calls = 0
        self.points = 0
        self.drawn = False

    @property
    def complete(self) -> bool:
        """Whether all points were handed out and came back."""
        return self.drawn and self.calls == self.points

    def add(self, batch: Batch, values: np.ndarray) -> None:
        """Add the values (n, m) at the points of a batch."""
        size = values.shape[1]
        if self.calls == 0:
            self.mean, self.covariance = np.zeros(size), np.zeros((size, size))
        kernels.accumulate(
            values,
            batch.weight,
            batch.index,
            batch.stratum,
            batch.count,
            batch.sizes,
            self.mean,
            self.covariance,
            self.moments,
            self.histogram,
        )
        self.calls += len(values)

    def scale(self, power: np.ndarray) -> None:
        """Multiply the integrand so far by 2 to the ``power`` (m,) of each component."""
        if self.calls:
            self.mean = np.ldexp(self.mean, power)
            self.covariance = np.ldexp(self.covariance, power[:, None] + power)
        self.moments = np.ldexp(self.moments, power[0] * np.array([2, 1, 1]))
        self.histogram[..., 0] = np.ldexp(self.histogram[..., 0], 2 * power[0])

    def quality(self) -> tuple[float, float]:
        """Degrees of freedom of the driving component's error, and the largest share of one point in it.

        A stratum with n points adds the variance v to that of the mean. If its values were normal, v would
        have the relative variance 2 / (n - 1), of which 2 / (n + 1) is an unbiased estimate; a point far
        above the others, with the squared deviation d from them, makes v as uncertain as d / v. The sum over
        strata gives the degrees of freedom (Satterthwaite, Biometrics Bulletin 2 (1946) 110).
        """
        n = np.maximum(self.sizes, 2)
        variance = self.moments[:, 0] / n
        total = variance.sum()
        if not total > 0:
            return math.inf, 0.0
        share = variance / total
        point = np.minimum(((self.moments[:, 2] - self.moments[:, 1]) / (n - 1)) ** 2 / total, share)
        uncertain = share @ np.maximum(point, 2 * share / (n + 1))
        return 2 / float(uncertain), float(point.max())


def _split(sizes: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Cut each size into its number of nearly equal parts, in order."""
    counts = [np.diff(np.arange(p + 1) * n // p) for n, p in zip(sizes, parts, strict=True)]
    return np.concatenate(counts)


def converged(result: Result, rtol: float | None, atol: float | None) -> bool:
    """Whether every error of ``result`` is below ``rtol * |mean|`` or below ``atol``."""
    sdev, mean = np.atleast_1d(result.sdev), np.atleast_1d(result.mean)
    relative = 0.0 if rtol is None else rtol
    bound = np.maximum(relative * np.abs(mean), 0.0 if atol is None else atol)
    # An integrand that was zero at all points so far has no error yet: more points may find something.
    return bool((sdev <= bound).all()) and bool(sdev.any()) and math.isfinite(float(sdev.sum()))


def first_nonzero(values: Float[np.ndarray, "n m"]) -> int | None:
    """The first component that is not zero at all of the points; None if there is none."""
    found = np.flatnonzero(values.any(axis=0))
    return int(found[0]) if len(found) else None
