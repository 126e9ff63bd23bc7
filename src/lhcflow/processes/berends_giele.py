"""Partial amplitudes by recursion, in numpy: the reference of the native kernels, and their fallback.

Momenta are physical (positive energy); which are incoming decides their signs. Generators have
tr(T^a T^b) = delta^ab, which puts 1 / sqrt(2) at each vertex; factors of i and g_s are left out.
Source: Berends, Giele, Nucl. Phys. B306 (1988) 759, equations 2.8 to 2.15 and 3.1.
"""

from itertools import product

import numpy as np

from .colour import strings
from .spinors import current, dot, polarisations, slash, spinor
from .structure import Structure

R2 = 1 / np.sqrt(2)
Emission = tuple[np.ndarray, np.ndarray]  # vector and outgoing momentum, (4, n) each


class Amplitudes:
    """Partial amplitudes of a structure at some points.

    Parameters
    ----------
    structure : Structure
        Which leg is what.
    momenta : array (n, particles, 4)
        Physical momenta in GeV, incoming first.
    angles : array (n, gluons), optional
        One linear polarisation, times sqrt(2), for each gluon instead of both.
    gauge : int, optional
        Number of a gluon whose polarisation vectors are replaced by its momentum over its energy:
        every amplitude must vanish.
    """

    def __init__(
        self,
        structure: Structure,
        momenta: np.ndarray,
        angles: np.ndarray | None = None,
        gauge: int | None = None,
    ) -> None:
        self.structure = structure
        self.p = np.ascontiguousarray(momenta.transpose(1, 2, 0))  # (particles, 4, n)
        self.out = self.p.copy()  # momenta as if all particles were outgoing
        self.out[:2] *= -1
        self.eps = [polarisations(self.p[g]) for g in structure.gluons]
        if angles is not None:
            for i, (first, second) in enumerate(self.eps):
                one = np.cos(angles[:, i]) * first + np.sin(angles[:, i]) * second
                self.eps[i] = np.sqrt(2) * one[None]
        if gauge is not None:
            k = self.p[structure.gluons[gauge]]
            self.eps[gauge] = np.stack([k / k[0]] * len(self.eps[gauge]))
        self.v = self.out[structure.lepton_start] + self.out[structure.lepton_end]

    def boson(self, left: bool) -> Emission:
        """The lepton pair's current, without coupling and propagator, and its momentum."""
        start, end = self.structure.lepton_start, self.structure.lepton_end
        return current(spinor(self.p[end], left), spinor(self.p[start], left), left), self.v

    def one_line(self, left: bool, lepton_left: bool) -> np.ndarray:
        """Partial amplitudes (polarisations, flows, n) of one quark line with gluons."""
        s = self.structure
        line = _Line(self, s.starts[0], s.ends[0], left, self.boson(lepton_left))
        orders = [flow[0][2] for flow in strings(1, len(s.gluons))]
        gluons = _Gluons(self.eps, [self.out[g] for g in s.gluons])
        amplitudes = [
            [line.amplitude(gluons, tuple((g, choice[g]) for g in order)) for order in orders]
            for choice in product(*(range(len(eps)) for eps in self.eps))
        ]
        return np.array(amplitudes)

    def two_lines(self, pairing: int, boson: int, lefts: tuple[bool, bool], lepton_left: bool) -> np.ndarray:
        """Partial amplitudes (polarisations, flows, n) of two quark lines, V on the line from start `boson`.

        `lefts` are the chiralities of the lines from both starts; the ends are those of `pairing`.
        """
        s = self.structure
        ends = s.ends if pairing == 0 else s.ends[::-1]
        a, b = (
            _Line(self, s.starts[i], ends[i], lefts[i], self.boson(lepton_left) if i == boson else None)
            for i in (boson, 1 - boson)
        )
        if not s.gluons:
            across = a.ordered([b.emitted([], 0)])
            return np.stack([across, -across / 3][:: 1 if pairing == 0 else -1])[None]
        # Ends by which flows name their strings.
        end_a, end_b = (boson, 1 - boson) if pairing == 0 else (1 - boson, boson)
        result = []
        for eps in self.eps[0]:
            amplitude = _with_gluon(a, b, (eps, self.out[s.gluons[0]]), pairing == 0, end_a, end_b)
            result.append([amplitude[i] for i in ((True, 1), (True, 0), (False, 1), (False, 0))])
        return np.array(result)


def _with_gluon(a: "_Line", b: "_Line", g: Emission, exchanged: bool, end_a: int, end_b: int) -> dict:
    """Amplitudes by (strings exchange the ends of the first pairing, end of the string with the gluon).

    The gluon comes from line `a` (with V), from line `b`, or from the gluon between them.
    """
    x = b.emitted([], 0)
    pair = _pair(x, g)
    a_xg = a.ordered([x, g]) + a.ordered([pair])
    a_gx = a.ordered([g, x]) - a.ordered([pair])
    b_gx, b_xg = (a.ordered([b.emitted([g], at)]) for at in (1, 0))
    return {
        (exchanged, end_a): a_xg + b_gx,
        (exchanged, end_b): a_gx + b_xg,
        (not exchanged, end_a): -(a_xg + a_gx) / 3,
        (not exchanged, end_b): -(b_gx + b_xg) / 3,
    }


def _pair(first: Emission, second: Emission) -> Emission:
    """Current of two gluons next to each other in colour, with its propagator."""
    total = first[1] + second[1]
    return R2 * _three(first, second) / dot(total, total), total


def _three(first: Emission, second: Emission) -> np.ndarray:
    (e1, p1), (e2, p2) = first, second
    return 2 * dot(p2, e1) * e2 - 2 * dot(p1, e2) * e1 + dot(e1, e2) * (p1 - p2)


def _four(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return dot(a, c) * b - 0.5 * dot(b, c) * a - 0.5 * dot(a, b) * c


class _Gluons:
    """Colour-ordered currents of external gluons; `ids` are (gluon, polarisation) in order."""

    def __init__(self, eps: list[np.ndarray], momenta: list[np.ndarray]) -> None:
        self.eps, self.momenta = eps, momenta
        self.known: dict[tuple, np.ndarray] = {}

    def momentum(self, ids: tuple) -> np.ndarray:
        return np.sum([self.momenta[g] for g, _ in ids], axis=0)

    def emission(self, ids: tuple) -> Emission:
        if len(ids) == 1:
            ((gluon, which),) = ids
            return self.eps[gluon][which], self.momenta[gluon]
        total = self.momentum(ids)
        if ids not in self.known:
            cuts = range(1, len(ids))
            vector = sum(R2 * _three(self.emission(ids[:c]), self.emission(ids[c:])) for c in cuts)
            for c in cuts:
                for d in range(c + 1, len(ids)):
                    parts = (ids[:c], ids[c:d], ids[d:])
                    vector = vector + _four(*(self.emission(part)[0] for part in parts))
            self.known[ids] = vector / dot(total, total)
        return self.known[ids], total


class _Line:
    """A quark line, with V if `boson` is given."""

    def __init__(
        self, amplitudes: Amplitudes, start: int, end: int, left: bool, boson: Emission | None
    ) -> None:
        self.left, self.boson = left, boson
        self.start, self.end = (spinor(amplitudes.p[i], left) for i in (start, end))
        self.entering, self.leaving = -amplitudes.out[start], amplitudes.out[end]
        self.known: dict[tuple, np.ndarray] = {}

    def propagated(self, k: np.ndarray, chi: np.ndarray) -> np.ndarray:
        return slash(k, chi, not self.left) / dot(k, k)

    def amplitude(self, gluons: _Gluons, ids: tuple) -> np.ndarray:
        """V and the gluons `ids`, in order from the start of the line."""
        return (self.end.conj() * self._vertex(gluons, ids, True)).sum(axis=0)

    def _vertex(self, gluons: _Gluons, ids: tuple, with_boson: bool) -> np.ndarray:
        """The spinor after all emissions, without its propagator."""
        chi = np.zeros_like(self.start)
        for c in range(len(ids)):
            vector, _ = gluons.emission(ids[c:])
            chi = chi + R2 * slash(vector, self._spinor(gluons, ids[:c], with_boson), self.left)
        if with_boson:
            assert self.boson is not None
            chi = chi + slash(self.boson[0], self._spinor(gluons, ids, False), self.left)
        return chi

    def _spinor(self, gluons: _Gluons, ids: tuple, with_boson: bool) -> np.ndarray:
        if not ids and not with_boson:
            return self.start
        if (ids, with_boson) not in self.known:
            k = self.entering
            if ids:
                k = k - gluons.momentum(ids)
            if with_boson and self.boson is not None:
                k = k - self.boson[1]
            self.known[ids, with_boson] = self.propagated(k, self._vertex(gluons, ids, with_boson))
        return self.known[ids, with_boson]

    def ordered(self, emissions: list[Emission]) -> np.ndarray:
        """The emissions one by one in order from the start, V at every place."""
        assert self.boson is not None
        total = np.zeros(1)
        for place in range(len(emissions) + 1):
            items = [*emissions[:place], self.boson, *emissions[place:]]
            chi, k = self.start, self.entering
            for vector, momentum in items[:-1]:
                k = k - momentum
                chi = self.propagated(k, slash(vector, chi, self.left))
            total = total + (self.end.conj() * slash(items[-1][0], chi, self.left)).sum(axis=0)
        return total * R2 ** len(emissions)

    def emitted(self, emissions: list[Emission], at: int) -> Emission:
        """The gluon that this line (without V) radiates at place `at` among other emissions, off shell."""
        chi, k = self.start, self.entering
        for vector, momentum in emissions[:at]:
            k = k - momentum
            chi = self.propagated(k, slash(vector, chi, self.left))
        bar, k = self.end, self.leaving
        for vector, momentum in reversed(emissions[at:]):
            k = k + momentum
            bar = self.propagated(k, slash(vector.conj(), bar, self.left))
        q = sum((momentum for _, momentum in emissions), start=self.leaving - self.entering)
        return R2 ** (len(emissions) + 1) * current(bar, chi, self.left) / dot(q, q), q
