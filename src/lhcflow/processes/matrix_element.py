"""|M|^2 of one structure: sums over helicities and colours, averages, couplings, colour flows."""

from collections.abc import Iterator
from math import pi

import numpy as np
import torch

from .._native import core, warn_once
from . import colour
from .amplitude import kinematic_factors
from .amplitude_kernels import NativeAmplitude
from .berends_giele import Amplitudes
from .choice import chosen
from .couplings import Parameters
from .structure import Structure


class MatrixElement:
    """Squared amplitude of a `Structure` for given parameters.

    Attributes
    ----------
    structure : Structure
        Which leg is what.
    parameters : Parameters
        Masses, widths and couplings.
    """

    def __init__(self, structure: Structure, parameters: Parameters) -> None:
        self.structure, self.parameters = structure, parameters
        couplings = structure.couplings(parameters)
        self.photon, self.heavy, self.mass, self.width = couplings
        self.colour_matrix = colour.matrix(len(structure.starts), len(structure.gluons))
        e4 = (4 * pi * parameters.alpha) ** 2
        self.normalisation = e4 / (structure.states * structure.symmetry)
        self.native = NativeAmplitude(structure, couplings, self.colour_matrix, self.normalisation)

    def squared(
        self, momenta: np.ndarray, alpha_s: float | np.ndarray, random: np.ndarray | None = None
    ) -> np.ndarray:
        """|M|^2 (n,), averaged over initial and summed over final spins and colours.

        Parameters
        ----------
        momenta : ndarray
            Array (n, particles, 4)
        alpha_s : float or ndarray
            Float or array (n,)
        random : array (n, gluons or more), optional
            Uniform in [0, 1): instead of summing over polarisations of gluons, each gets one linear
            polarisation at a random angle, as in hep-ph/9807207 (section 2). Right on average, and 2^gluons
            times less work; chiralities of quarks and leptons are always summed over.
        """
        s = self.structure
        if random is None and core is None and len(s.starts) == 1 and len(s.gluons) <= 1:
            total = self._closed(momenta)
        else:
            angles = None if random is None else 2 * pi * np.asarray(random)[:, : len(s.gluons)]
            total, _ = self._sums(momenta, angles)
        return total * (4 * pi * np.asarray(alpha_s)) ** s.alpha_s_power if s.alpha_s_power else total

    def flow_weights(self, momenta: np.ndarray) -> np.ndarray:
        """Squared partial amplitudes (n, flows) of the leading colour flows, summed over helicities."""
        _, flows = self._sums(momenta, flows=True)
        assert flows is not None
        return flows[:, list(colour.leading(self.structure))]

    def colour_flows(self, momenta: np.ndarray, random: np.ndarray) -> np.ndarray:
        """A leading colour flow for each event, in proportion to its squared partial amplitude.

        Parameters
        ----------
        momenta : ndarray
            Array (n, particles, 4)
        random : array (n,)
            Uniform in [0, 1).

        Returns
        -------
        array (n, particles, 2) of int
            Colour and anticolour lines from 501, 0 for none, as in Les Houches event files.
        """
        lines = colour.event_lines(self.structure)[list(colour.leading(self.structure))]
        return lines[chosen(self.flow_weights(momenta), np.asarray(random))]

    def _closed(self, momenta: np.ndarray) -> np.ndarray:
        """Sum (n,) over helicities and colours of a short quark line, by the formula."""
        s, same, opposite = kinematic_factors(momenta, self.structure)
        exchange = np.abs(
            np.multiply.outer(self.photon[0, 0], 1 / s)
            + np.multiply.outer(self.heavy[0, 0], 1 / (s - self.mass**2 + 1j * self.mass * self.width))
        )
        equal, unequal = (exchange[0, i] ** 2 + exchange[1, 1 - i] ** 2 for i in (0, 1))
        return self.normalisation * (equal * same + unequal * opposite)

    def _sums(
        self, momenta: np.ndarray, angles: np.ndarray | None = None, flows: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Colour-summed squares (n,) and squared partial amplitudes (n, flows), summed over helicities.

        `angles` (n, gluons) of linear polarisations replace the sum over polarisations of gluons.
        """
        if core is None:
            warn_once()
            return self._numpy(momenta, angles)
        return self.native.squares(momenta, angles, flows, torch.get_num_threads())

    def _numpy(
        self, momenta: np.ndarray, angles: np.ndarray | None = None, gauge: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `_sums`; the polarisation of gluon number `gauge` is replaced by its momentum."""
        amplitudes = Amplitudes(self.structure, momenta, angles, gauge)
        v = amplitudes.v
        s = v[0] ** 2 - v[1] ** 2 - v[2] ** 2 - v[3] ** 2
        heavy = 1 / (s - self.mass**2 + 1j * self.mass * self.width)
        flows = np.zeros((len(self.colour_matrix), len(momenta)))
        total = np.zeros(len(momenta))
        for partial in self._helicities(amplitudes, 1 / s, heavy):
            flows += (np.abs(partial) ** 2).sum(axis=0)
            total += np.einsum("hfn,fg,hgn->n", partial.conj(), self.colour_matrix, partial).real
        return total * self.normalisation, flows.T * self.normalisation

    def _helicities(
        self, amplitudes: Amplitudes, photon: np.ndarray, heavy: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Partial amplitudes (gluon polarisations, flows, n), for all chiralities of the fermions."""
        both = (0, 1)

        def coupling(pairing: int, line: int, quark: int, lepton: int) -> np.ndarray:
            index = (pairing, line, quark, lepton)
            return self.photon[index] * photon + self.heavy[index] * heavy

        def exists(pairing: int, line: int, quark: int, lepton: int) -> bool:
            index = (pairing, line, quark, lepton)
            return bool(self.photon[index] or self.heavy[index])

        if len(self.structure.starts) == 1:
            for q in both:
                for lepton in both:
                    if exists(0, 0, q, lepton):
                        yield coupling(0, 0, q, lepton) * amplitudes.one_line(q == 0, lepton == 0)
            return
        # Chiralities of starts and ends: lines of different chirality fit one pairing only.
        for lepton in both:
            for h in ((0, 0), (0, 1), (1, 0), (1, 1)):
                parts: list[list[np.ndarray]] = [[], []]
                for pairing, row in enumerate(self.structure.vertices):
                    for line in range(len(row)):
                        if exists(pairing, line, h[line], lepton):
                            partial = amplitudes.two_lines(pairing, line, (h[0] == 0, h[1] == 0), lepton == 0)
                            factor = coupling(pairing, line, h[line], lepton)
                            parts[pairing].append((-1) ** pairing * factor * partial)
                if h[0] == h[1] and parts[0] + parts[1]:
                    yield np.sum(parts[0] + parts[1], axis=0)
                else:
                    yield from (np.sum(part, axis=0) for part in parts if part)
