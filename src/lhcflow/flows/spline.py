"""Rational-quadratic splines by the fastest of their implementations."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from .native import usable
from .native_spline import NativeSpline
from .spline_formulas import MIN_BIN, MIN_DERIVATIVE, Tails, check_spline, parameter_count, reference


def rational_quadratic(
    x: Float[Tensor, "*shape"],
    params: Float[Tensor, "*shape count"],
    inverse: bool = False,
    *,
    bins: int,
    low: float = 0.0,
    high: float = 1.0,
    tails: Tails = None,
    min_bin: float = MIN_BIN,
    min_derivative: float = MIN_DERIVATIVE,
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Apply one rational-quadratic spline to each element of ``x`` (1906.04032, eqs. 4 to 8).

    Parameters
    ----------
    x : Tensor, shape (*shape,)
        Values. Outside ``[low, high]`` the map is the identity; with ``tails="circular"`` values are first
        brought into ``[low, high)`` by whole periods.
    params : Tensor, shape (*shape, count)
        Raw parameters ``[widths | heights | derivatives]``; zeros give the identity.
    inverse : bool
        False maps data to latent, True latent to data.
    bins : int
        Number of bins K.
    low, high : float
        The interval on which the spline acts, for ``x`` and for the result.
    tails : {"linear", "circular"}, optional
        None (K + 1 derivatives), "linear" (K - 1; derivative 1 at both ends, so that the map is smooth on the
        whole line) or "circular" (K; last = first).
    min_bin, min_derivative : float
        Smallest width and height of a bin, as a fraction of the interval, and smallest derivative at a knot.

    Returns
    -------
    y, log_det : Tensor, shape (*shape,)
        The result and the logarithm of the derivative of the map applied, both shaped as ``x``. Finite for
        finite ``x`` and ``params``.

    Raises
    ------
    InputError
        The shapes do not fit, or the settings allow no spline.
    """
    check_spline(bins, min_bin, min_derivative)
    count = parameter_count(bins, tails)
    if params.shape[-1] != count or params.shape[:-1] != x.shape:
        raise InputError(
            f"spline parameters must be shaped {(*x.shape, count)} for bins={bins}, tails={tails!r};"
            f" got {tuple(params.shape)}"
        )
    settings = (bins, low, high, tails, min_bin, min_derivative)
    if x.is_cuda:
        if usable(x, params, device="cuda"):
            from . import triton_spline  # seconds that only CUDA is worth

            if bins <= triton_spline.MAX_BINS and triton_spline.works():
                return triton_spline.TritonSpline.apply(x, params, inverse, settings)  # type: ignore[return-value]
    elif usable(x, params):
        return NativeSpline.apply(x, params, inverse, settings)  # type: ignore[return-value]
    return reference(x, params, inverse, *settings)
