"""Shapes of a signal: its expected share in each bin of the mass."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ...errors import InputError
from .spectrum import Array, checked_edges


def gaussian_peak(edges: ArrayLike, mass: ArrayLike, resolution: float) -> Array:
    """Normal distributions around ``mass``, of width ``resolution * mass``.

    Parameters
    ----------
    edges : array_like
        (bins + 1,) in TeV.
    mass : array_like
        One mass or (masses,), in TeV.
    resolution : float
        Relative width, for example 0.03.

    Returns
    -------
    Array
        (bins,) or (masses, bins); what falls beyond the edges is lost.

    Examples
    --------
    >>> gaussian_peak([3.0, 3.5, 4.0], 3.5, 0.03).round(3)
    array([0.5, 0.5])
    """
    e, centre = checked_edges(edges), np.asarray(mass, float)
    if not (resolution > 0 and np.all(centre > 0)):
        raise InputError(f"a peak needs a positive mass and resolution, got {mass} and {resolution}")
    z = (e - centre[..., None]) / (resolution * centre[..., None])
    return np.diff(special.ndtr(z), axis=-1)


def template_peak(edges: ArrayLike, m: ArrayLike) -> Array:
    """The shape (bins,) of simulated signal events with masses ``m`` (n,) in TeV."""
    e, m = checked_edges(edges), np.asarray(m, float)
    counts = np.histogram(m, e)[0]
    if len(m) == 0 or counts.sum() == 0:
        raise InputError("there are no signal events in the range of the spectrum to take a shape from")
    return counts / len(m)
