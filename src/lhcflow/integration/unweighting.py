"""From weighted to unweighted points: maximum weights, acceptance, and what the efficiency is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..errors import InputError


class Efficiency(float):
    """An unweighting efficiency: a float that knows its error and its definition.

    Attributes
    ----------
    error : float
        Its standard deviation.
    w_max : float
        The maximum weight it stands for.
    n : int
        Number of weights behind it; efficiencies fall with it.
    definition : str
        In words.
    """

    error: float
    w_max: float
    n: int
    definition: str

    def __new__(cls, value: float, error: float, w_max: float, n: int, definition: str) -> Efficiency:
        self = super().__new__(cls, value)
        self.error = float(error)
        self.w_max = float(w_max)
        self.n = int(n)
        self.definition = definition
        return self

    def __repr__(self) -> str:
        return f"{float(self):.4g} ± {self.error:.2g} ({self.definition}, {self.n} weights)"

    def __reduce__(self) -> tuple[object, ...]:
        return Efficiency, (float(self), self.error, self.w_max, self.n, self.definition)


@dataclass(frozen=True)
class UnweightedPoints:
    """Points distributed as the integrand. ``len()`` and ``numpy.asarray`` work on the points.

    Attributes
    ----------
    x : ndarray, shape (n, dim)
        (n, dim) points.
    weight : ndarray, shape (n,)
        (n,) +1 or -1 (the sign of the integrand), or w/w_max beyond that for overweight points.
    w_max : float
        The weight that is always accepted.
    trials : int
        Points drawn for it.
    overweight : float
        Share of the sum of |weight| that the overweight points carry.
    """

    x: Float[np.ndarray, "n dim"]
    weight: Float[np.ndarray, " n"]
    w_max: float
    trials: int
    overweight: float

    @property
    def efficiency(self) -> float:
        """Accepted points per trial."""
        return len(self.x) / self.trials

    def __len__(self) -> int:
        return len(self.x)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.x, dtype=dtype, copy=True if copy is None else copy)  # type: ignore[arg-type]


def maximum_weight(w: Float[np.ndarray, " n"], overweight: float) -> float:
    """The smallest of the given weights such that larger ones carry at most a given share of the sum.

    Parameters
    ----------
    w : ndarray, shape (n,)
        Weights (n,); their absolute values count.
    overweight : float
        Largest share of the sum of |w| carried by |w| > w_max; 0 gives the largest weight.

    Raises
    ------
    InputError
        If there is no weight but 0, or the share is not in [0, 1).

    Examples
    --------
    >>> maximum_weight(np.array([1.0, 2.0, 3.0, 4.0]), overweight=0.5)
    3.0
    """
    if not 0 <= overweight < 1:
        raise InputError(f"overweight is a share of the integral, 0 <= share < 1, got {overweight}")
    size = np.sort(np.abs(w))[::-1]
    total = size.sum()
    if not total > 0:
        raise InputError("all weights are zero: nothing to unweight; is the integrand zero in the cube?")
    above = np.concatenate([[0.0], np.cumsum(size)[:-1]])  # carried by what stands before each weight
    allowed = int(np.searchsorted(above, overweight * total * (1 + 1e-12), side="right")) - 1
    return float(size[allowed])


def accept(
    w: Float[np.ndarray, " n"], w_max: float, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Accept points with probability min(1, |w|/w_max); which (n,), and the weights (n,) they keep."""
    ratio = np.abs(w) / w_max
    kept = rng.random(len(w)) < ratio
    return kept, np.sign(w) * np.maximum(ratio, 1.0)


def overweight_efficiency(w: Float[np.ndarray, " n"], overweight: float) -> Efficiency:
    """Share of the points that is accepted if overweights carry at most a given share of the integral.

    mean(min(1, |w|/w_max)) with `maximum_weight`; its error from 20 blocks by the jackknife,
    the choice of w_max included.
    """
    w = np.abs(np.asarray(w, dtype=float))
    w_max = maximum_weight(w, overweight)
    value = float(np.minimum(w / w_max, 1).mean())
    blocks = np.array_split(np.arange(len(w)), min(20, len(w)))
    left: list[float] = []
    for block in blocks:
        rest = np.delete(w, block)
        if rest.any():
            left.append(float(np.minimum(rest / maximum_weight(rest, overweight), 1).mean()))
    error = np.sqrt((len(left) - 1) * np.var(left)) if len(left) > 1 else np.inf
    return Efficiency(value, float(error), w_max, len(w), f"overweight share {overweight:g}")


def bootstrap_efficiency(
    w: Float[np.ndarray, " pool"], n_opt: int, replicas: int, rng: np.random.Generator
) -> Efficiency:
    """The definition of 2001.10028: mean(w) / w_max, w_max the median of the maxima of replicas.

    Parameters
    ----------
    w : ndarray, shape (pool,)
        The pool of weights; 50 n_opt of them there. Absolute values count.
    n_opt : int
        Weights in each replica, drawn with replacement. The efficiency depends on it: state it.
    replicas : int
        Number of replicas (1000 in 2001.10028).
    rng : np.random.Generator
        Draws the replicas.
    """
    w = np.abs(np.asarray(w, dtype=float))
    if n_opt < 1 or replicas < 1:
        raise InputError(f"n_opt and replicas must be at least 1, got {n_opt} and {replicas}")
    # The maximum of n_opt draws from the pool: the largest of n_opt ranks is N u^(1/n_opt), u uniform.
    order = np.sort(w)

    def ranks(shape: tuple[int, ...]) -> np.ndarray:
        return np.minimum((len(w) * rng.random(shape) ** (1 / n_opt)).astype(np.int64), len(w) - 1)

    w_max = float(np.median(order[ranks((replicas,))]))
    if not w_max > 0:
        raise InputError("the maximum weight is zero: n_opt is too small or the integrand is zero")
    value = float(w.mean()) / w_max
    medians = np.median(order[ranks((50, replicas))], axis=1)
    spread = np.hypot(np.std(medians) / w_max, np.std(w) / np.sqrt(len(w)) / max(w.mean(), 1e-300))
    return Efficiency(value, value * float(spread), w_max, len(w), f"2001.10028, n_opt = {n_opt}")
