"""|M|^2 of one structure: sums over helicities and colours, averages, couplings, colour flows."""

from collections.abc import Iterator
from math import pi

import numpy as np

from . import colour
from .amplitude import kinematic_factors
from .berends_giele import Amplitudes
from .couplings import Parameters
from .structure import Structure


class MatrixElement:
    """Squared amplitude of a :class:`Structure` for given parameters.

    Attributes
    ----------
    structure : Structure
    parameters : Parameters
    """

    def __init__(self, structure: Structure, parameters: Parameters) -> None:
        self.structure, self.parameters = structure, parameters
        self.photon, self.heavy, self.mass, self.width = structure.couplings(parameters)
        self.colour_matrix = colour.matrix(len(structure.starts), len(structure.gluons))
        e4 = (4 * pi * parameters.alpha) ** 2
        self.normalisation = e4 / (structure.states * structure.symmetry)

    def squared(self, momenta: np.ndarray, alpha_s: float | np.ndarray) -> np.ndarray:
        """Averaged over initial, summed over final spins and colours; momenta (n, particles, 4) to (n,)."""
        if len(self.structure.starts) == 1 and len(self.structure.gluons) <= 1:
            total = self._closed(momenta)
        else:
            total, _ = self._sums(momenta)
        return total * (4 * pi * np.asarray(alpha_s)) ** self.structure.alpha_s_power

    def flow_weights(self, momenta: np.ndarray) -> np.ndarray:
        """Squared partial amplitudes (n, flows) of the leading colour flows, summed over helicities."""
        _, flows = self._sums(momenta)
        return flows[list(colour.leading(self.structure))].T

    def colour_flows(self, momenta: np.ndarray, random: np.ndarray) -> np.ndarray:
        """A leading colour flow for each event, in proportion to its squared partial amplitude.

        Parameters
        ----------
        momenta : array (n, particles, 4)
        random : array (n,)
            Uniform in [0, 1).

        Returns
        -------
        array (n, particles, 2) of int
            Colour and anticolour lines from 501, 0 for none, as in Les Houches event files.
        """
        cumulative = np.cumsum(self.flow_weights(momenta), axis=1)
        chosen = (cumulative <= (np.asarray(random) * cumulative[:, -1])[:, None]).sum(axis=1)
        lines = colour.event_lines(self.structure)[list(colour.leading(self.structure))]
        return lines[np.minimum(chosen, len(lines) - 1)]

    def _closed(self, momenta: np.ndarray) -> np.ndarray:
        """Sum (n,) over helicities and colours of a short quark line, by the formula."""
        s, same, opposite = kinematic_factors(momenta, self.structure)
        exchange = np.abs(
            np.multiply.outer(self.photon[0, 0], 1 / s)
            + np.multiply.outer(self.heavy[0, 0], 1 / (s - self.mass**2 + 1j * self.mass * self.width))
        )
        equal, unequal = (exchange[0, i] ** 2 + exchange[1, 1 - i] ** 2 for i in (0, 1))
        return self.normalisation * (equal * same + unequal * opposite)

    def _sums(self, momenta: np.ndarray, gauge: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Colour-summed squares (n,) and squared partial amplitudes (flows, n), summed over helicities."""
        amplitudes = Amplitudes(self.structure, momenta, gauge)
        v = amplitudes.v
        s = v[0] ** 2 - v[1] ** 2 - v[2] ** 2 - v[3] ** 2
        heavy = 1 / (s - self.mass**2 + 1j * self.mass * self.width)
        flows = np.zeros((len(self.colour_matrix), len(momenta)))
        total = np.zeros(len(momenta))
        for partial in self._helicities(amplitudes, 1 / s, heavy):
            flows += (np.abs(partial) ** 2).sum(axis=0)
            total += np.einsum("hfn,fg,hgn->n", partial.conj(), self.colour_matrix, partial).real
        return total * self.normalisation, flows

    def _helicities(
        self, amplitudes: Amplitudes, photon: np.ndarray, heavy: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Partial amplitudes (gluon helicities, flows, n), for all chiralities of the fermions."""
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
