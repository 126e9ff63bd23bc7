"""Estimates of integrals, how they are combined, and how they print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import f as f_distribution

from ..errors import InputError
from .units import Units

if TYPE_CHECKING:
    from .sampler import Sampler

TINY = 1e-290  # a variance of a constant integrand, so that weights stay finite
# Q below which iterations disagree. With 2,000 calls per iteration Q's tail is up to 2.5 times too heavy,
# since errors still fall from iteration to iteration; with this bound fewer than 1 in 1,000 integrations that
# are right get the warning, from 20,000 calls on (tests/outside/test_integration.py).
DISAGREE = 3e-4


@dataclass(frozen=True)
class Estimate:
    """One independent estimate of an integral, as one iteration gives it.

    Attributes
    ----------
    mean : (m,) array
        Means of the m components of the integrand.
    covariance : (m, m) array
        Covariance of the means, in units of ``unit[i] unit[j]``.
    calls : int
        Evaluations of the integrand behind it.
    dof : float
        Degrees of freedom of the error: it is known to a relative precision of 1/sqrt(2 dof). Of the
        component that drives the adaptation.
    top : float
        Share of the squared error that comes from one point, the one that has the largest. Of the same
        component.
    unit : (m,) array or None
        None for 1. Powers of two where the values are so large or small that their squares can't be
        represented.
    """

    mean: Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "m m"]
    calls: int
    dof: float = math.inf
    top: float = 0.0
    unit: Float[np.ndarray, " m"] | None = None

    @property
    def sdev(self) -> Float[np.ndarray, " m"]:
        """Standard deviations (m,) of the means."""
        reduced = np.sqrt(np.diag(self.covariance))
        return reduced if self.unit is None else reduced * self.unit

    @classmethod
    def of_weights(cls, weights: Float[np.ndarray, "n m"], component: int = 0) -> Estimate:
        """The means of independent weights f/q (n, m), with their errors.

        Parameters
        ----------
        weights : (n, m) array
            At least two rows.
        component : int
            The one that drives the adaptation, for `dof` and `top`.
        """
        n, m = weights.shape
        units = Units(m)
        units.fit(weights)
        w = units.apply(weights)
        deviation = w - w.mean(axis=0)
        square = deviation[:, component] ** 2
        total = float(square.sum())
        # The relative variance of a variance is (m4 / m2^2 - 1) / n.
        share = square / total if total > 0 else square
        excess = n * float(share @ share) - 1
        return cls(
            mean=np.ldexp(w.mean(axis=0), units.exponent),
            covariance=deviation.T @ deviation / (n - 1) / n,
            calls=n,
            dof=2 * n / excess if excess > 0 else math.inf,
            top=float(share.max(initial=0.0)),
            unit=units.unit,
        )


@dataclass(frozen=True)
class Result:
    """An integral with its error, and everything needed to judge it.

    Attributes
    ----------
    mean, sdev : float, or (m,) array
        The integral and its standard deviation; arrays for a vector integrand.
    covariance : (m, m) array
        Covariance of the means, in units of ``unit[i] unit[j]``; (1, 1) for a scalar integrand.
    chi2, dof : float, int
        Agreement of the iterations with each other, and its degrees of freedom. With weights ``w_i``, means
        ``x_i`` and variances ``v_i`` it is ``dof sum w_i (x_i - mean)^2 / sum w_i (1 - w_i) v_i`` (Brown and
        Forsythe, Technometrics 16 (1974) 129). In the usual ``sum (x_i - mean)^2 / v_i`` an iteration that
        missed large values counts most, being low with a small error: that sum is too large.
    q : float
        Probability of a larger chi2 if the iterations agree; 1 for a single iteration. It allows for errors
        that differ between iterations and for their own uncertainty. Below 3e-4 there is a warning, in
        fewer than 1 of 1,000 integrations whose iterations do agree.
    calls : int
        All evaluations of the integrand, those of the adaptation included.
    warnings : tuple of str
        What is doubtful about the result, one line each.
    iterations : tuple of Estimate
        The estimates that were combined, in order.
    sampler : Sampler or None
        Draws weighted and unweighted points of the integrand.
    method : str
        Name of what made the estimates.
    unit : (m,) array or None
        Units of the covariance, as in `Estimate`; None for 1.
    """

    mean: float | Float[np.ndarray, " m"]
    sdev: float | Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "m m"]
    chi2: float
    dof: int
    q: float
    calls: int
    warnings: tuple[str, ...] = ()
    iterations: tuple[Estimate, ...] = field(default=(), repr=False)
    sampler: Sampler | None = field(default=None, repr=False, compare=False)
    method: str = ""
    unit: Float[np.ndarray, " m"] | None = None

    def with_(self, **changes: object) -> Result:
        """A copy with some attributes changed, e.g. ``result.with_(sampler=sampler)``."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def warn(self, *messages: str) -> Result:
        """A copy with further warnings; what was said before is not repeated."""
        return self.with_(warnings=tuple(dict.fromkeys((*self.warnings, *messages))))

    def summary(self) -> str:
        """The table of iterations: each estimate, the running combination, chi2/dof and Q."""
        scalar = isinstance(self.mean, float)
        lines = [f"{'itn':>3}  {'integral':<18} {'combined':<18} {'chi2/dof':>8} {'Q':>6} {'calls':>10}"]
        lines.append("-" * len(lines[0]))
        for i, one in enumerate(self.iterations):
            running = combine(self.iterations[: i + 1])
            head = float(np.ravel(running.mean)[0]), float(np.ravel(running.sdev)[0])
            lines.append(
                f"{i + 1:>3}  {value_with_error(float(one.mean[0]), float(one.sdev[0])):<18}"
                f" {value_with_error(*head):<18} {running.chi2 / max(running.dof, 1):>8.2f}"
                f" {running.q:>6.2f} {one.calls:>10,}"
            )
        if not scalar and len(np.ravel(self.mean)) > 1:
            lines.append("(first component)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """What a JSON file needs: everything but the sampler."""
        return {
            "mean": np.asarray(self.mean).tolist(),
            "sdev": np.asarray(self.sdev).tolist(),
            "covariance": self.covariance.tolist(),
            "chi2": self.chi2,
            "dof": self.dof,
            "q": self.q,
            "calls": self.calls,
            "method": self.method,
            "warnings": list(self.warnings),
            "iterations": [_saved(e) for e in self.iterations],
            **({} if self.unit is None else {"unit": self.unit.tolist()}),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any], sampler: Sampler | None = None) -> Result:
        """The inverse of `to_dict`."""
        scalar = isinstance(saved["mean"], float)
        names = {"covariance", "unit"} if scalar else {"mean", "sdev", "covariance", "unit"}
        arrays = {name: np.array(saved[name]) for name in names & saved.keys()}
        iterations = tuple(_read(e) for e in saved["iterations"])
        kept = {**saved, **arrays, "warnings": tuple(saved["warnings"]), "iterations": iterations}
        return cls(**kept, sampler=sampler)

    def __str__(self) -> str:
        pairs = zip(np.ravel(self.mean), np.ravel(self.sdev), strict=True)
        values = [value_with_error(float(mean), float(sdev)) for mean, sdev in pairs]
        text = values[0] if isinstance(self.mean, float) else "[" + ", ".join(values) + "]"
        text += f"   chi2/dof = {self.chi2:.1f}/{self.dof}   Q = {self.q:.2f}   {self.calls:,} calls"
        return "\n".join([text, *(f"WARNING: {warning}" for warning in self.warnings)])


def combine(
    estimates: Sequence[Estimate],
    *,
    calls: int | None = None,
    weighted: bool = False,
    scalar: bool | None = None,
    warnings: Sequence[str] = (),
    sampler: Sampler | None = None,
    method: str = "",
) -> Result:
    """Combine independent estimates of the same integral.

    The means are averaged with one weight per iteration, the same for all components, so that a total
    stays the sum of its parts. chi2 (see `Result`) uses the full covariances, by pseudo-inverse where
    components depend on each other.

    By default the weights are the calls. ``weighted=True`` uses the inverse of the variances (relative to the
    other iterations', averaged over components), as VEGAS does. But estimated variances correlate with
    the estimates: an iteration that missed a peak is low *and* claims a small error, so that this average is
    biased low, badly so when iterations are short. It pays only where errors differ much between iterations.

    Parameters
    ----------
    estimates : sequence of Estimate
        At least one, all with the same number of components.
    calls : int, optional
        All evaluations, if more than those of ``estimates`` (adaptation).
    weighted : bool
        By inverse variance instead of by calls.
    scalar : bool, optional
        Report floats; by default if there is one component.
    warnings : sequence of str
        Attributes of the result.
    sampler : Sampler, optional
        Attributes of the result.
    method : str
        Attributes of the result.

    Raises
    ------
    InputError
        If there is nothing to combine.
    """
    if not estimates:
        raise InputError("no iteration to combine; use at least one iteration after the warm-up")
    unit = _common_unit(estimates)
    means = np.stack([e.mean if unit is None else e.mean / unit for e in estimates])
    covariances = np.stack([_in_unit(e, unit) for e in estimates])
    each = np.array([e.calls for e in estimates], dtype=float)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    if weighted:
        scale = np.maximum(variances.mean(axis=0), TINY)
        weights = 1 / np.maximum((variances / scale).mean(axis=1), 1e-12)
    else:
        weights = each
    weights = weights / weights.sum()
    mean = weights @ means
    covariance = np.tensordot(weights**2, covariances, axes=1)
    chi2, dof, q = _agreement(means - mean, covariances, weights, np.array([e.dof for e in estimates]))
    size = mean.size
    if scalar is None:
        scalar = size == 1
    warnings = list(warnings)
    if q < DISAGREE:
        warnings.append(
            f"the iterations disagree (chi2/dof = {chi2:.1f}/{dof}, Q = {q:.1e}): the error is not reliable, "
            "use more calls per iteration"
        )
    sdev = np.sqrt(np.diag(covariance))
    if unit is not None:
        mean, sdev = mean * unit, sdev * unit
    return Result(
        mean=float(mean[0]) if scalar else mean,
        sdev=float(sdev[0]) if scalar else sdev,
        covariance=covariance,
        chi2=chi2,
        dof=dof,
        q=q,
        calls=int(each.sum()) if calls is None else calls,
        warnings=tuple(warnings),
        iterations=tuple(estimates),
        sampler=sampler,
        method=method,
        unit=unit,
    )


def _common_unit(estimates: Sequence[Estimate]) -> np.ndarray | None:
    """The largest unit (m,) of each component; None if all are 1."""
    units = [np.ones_like(e.mean) if e.unit is None else e.unit for e in estimates]
    largest = np.max(units, axis=0)
    return None if (largest == 1).all() else largest


def _in_unit(estimate: Estimate, unit: np.ndarray | None) -> np.ndarray:
    """The covariance (m, m) in another unit."""
    if unit is None:
        return estimate.covariance
    ratio = (1.0 if estimate.unit is None else estimate.unit) / unit
    return estimate.covariance * np.outer(ratio, ratio)


def _agreement(
    deviations: np.ndarray, covariances: np.ndarray, weights: np.ndarray, dofs: np.ndarray
) -> tuple[float, int, float]:
    """chi2, degrees of freedom and Q of deviations (k, m) from the mean, see `Result`.

    Parameters
    ----------
    deviations, covariances : (k, m), (k, m, m) arrays
        Of k iterations.
    weights : (k,) array
        Of the iterations in the mean, with sum 1.
    dofs : (k,) array
        Degrees of freedom of the iterations' errors.
    """
    k = len(weights)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    # Rounding alone separates the estimates of a constant integrand.
    if k < 2 or not variances.any():
        return 0.0, k - 1, 1.0
    expected = np.tensordot(weights * (1 - weights), covariances, axes=1) / (k - 1)
    scale = np.sqrt(np.maximum(np.diag(expected), TINY))
    inverse, rank = _pseudo_inverse(expected / np.outer(scale, scale))
    reduced = deviations / scale
    chi2 = float(weights @ np.einsum("ki,ij,kj->k", reduced, inverse, reduced))
    # Normal means make it a sum of squares of normal numbers with these factors, the same for each component.
    share = (variances / scale**2).sum(axis=1) / max(np.count_nonzero(np.diag(expected)), 1)
    root = np.sqrt(share)
    form = root[:, None] * (np.diag(weights) - np.outer(weights, weights)) * root
    factors = np.maximum(np.linalg.eigvalsh(form), 0)
    # Its first three cumulants are those of a shifted and scaled chi2 (Buckley and Eagleson, Austral. J.
    # Statist. 30A (1988) 150).
    first, second, third = (float(c * rank * (factors**n).sum()) for n, c in ((1, 1), (2, 2), (3, 8)))
    nu = 8 * second**3 / third**2
    z = nu + (chi2 - first) * math.sqrt(2 * nu / second)
    part = weights * (1 - weights) * share
    known = float(part.sum() ** 2 / (part**2 / dofs).sum()) if np.isfinite(dofs).any() else math.inf
    if math.isinf(known):
        q = chi2_distribution.sf(z, nu)
    else:  # as for Hotelling's T^2, which has rank - 1 fewer
        left = max(known - rank + 1, 1.0)
        q = f_distribution.sf(z / nu * left / known, nu, left)
    return chi2, (k - 1) * rank, float(q)


def _pseudo_inverse(correlation: np.ndarray) -> tuple[np.ndarray, int]:
    """Inverse of a correlation matrix without its null space, and its rank."""
    values, vectors = np.linalg.eigh(correlation)
    good = values > 1e-10 * max(float(values[-1]), TINY)
    scaled = vectors[:, good] / np.sqrt(values[good])
    return scaled @ scaled.T, int(good.sum())


def _saved(estimate: Estimate) -> dict[str, object]:
    """An estimate for a JSON file, which knows no infinity: what is missing has its default."""
    saved: dict[str, object] = {
        "mean": estimate.mean.tolist(),
        "sdev": estimate.sdev.tolist(),
        "covariance": estimate.covariance.tolist(),
        "calls": estimate.calls,
        "top": estimate.top,
    }
    if math.isfinite(estimate.dof):
        saved["dof"] = estimate.dof
    if estimate.unit is not None:
        saved["unit"] = estimate.unit.tolist()
    return saved


def _read(saved: dict[str, Any]) -> Estimate:
    """The inverse of `_saved`."""
    unit = np.array(saved["unit"]) if "unit" in saved else None
    return Estimate(
        np.array(saved["mean"]),
        np.array(saved["covariance"]),
        saved["calls"],
        saved.get("dof", math.inf),
        saved.get("top", 0.0),
        unit,
    )


def value_with_error(mean: float, sdev: float) -> str:
    """A number with its error on the last two digits, as the field writes it.

    Examples
    --------
    >>> value_with_error(0.123456, 0.00123)
    '0.1235(12)'
    >>> value_with_error(41233.5, 215.0)
    '41230(220)'
    >>> value_with_error(1.5e-10, 2.3e-13)
    '1.5000(23)e-10'
    """
    if not (math.isfinite(mean) and math.isfinite(sdev)) or sdev <= 0:
        return f"{mean:.12g} ± {sdev:.2g}"
    if sdev > 10 * abs(mean):
        return f"{mean:.2g} ± {sdev:.2g}"
    power = math.floor(math.log10(max(abs(mean), sdev)))
    if abs(power) > 300:  # 10^power or its inverse is no normal number
        return f"{mean:.4g} ± {sdev:.2g}"
    if power < -3 or power > 5:
        return f"{value_with_error(mean / 10.0**power, sdev / 10.0**power)}e{power:+03d}"
    digits = 1 - math.floor(math.log10(sdev))
    if round(sdev, digits) >= 10 ** (2 - digits):  # 0.0999 rounds up to one digit more
        digits -= 1
    error = round(sdev * 10.0**digits)
    if digits < 0:
        return f"{round(mean, digits):.0f}({error * 10 ** (-digits)})"
    if digits == 0:
        return f"{mean:.0f}({error})"
    # Errors of 1 and more keep their decimal point: 3.5(1.2).
    return f"{mean:.{digits}f}({error if sdev < 1 else f'{sdev:.{digits}f}'})"
