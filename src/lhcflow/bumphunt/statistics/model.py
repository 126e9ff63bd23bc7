"""Binned models: a background that is log-linear in its parameters, and a signal of known shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .spectrum import Array, checked_edges

ENERGY = 13.0
"""Centre-of-mass energy in TeV, which is m = 1 in the dijet function."""

MIN_PARAMETERS, MAX_PARAMETERS = 2, 6

_NODES = 3
"""Per bin: exact to 1e-6 for bins of a tenth of their mass."""

_LEAST_ERROR = 1e-3
"""Uncertainty of a background, relative to its Poisson error, below which the background counts as known: it
would change a significance or limit by less than 1e-6 of it, while its auxiliary count of more than 1e6 times
the background takes away digits of the likelihood."""


@dataclass(frozen=True, eq=False)
class BinnedModel:
    """Expected counts ``mu_b = sum_q exp(design_bq . p + offset_bq) + s signal_b`` in bins b.

    The sum over q integrates over a bin. Every background fit with this model is convex.

    Attributes
    ----------
    design : Array
        (bins, nodes, parameters).
    offset : Array
        (bins, nodes).
    signal : Array
        (bins,) expected share of the signal in each bin; zeros where there is no signal.
    """

    design: Array
    offset: Array
    signal: Array

    def __post_init__(self) -> None:
        bins = self.design.shape[0]
        if self.offset.shape != self.design.shape[:2] or self.signal.shape != (bins,):
            raise InputError(
                f"a model with a design of shape {self.design.shape} needs an offset {self.design.shape[:2]} "
                f"and a signal ({bins},), got {self.offset.shape} and {self.signal.shape}"
            )

    @property
    def bins(self) -> int:
        """Number of bins."""
        return self.design.shape[0]

    @property
    def parameters(self) -> int:
        """Number of background parameters."""
        return self.design.shape[2]

    def with_signal(self, signal: ArrayLike) -> BinnedModel:
        """The same background with another signal (bins,)."""
        return replace(self, signal=np.asarray(signal, float))

    def only(self, bins: NDArray[np.bool_]) -> BinnedModel:
        """The model of some bins, a mask (bins,): how a region is masked in a fit."""
        return BinnedModel(self.design[bins], self.offset[bins], self.signal[bins])

    def background(self, parameters: Array) -> Array:
        """Expected background (..., bins) for parameters (..., parameters)."""
        exponent = np.einsum("bqk,...k->...bq", self.design, parameters) + self.offset
        return np.exp(np.minimum(exponent, _LARGEST)).sum(-1)


_LARGEST = 50.0
"""Bound of exponents: no fit has e^50 events, and a step that leads there is cut back by the fitter."""


def dijet_basis(m: ArrayLike, parameters: int, energy: float = ENERGY) -> Array:
    """The columns that multiply ``log p1, p2, p3, ...`` in the logarithm of the dijet function.

    With y = m / energy: ``log f = log p1 + p2 log(1 - y) - p3 log y - p4 log^2 y - ...``
    (CDF, 0812.4036; CMS, 1911.03947).

    Parameters
    ----------
    m : array_like
        (...,) masses in TeV.
    parameters : int
        2 to 6.

    Returns
    -------
    Array
        (..., parameters).

    Examples
    --------
    >>> dijet_basis(6.5, 3).round(3)
    array([ 1.   , -0.693,  0.693])
    """
    if not MIN_PARAMETERS <= parameters <= MAX_PARAMETERS:
        raise InputError(
            f"the dijet function has {MIN_PARAMETERS} to {MAX_PARAMETERS} parameters, got {parameters}"
        )
    y = np.asarray(m, float) / energy
    if np.any((y <= 0) | (y >= 1)):
        raise InputError(f"the dijet function needs masses between 0 and the energy of {energy:g} TeV")
    log_y = np.log(y)
    columns = [np.ones_like(y), np.log1p(-y), *(-(log_y**i) for i in range(1, parameters - 1))]
    return np.stack(columns, axis=-1)


def dijet_model(edges: ArrayLike, parameters: int = 4, energy: float = ENERGY) -> BinnedModel:
    """The dijet function in bins, without a signal; see `BinnedModel.with_signal`.

    Its parameters are combinations of ``log p1, p2, ...`` chosen to be nearly uncorrelated;
    `dijet_parameters` turns them back.

    Parameters
    ----------
    edges : array_like
        (bins + 1,) in TeV, below ``energy``.
    parameters : int
        Of the dijet function.
    energy : float
        Centre-of-mass energy in TeV.
    """
    edges = checked_edges(edges)
    if edges[-1] > energy:
        raise InputError(f"the last bin ends at {edges[-1]:g} TeV, above the energy of {energy:g} TeV")
    if len(edges) - 1 <= parameters:
        raise InputError(f"{parameters} parameters need more than {len(edges) - 1} bins")
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half, centre = 0.5 * np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
    m = centre[:, None] + half[:, None] * nodes
    columns = dijet_basis(m, parameters, energy) @ _decorrelation(edges, parameters, energy)
    offset = np.log(half[:, None] * weights)
    return BinnedModel(columns, offset, np.zeros(len(centre)))


def dijet_parameters(fitted: ArrayLike, edges: ArrayLike, parameters: int, energy: float = ENERGY) -> Array:
    """``p1, p2, ...`` (..., parameters) from the parameters of a fit of `dijet_model`."""
    p = np.asarray(fitted, float) @ _decorrelation(checked_edges(edges), parameters, energy).T
    p[..., 0] = np.exp(p[..., 0])
    return p


def counting_model(background: float, error: float) -> BinnedModel:
    """One bin with a signal, and an auxiliary measurement of its background (2 bins).

    The auxiliary count is Poisson distributed around ``tau b`` with ``tau = background / error^2``, as
    in HistFactory's ``shapesys`` and in the on/off problem (physics/0702156); see `counting_data`.

    Parameters
    ----------
    background, error : float
        Expected events and their uncertainty. An uncertainty below one per mille of sqrt(background) counts
        as none: the model then has one bin and no parameters.
    """
    aux = auxiliary(background, error)
    if aux is None:
        return BinnedModel(np.zeros((1, 1, 0)), np.log([[background]]), np.array([1.0]))
    return BinnedModel(np.ones((2, 1, 1)), np.log([[1.0], [aux / background]]), np.array([1.0, 0.0]))


def counting_data(observed: float, background: float, error: float) -> Array:
    """The counts for `counting_model`: observed events, and the auxiliary count if there is one."""
    aux = auxiliary(background, error)
    return np.array([observed] if aux is None else [observed, aux], float)


def auxiliary(background: float, error: float) -> float | None:
    """The auxiliary count that stands for the uncertainty of a background; None where it is known."""
    if not (np.isfinite(background) and background > 0 and np.isfinite(error) and error >= 0):
        raise InputError(
            f"a background must be positive and its error not negative, got {background} +- {error}"
        )
    return None if error < _LEAST_ERROR * np.sqrt(background) else float((background / error) ** 2)


def _decorrelation(edges: Array, parameters: int, energy: float) -> Array:
    """The matrix (parameters, parameters) that turns the basis into orthogonal columns on these bins."""
    centres = 0.5 * (edges[1:] + edges[:-1])
    triangle = np.linalg.qr(dijet_basis(centres, parameters, energy))[1]
    return np.linalg.inv(triangle) * np.sqrt(len(centres))
