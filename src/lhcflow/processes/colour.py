"""Colour: flows of quark lines and gluons, their matrix of products, and lines for event files.

Amplitudes are decomposed as sum over flows of (product of generators) x (partial amplitude), with
generators normalised to tr(T^a T^b) = delta^ab. A flow is written as strings, each from the end of a
quark line over its gluons (outermost generator first) to the start of a line.

- One quark line, n gluons: the n! orders of the gluons; order (g1, ..., gn) is counted from the start.
- Two quark lines, no gluon: end 1 to start 2 and end 2 to start 1, then each end to its own start.
- Two quark lines, one gluon: as before, each with the gluon on the second and on the first string.

Source: Mangano, Parke, Phys. Rept. 200 (1991) 301, hep-th/0509223 (section 3).
"""

from functools import cache
from itertools import pairwise, permutations, product

import numpy as np

from .structure import Structure

Flow = tuple[tuple[int, int, tuple[int, ...]], ...]  # strings of (end, start, gluons)


def strings(lines: int, gluons: int) -> tuple[Flow, ...]:
    """All flows; a string is (end, start, gluons from start to end), lines and gluons numbered from 0."""
    if lines == 1:
        return tuple(((0, 0, order),) for order in permutations(range(gluons)))
    flows = []
    for partners in ((1, 0), (0, 1)):
        if gluons == 0:
            flows.append(((0, partners[0], ()), (1, partners[1], ())))
        else:
            flows += [
                tuple((end, partners[end], (0,) if end == at else ()) for end in (0, 1)) for at in (1, 0)
            ]
    return tuple(flows)


def leading(structure: Structure) -> tuple[int, ...]:
    """Numbers of the flows leading in 1/N_c: for two lines, those of the pairings that exist."""
    flows = len(strings(len(structure.starts), len(structure.gluons)))
    if len(structure.starts) == 1:
        return tuple(range(flows))
    half = flows // 2
    present = [any(row) for row in structure.vertices]
    return tuple(i for i in range(flows) if present[i // half])


@cache
def matrix(lines: int, gluons: int) -> np.ndarray:
    """Products of flows (flows, flows), summed over all colours, for N_c = 3; read-only."""
    generators = _generators()
    flows = strings(lines, gluons)
    colours = list(product(range(8), repeat=gluons))
    tensors = np.array(
        [[_tensor(flow, [generators[a] for a in choice]) for choice in colours] for flow in flows]
    )
    tensors = tensors.reshape(len(flows), -1)
    products = np.real(tensors @ tensors.conj().T).round(12)  # they are integers
    products.setflags(write=False)
    return products


def _tensor(flow: Flow, generators: list[np.ndarray]) -> np.ndarray:
    """Product of the strings with axes (end 0, start of its string, end 1, ...) put in the order of lines."""
    result = np.ones(())
    axes = []
    for end, start, gluons in flow:
        chain = np.eye(3, dtype=complex)
        for g in gluons:
            chain = generators[g] @ chain
        result = np.multiply.outer(result, chain)
        axes += [2 * end, 2 * start + 1]
    return np.transpose(result, np.argsort(axes)).ravel()


def _generators() -> np.ndarray:
    """The eight Gell-Mann matrices over sqrt(2)."""
    gell_mann = np.zeros((8, 3, 3), dtype=complex)
    for n, (i, j) in zip((0, 3, 5), ((0, 1), (0, 2), (1, 2)), strict=True):
        gell_mann[n, i, j] = gell_mann[n, j, i] = 1
        gell_mann[n + 1, i, j], gell_mann[n + 1, j, i] = -1j, 1j
    gell_mann[2] = np.diag([1, -1, 0])
    gell_mann[7] = np.diag([1, 1, -2]) / np.sqrt(3)
    return gell_mann / np.sqrt(2)


def event_lines(structure: Structure, incoming: int = 2) -> np.ndarray:
    """Colour and anticolour lines of all legs for each flow, as the Les Houches event format wants them.

    Returns
    -------
    array (flows, particles, 2) of int
        Lines are numbered from 501; 0 for none. Source: hep-ph/0109068 (section 2.4).
    """
    flows = strings(len(structure.starts), len(structure.gluons))
    lines = np.zeros((len(flows), structure.particles, 2), dtype=np.int64)
    for flow, table in zip(flows, lines, strict=True):
        free = 501
        for end, start, gluons in flow:
            # Taken as outgoing, the end carries colour, the start anticolour; gluons hang between.
            chain = [
                structure.ends[end],
                *(structure.gluons[g] for g in reversed(gluons)),
                structure.starts[start],
            ]
            for left, right in pairwise(chain):
                table[left, 0] = table[right, 1] = free
                free += 1
        table[:incoming] = table[:incoming, ::-1]
    return lines
