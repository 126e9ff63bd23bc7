"""Draws weighted and unweighted points of an integrand from a proposal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..arguments import whole
from ..errors import InputError, RunError
from ..files import atomic_write, read_arrays
from .evaluate import Integrand
from .proposal import Proposal, rebuild
from .unweighting import (
    Efficiency,
    UnweightedPoints,
    accept,
    bootstrap_efficiency,
    maximum_weight,
    overweight_efficiency,
)

FORMAT = "lhcflow.sampler/1"
BATCH = 2**17


class Sampler:
    """Points of the unit cube from a proposal q, with weights f/q.

    Every call continues the random numbers of the last one; the same seed and the same calls give the
    same points. For a vector integrand the weights are those of the first component.

    Parameters
    ----------
    proposal : Proposal
        What is drawn from; its support must contain that of ``function``.
    function : Integrand or callable
        The integrand, of points (n, dim); an `Integrand` or a plain
        numpy function.
    seed : int or np.random.SeedSequence
        Of the points.

    Examples
    --------
    >>> from lhcflow.integration import Uniform
    >>> sampler = Sampler(Uniform(1), lambda x: 2 * x[:, 0], seed=1)
    >>> x, w = sampler.sample(10_000)
    >>> bool(abs(w.mean() - 1) < 0.03)
    True
    >>> events = sampler.unweight(1000)
    >>> events.x.shape, bool(abs(events.x.mean() - 2 / 3) < 0.04)
    ((1000, 1), True)
    """

    def __init__(
        self,
        proposal: Proposal,
        function: Integrand | Callable[[np.ndarray], np.ndarray],
        *,
        seed: int | np.random.SeedSequence = 0,
    ) -> None:
        self.proposal = proposal
        self.function = function if isinstance(function, Integrand) else Integrand(function, proposal.dim)
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(whole(seed, "seed", 0))
        self._rng = np.random.default_rng(seed)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self.proposal.dim

    def sample(self, n: int) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Draw points ``x`` (n, dim) and weights ``w`` (n,); ``w.mean()`` estimates the integral."""
        n = whole(n, "n", 0)
        xs, ws = [np.empty((0, self.dim))], [np.empty(0)]
        for start in range(0, n, BATCH):
            x, density = self.proposal.sample(min(BATCH, n - start), self._rng)
            values = self.function(x)
            xs.append(x)
            ws.append((values if values.ndim == 1 else values[:, 0]) / density)
        return np.concatenate(xs), np.concatenate(ws)

    def unweight(
        self,
        n: int,
        overweight: float = 1e-3,
        *,
        w_max: float | None = None,
        pilot: int | None = None,
        max_trials: int | None = None,
    ) -> UnweightedPoints:
        """Draw ``n`` points distributed as |f|, with weights of +1 or -1 but for a few overweights.

        Points are accepted with probability min(1, |w|/w_max); those with |w| > w_max keep the weight
        |w|/w_max, so that weighted sums have no bias at all.

        Parameters
        ----------
        n : int
            Number of points.
        overweight : float
            Largest share of the integral of |f| that points with |w| > w_max may carry. It holds in the pilot
            sample that fixes w_max, and up to fluctuations in the points.
        w_max : float, optional
            Use this maximum, e.g. of an earlier call.
        pilot : int, optional
            Points that fix w_max (they are used, too); by default max(20,000, 2 n), at most 10^6.
        max_trials : int, optional
            Give up after so many points; by default 10,000 n and at least 10^8.

        Raises
        ------
        RunError
            If ``max_trials`` points were not enough.
        """
        n = whole(n, "n", 0)
        size = min(max(20_000, 2 * n), 1_000_000) if pilot is None else pilot
        limit = max(100_000_000, 10_000 * n) if max_trials is None else max_trials
        xs, weights = [np.empty((0, self.dim))], [np.empty(0)]
        trials = found = 0
        while found < n:
            if trials >= limit:
                raise RunError(
                    f"only {found} of {n} points accepted in {trials} trials: adapt longer, "
                    "or allow a larger overweight share"
                )
            x, w = self.sample(size)
            if w_max is None:
                w_max = maximum_weight(w, overweight)
            kept, weight = accept(w, w_max, self._rng)
            if found + int(kept.sum()) >= n:  # trials count up to the last accepted point
                last = int(np.flatnonzero(kept)[n - found - 1]) + 1
                x, kept, weight, size = x[:last], kept[:last], weight[:last], last
            xs.append(x[kept])
            weights.append(weight[kept])
            found += int(kept.sum())
            trials += size
            size = int(np.clip(1.1 * (n - found) * trials / max(found, 1) + 1000, 1000, BATCH))
        w = np.concatenate(weights)
        over = np.abs(w)
        share = float(over[over > 1].sum() / max(over.sum(), 1e-300))
        return UnweightedPoints(np.concatenate(xs), w, 0.0 if w_max is None else w_max, max(trials, 1), share)

    def unweighting_efficiency(self, n: int = 100_000, overweight: float = 1e-3) -> Efficiency:
        """Accepted share of ``n`` fresh points; overweights carry at most a given share of the integral."""
        return overweight_efficiency(self.sample(n)[1], overweight)

    def bootstrap_efficiency(self, n_opt: int, replicas: int = 1000, pool: int | None = None) -> Efficiency:
        """The efficiency as defined in 2001.10028, from a pool of ``pool`` (50 n_opt) fresh points."""
        w = self.sample(50 * n_opt if pool is None else pool)[1]
        return bootstrap_efficiency(w, n_opt, replicas, self._rng)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the proposal and the state of the random numbers; the function is not saved."""
        path = Path(path)
        if not path.parent.is_dir():
            raise InputError(f"can't save to {path}: the folder {path.parent} does not exist")
        header = json.dumps(
            {"format": FORMAT, "proposal": self.proposal.kind, "rng": self._rng.bit_generator.state}
        )
        arrays = {f"state.{name}": value for name, value in self.proposal.state().items()}
        with atomic_write(path, "wb") as file:
            np.savez(file, allow_pickle=False, header=np.array(header), **arrays)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], function: Integrand | Callable[[np.ndarray], np.ndarray]
    ) -> Sampler:
        """Read what `save` wrote; ``function`` must be the one it was made for.

        Raises
        ------
        InputError
            If the file is missing or not a sampler.
        """
        if not os.path.exists(path):
            raise InputError(f"there is no file {path}")
        try:
            arrays = read_arrays(path)
            header = json.loads(str(arrays.pop("header")))
            if header["format"] != FORMAT:
                raise KeyError(header["format"])
            state = {name.removeprefix("state."): value for name, value in arrays.items()}
            sampler = cls(rebuild(header["proposal"], state), function)
            sampler._rng.bit_generator.state = header["rng"]
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError):
            raise InputError(f"{path} is not a sampler saved by lhcflow, or it is damaged") from None
        return sampler

    def __repr__(self) -> str:
        return f"Sampler({self.proposal!r})"
