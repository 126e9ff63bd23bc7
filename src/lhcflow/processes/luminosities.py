"""Products of parton densities, summed over the pairs of partons that have the same |M|^2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .partonic import PartonicGroup
from .pdf import Pdf

CHUNK = 1024  # points whose products of densities stay in the cache


class Luminosities:
    """sum over pairs of mult x1 f_a x2 f_b for all groups at once, each product of densities made once.

    Parameters
    ----------
    groups : sequence of PartonicGroup
        The partonic channels.
    pdf : Pdf
        Where the densities come from.
    """

    def __init__(self, groups: Sequence[PartonicGroup], pdf: Pdf) -> None:
        pairs = np.unique(np.concatenate([group.initial_states[0] for group in groups]), axis=0)
        number = {(a, b): i for i, (a, b) in enumerate(pairs.tolist())}
        self._multiplicity = np.zeros((len(groups), len(pairs)))
        for row, group in zip(self._multiplicity, groups, strict=True):
            for (a, b), count in zip(group.initial_states[0].tolist(), group.initial_states[1], strict=True):
                row[number[a, b]] = count
        self._columns = [np.array([pdf.column(i) for i in pairs[:, beam].tolist()]) for beam in (0, 1)]

    def __call__(self, f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
        """Luminosities (groups, n) from densities x f (n, 14) in both beams."""
        result = np.empty((len(self._multiplicity), len(f1)))
        first, second = self._columns
        for start in range(0, len(f1), CHUNK):
            part = slice(start, start + CHUNK)
            a, b = np.ascontiguousarray(f1[part].T), np.ascontiguousarray(f2[part].T)
            result[:, part] = self._multiplicity @ (a[first] * b[second])
        return result


def of_pairs(group: PartonicGroup, pdf: Pdf, f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
    """mult x1 f_a x2 f_b (n, pairs) of the group's pairs of incoming partons."""
    pairs, multiplicity = group.initial_states
    a, b = (np.array([pdf.column(int(i)) for i in pairs[:, beam]]) for beam in (0, 1))
    return f1[:, a] * f2[:, b] * multiplicity
