"""The native amplitudes: what the kernels are given. Their numpy twin is `berends_giele`."""

from __future__ import annotations

import numpy as np

from .._native import core
from .structure import Structure


class NativeAmplitude:
    """Sums over helicities and colours of one structure by the native kernels.

    Parameters
    ----------
    structure : Structure
        Which leg is what.
    couplings : tuple
        What `Structure.couplings` returns.
    colour_matrix : ndarray, shape (flows, flows)
        Sums over colours of the products of two flows.
    normalisation : float
        Factor of all results.
    """

    def __init__(
        self, structure: Structure, couplings: tuple, colour_matrix: np.ndarray, normalisation: float
    ) -> None:
        s = structure
        legs = np.array([*s.starts, *s.ends, *s.gluons, s.lepton_start, s.lepton_end], dtype=np.int64)
        photon, heavy, mass, width = couplings
        #: Leading arguments of the kernel: lines, legs, photon, heavy, mass, width, normalisation, colour.
        self.table = (len(s.starts), legs, photon, heavy, mass, width, normalisation, colour_matrix)

    def card(self) -> list[float]:
        """All numbers of the process, in the order of ``_native/umami/umami.cpp``."""
        lines, legs, photon, heavy, mass, width, normalisation, colours = self.table
        counts = [lines, len(legs), len(legs) - 2 * lines - 2, len(colours)]
        couplings = [*photon.ravel().tolist(), *heavy.ravel().tolist()]
        return [*counts, *legs.tolist(), *couplings, mass, width, normalisation, *colours.ravel().tolist()]

    def squares(
        self,
        momenta: np.ndarray,
        angles: np.ndarray | None = None,
        flows: bool = False,
        threads: int = 1,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Colour-summed squares (n,) and, if asked for, squared partial amplitudes (n, flows).

        Parameters
        ----------
        momenta : ndarray
            Array (n, particles, 4)
        angles : array (n, gluons), optional
            Angles of linear polarisations to take for all polarisations, by twice their square.
        """
        assert core is not None
        momenta = np.ascontiguousarray(momenta, dtype=float)
        total = np.empty(len(momenta))
        by_flow = np.empty((len(momenta), len(self.table[-1]))) if flows else None
        vectors = None if angles is None else np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        core.amplitude_squares(*self.table, momenta, vectors, total, by_flow, threads)
        return total, by_flow
