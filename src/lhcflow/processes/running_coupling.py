"""The running strong coupling: by its renormalisation group equation, or interpolated from a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from ..errors import InputError

ZETA2, ZETA3 = math.pi**2 / 6, 1.2020569031595942
STEPS_PER_UNIT = 20  # of ln Q^2: the interpolation is exact to 1e-8
LOWEST, HIGHEST = 0.7, 2e5  # GeV


def beta_coefficients(flavours: int, order: int) -> np.ndarray:
    """b_0 ... of d alpha / d ln Q^2 = - alpha^2 (b_0 + b_1 alpha + ...), MS-bar (hep-ph/9701390, eq. 8).

    Parameters
    ----------
    flavours : int
        Active quarks.
    order : int
        Number of loops, 1 to 4.
    """
    n = flavours
    b = [
        11 - 2 / 3 * n,
        102 - 38 / 3 * n,
        2857 / 2 - 5033 / 18 * n + 325 / 54 * n**2,
        149753 / 6
        + 3564 * ZETA3
        - (1078361 / 162 + 6508 / 27 * ZETA3) * n
        + (50065 / 162 + 6472 / 81 * ZETA3) * n**2
        + 1093 / 729 * n**3,
    ]
    return np.array([c / (4 * math.pi) ** (i + 1) for i, c in enumerate(b[:order])])


def decoupling(alpha: float, light: int, order: int) -> float:
    """alpha_s with `light` flavours from that with one more, at the heavy quark's pole mass.

    Source: hep-ph/9706430, eq. 25 with the on-shell mass; used to one loop less than the running.
    """
    a = alpha / math.pi
    ratio = 1.0
    if order >= 3:
        ratio -= 7 / 24 * a**2
    if order >= 4:
        constant = -58933 / 124416 - 2 / 3 * ZETA2 * (1 + math.log(2) / 3) - 80507 / 27648 * ZETA3
        ratio += (constant + light * (2479 / 31104 + ZETA2 / 9)) * a**3
    return alpha * ratio


class RunningCoupling:
    """alpha_s(Q) from its value at one scale.

    Parameters
    ----------
    value : float
        alpha_s at `scale`.
    scale : float
        GeV; mostly the Z mass.
    order : int
        Number of loops, 1 to 4.
    thresholds : mapping of int to float, optional
        Pole masses in GeV by the number of flavours that are active above them.
    flavours : int
        The largest number of active flavours.

    Notes
    -----
    Outside 0.7 GeV to 200 TeV the coupling is frozen.

    Examples
    --------
    >>> float(RunningCoupling(0.118, 91.2, order=3)(np.array([91.2]))[0])
    0.118
    """

    def __init__(
        self,
        value: float = 0.118,
        scale: float = 91.1876,
        order: int = 3,
        thresholds: Mapping[int, float] | None = None,
        flavours: int = 5,
    ) -> None:
        if order not in (1, 2, 3, 4):
            raise InputError(f"alpha_s runs with 1, 2, 3 or 4 loops, got {order}")
        if not 0 < value < 0.5:
            raise InputError(f"alpha_s must be between 0 and 0.5, got {value}")
        masses = {4: 1.51, 5: 4.92, 6: 172.5} if thresholds is None else dict(thresholds)
        self.value, self.scale, self.order = value, scale, order
        self.thresholds = {n: m for n, m in sorted(masses.items()) if n <= flavours}
        self.flavours = flavours
        low = min(self.thresholds) - 1 if self.thresholds else flavours
        edges = [LOWEST, *self.thresholds.values(), HIGHEST]
        if sorted(edges) != edges:
            raise InputError(f"the thresholds {self.thresholds} must increase and lie in 0.7 GeV to 200 TeV")
        self._edges = np.log(np.array(edges[1:-1])) * 2
        regions = list(range(low, flavours + 1))
        home = int(np.searchsorted(self._edges, 2 * math.log(scale), side="right"))
        self._splines: list[CubicHermiteSpline] = [None] * len(regions)  # type: ignore[list-item]
        logs = [2 * math.log(e) for e in edges]
        at_bottom = self._solve(regions, home, value, 2 * math.log(scale), logs)
        alpha_top = float(self._splines[home](logs[home + 1]))
        for i in range(home - 1, -1, -1):
            at_bottom = self._solve(regions, i, decoupling(at_bottom, regions[i], order), logs[i + 1], logs)
        for i in range(home + 1, len(regions)):
            start = _inverse_decoupling(alpha_top, regions[i - 1], order)
            self._solve(regions, i, start, logs[i], logs)
            alpha_top = float(self._splines[i](logs[i + 1]))

    def _solve(self, regions: Sequence[int], i: int, alpha: float, at: float, logs: Sequence[float]) -> float:
        """Fill the table of region `i` from alpha_s at ln Q^2 = `at`; alpha_s at its lower end."""
        b = beta_coefficients(regions[i], self.order)

        def slope(a: float) -> float:
            return -a * a * float(np.polynomial.polynomial.polyval(a, b))

        def march(end: float) -> tuple[list[float], list[float]]:
            steps = max(int(abs(end - at) * STEPS_PER_UNIT), 1)
            h, a, values = (end - at) / steps, alpha, [alpha]
            for _ in range(steps):  # Runge-Kutta of fourth order
                k1 = slope(a)
                k2 = slope(a + h / 2 * k1)
                k3 = slope(a + h / 2 * k2)
                k4 = slope(a + h * k3)
                a = min(max(a + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), 0.0), 10.0)  # the Landau pole
                values.append(a)
            return np.linspace(at, end, steps + 1).tolist(), values

        down, up = march(logs[i]), march(logs[i + 1])
        t = np.array([*down[0][:0:-1], *up[0]])
        a = np.array([*down[1][:0:-1], *up[1]])
        keep = np.append(np.diff(t) > 1e-12, True)
        t, a = t[keep], a[keep]
        self._splines[i] = CubicHermiteSpline(t, a, np.array([slope(v) for v in a]))
        return float(a[0])

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """alpha_s (n,) at scales `q` (n,) in GeV."""
        log_q2 = 2 * np.log(np.clip(np.asarray(q, dtype=float), LOWEST, HIGHEST))
        region = np.searchsorted(self._edges, log_q2, side="right")
        result = np.empty_like(log_q2)
        for i, spline in enumerate(self._splines):
            mine = region == i
            if mine.any():
                result[mine] = spline(log_q2[mine])
        return result

    @property
    def q_range(self) -> tuple[float, float]:
        """Where it runs, GeV; it is frozen outside."""
        return LOWEST, HIGHEST

    def __repr__(self) -> str:
        return (
            f"RunningCoupling(alpha_s({self.scale:g} GeV) = {self.value:g}, {self.order} loops, "
            f"{self.flavours} flavours)"
        )


def _inverse_decoupling(alpha: float, light: int, order: int) -> float:
    """alpha_s with one flavour more than `light`, from that with `light`: a few fixed-point steps."""
    result = alpha
    for _ in range(30):
        result *= alpha / decoupling(result, light, order)
    return result


class TabulatedCoupling:
    """alpha_s(Q) from knots, cubic in ln Q^2 between them, and frozen outside.

    The slope at a knot is the mean of those to its neighbours, and one-sided where a subgrid ends: a
    knot that stands twice, at a quark's threshold (1412.7420, section 3.3).

    Parameters
    ----------
    q, values : sequence of float
        (n,) knots in GeV and alpha_s there.
    """

    def __init__(self, q: Sequence[float], values: Sequence[float]) -> None:
        knots, a = 2 * np.log(np.asarray(q, dtype=float)), np.asarray(values, dtype=float)
        if len(knots) != len(a) or len(knots) < 2 or (np.diff(knots) < 0).any() or not np.isfinite(a).all():
            raise InputError("the table of alpha_s needs as many values as increasing scales, two or more")
        self._knots, self._splines = knots, []
        starts = [0, *(np.flatnonzero(np.diff(knots) == 0) + 1).tolist(), len(knots)]
        for first, last in itertools.pairwise(starts):
            t, v = knots[first:last], a[first:last]
            if len(t) < 2:
                raise InputError("the table of alpha_s has a subgrid with a single knot")
            slope = np.diff(v) / np.diff(t)
            ends = np.concatenate([slope[:1], (slope[1:] + slope[:-1]) / 2, slope[-1:]])
            self._splines.append(CubicHermiteSpline(t, v, ends))
        self._edges = knots[starts[1:-1]]

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """alpha_s (n,) at scales `q` (n,) in GeV."""
        t = np.clip(2 * np.log(np.asarray(q, dtype=float)), self._knots[0], self._knots[-1])
        region = np.searchsorted(self._edges, t, side="right")
        result = np.empty_like(t)
        for i, spline in enumerate(self._splines):
            mine = region == i
            if mine.any():
                result[mine] = spline(t[mine])
        return result

    @property
    def q_range(self) -> tuple[float, float]:
        """The first and the last knot in GeV; alpha_s is frozen outside."""
        return math.exp(self._knots[0] / 2), math.exp(self._knots[-1] / 2)
