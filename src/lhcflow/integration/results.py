"""Estimates of integrals, how they are combined, and how they print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2 as chi2_distribution

from ..errors import InputError

if TYPE_CHECKING:
    from .sampler import Sampler

TINY = 1e-290  # a variance of a constant integrand, so that weights stay finite


@dataclass(frozen=True)
class Estimate:
    """One independent estimate of an integral, as one iteration gives it.

    Attributes
    ----------
    mean : (m,) means of the m components of the integrand.
    covariance : (m, m) covariance of the means.
    calls : evaluations of the integrand behind it.
    """

    mean: Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "m m"]
    calls: int

    @property
    def sdev(self) -> Float[np.ndarray, " m"]:
        """Standard deviations (m,) of the means."""
        return np.sqrt(np.diag(self.covariance))


@dataclass(frozen=True)
class Result:
    """An integral with its error, and everything needed to judge it.

    Attributes
    ----------
    mean, sdev : the integral and its standard deviation: floats, or arrays (m,) for a vector integrand.
    covariance : (m, m) covariance of the means; (1, 1) for a scalar integrand.
    chi2, dof : agreement of the iterations with each other, and its degrees of freedom.
    q : probability of a larger chi2 if the iterations agree; below about 0.05 the error is not to be
        trusted. 1 for a single iteration.
    calls : all evaluations of the integrand, those of the adaptation included.
    warnings : what is doubtful about the result, one line each.
    iterations : the estimates that were combined, in order.
    sampler : draws weighted and unweighted points of the integrand (None if there is none).
    method : name of what made the estimates.
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
            "iterations": [
                {
                    "mean": e.mean.tolist(),
                    "sdev": e.sdev.tolist(),
                    "covariance": e.covariance.tolist(),
                    "calls": e.calls,
                }
                for e in self.iterations
            ],
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any], sampler: Sampler | None = None) -> Result:
        """The inverse of :meth:`to_dict`."""
        iterations = tuple(
            Estimate(np.array(e["mean"]), np.array(e["covariance"]), e["calls"]) for e in saved["iterations"]
        )
        scalar = isinstance(saved["mean"], float)
        arrays = {
            k: np.array(saved[k]) for k in ("mean", "sdev", "covariance") if k == "covariance" or not scalar
        }
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
    stays the sum of its parts. chi2 uses the full covariances, by pseudo-inverse where components depend
    on each other.

    By default the weights are the calls. ``weighted=True`` uses the inverse of the variances (relative to the
    other iterations', averaged over components), as VEGAS does. But estimated variances correlate with
    the estimates: an iteration that missed a peak is low *and* claims a small error, so that this average is
    biased low, badly so when iterations are short. It pays only where errors differ much between iterations.

    Parameters
    ----------
    estimates : at least one, all with the same number of components.
    calls : all evaluations, if more than those of ``estimates`` (adaptation).
    weighted : by inverse variance instead of by calls.
    scalar : report floats; by default if there is one component.
    warnings, sampler, method : attributes of the result.

    Raises
    ------
    InputError
        If there is nothing to combine.
    """
    if not estimates:
        raise InputError("no iteration to combine; use at least one iteration after the warm-up")
    means = np.stack([e.mean for e in estimates])
    covariances = np.stack([e.covariance for e in estimates])
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
    chi2, dof = _agreement(means - mean, covariances)
    size = mean.size
    if scalar is None:
        scalar = size == 1
    warnings = list(warnings)
    q = float(chi2_distribution.sf(chi2, dof)) if dof > 0 else 1.0
    if q < 1e-3:
        warnings.append(
            f"the iterations disagree (chi2/dof = {chi2:.1f}/{dof}, Q = {q:.1e}): the error is not reliable, "
            "use more calls per iteration"
        )
    sdev = np.sqrt(np.diag(covariance))
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
    )


def _agreement(deviations: np.ndarray, covariances: np.ndarray) -> tuple[float, int]:
    """chi2 and degrees of freedom of deviations (k, m) from the mean with covariances (k, m, m)."""
    chi2, rank = 0.0, 0
    for deviation, covariance in zip(deviations, covariances, strict=True):
        scale = np.sqrt(np.maximum(np.diag(covariance), TINY))
        inverse, r = _pseudo_inverse(covariance / np.outer(scale, scale))
        reduced = deviation / scale
        chi2 += float(reduced @ inverse @ reduced)
        rank = max(rank, r)
    # Rounding alone separates the estimates of a constant integrand.
    if not np.diagonal(covariances, axis1=1, axis2=2).any():
        chi2 = 0.0
    return chi2, (len(deviations) - 1) * max(rank, 1)


def _pseudo_inverse(correlation: np.ndarray) -> tuple[np.ndarray, int]:
    """Inverse of a correlation matrix without its null space, and its rank."""
    values, vectors = np.linalg.eigh(correlation)
    good = values > 1e-10 * max(float(values[-1]), TINY)
    scaled = vectors[:, good] / np.sqrt(values[good])
    return scaled @ scaled.T, int(good.sum())


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
