"""HitFlow as ONNX operations: the steps of `HitDensity.decode`, one after the other."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch

from ..models import HitFlow
from ..models.hit_density import FAINT, KNOTS, LEAST, LIMIT, RARE, STATE, SUMS, HitDensity, Step
from ..models.tables import SCORES
from .graph import Graph
from .shower_graph import layer_energies


def hitflow(
    graph: Graph, model: HitFlow, incident: str, noise_energies: str, chances: str, normal: str
) -> str:
    """Voxels (n, V) in MeV, as `HitFlow.decode`; ``chances`` (n, V) are uniform, ``normal`` normal."""
    energies = layer_energies(graph, model.energies, incident, noise_energies)
    return _cells(graph, model.hits, incident, energies, chances, normal)


def _cells(graph: Graph, model: HitDensity, incident: str, energies: str, chances: str, normal: str) -> str:
    op = graph.op
    steps = _Steps(graph, model, incident, energies)
    sizes = np.array(model.layers.sizes)
    possible = graph.number(op("Greater", energies, 0.0))
    least = op("Div", model.threshold, op("Max", energies, 1e-30))
    seen, parts = "", []
    total = op("MatMul", energies, np.zeros((len(sizes), SUMS * len(sizes))))
    for step, index in zip(model.plan().steps, model.cells.steps, strict=True):
        odds, mean, scale = steps.parameters(step, index, total, seen)
        own = [step.layer]
        hit = graph.number(op("Less", graph.columns(chances, index), _sigmoid(graph, odds)))
        hit = op("Mul", hit, graph.columns(possible, own))
        z = op("Add", mean, op("Mul", op("Exp", scale), graph.columns(normal, index)))
        z = op("Clip", z, -LIMIT, LIMIT)
        weights = [graph.columns(column, own) for column in steps.blend]
        shift = op("Mul", graph.columns(steps.sigma, index), _unscore(graph, model, z, index, weights))
        logs = op("Add", graph.columns(steps.mean, index), shift)
        above = op("Mul", hit, op("Exp", op("Min", logs, _numbers(step.most))))
        share = op("Add", above, op("Mul", hit, graph.columns(least, own)))
        z = op("Mul", hit, z)
        surplus = op("Sub", hit, graph.columns(steps.expected, index))
        surplus = op("Mul", surplus, graph.columns(steps.precision, index))
        added = op("MatMul", op("Concat", share, surplus, z, axis=1), _numbers(step.sums))
        total = op("Add", total, added)
        seen = op("Concat", *([seen] if seen else []), surplus, z, axis=1)
        parts.append(above)
    order = np.argsort(np.concatenate(model.cells.steps))
    return _renormalised(graph, model, graph.columns(op("Concat", *parts, axis=1), order), energies)


class _Steps:
    """What the energies say of all cells, and the regressions of each step.

    Attributes
    ----------
    expected, precision, mean, sigma : ndarray
        (n, V) of the cells given the energies alone: hit probability, its inverse standard deviation, mean
        and sigma.
    blend : ndarray
        Of each table, its weight (n, L) in the layers.
    """

    def __init__(self, graph: Graph, model: HitDensity, incident: str, energies: str) -> None:
        self._graph, self._model = graph, model
        op, powers = graph.op, _powers(graph, model, incident, energies)
        self._powers = powers
        orbits = _numbers(model.orbit_terms[:, model.orbit])
        odds, mean, scale = (op("MatMul", powers, terms.T) for terms in orbits)
        self._odds = op("Clip", odds, -9.0, 9.0)
        self.expected = _sigmoid(graph, self._odds)
        variance = op("Mul", self.expected, op("Sub", 1.0, self.expected))
        self.precision = op("Reciprocal", op("Sqrt", op("Max", variance, RARE)))
        self.mean, self.sigma = mean, op("Exp", op("Clip", scale, -5.0, 2.0))
        self.blend = _blend(graph, model, powers)

    def parameters(self, step: Step, index: np.ndarray, total: str, seen: str) -> list[str]:
        """Log-odds, mean and log sigma (n, k) of cells ``index``, as `HitDensity.parameters_of`.

        ``seen`` are the links of all earlier steps.
        """
        graph, op = self._graph, self._graph.op
        links = [graph.columns(seen, step.near.cpu().numpy())] if len(step.near) else []
        x = op("Concat", self._powers, self._state(step.number, total), *links, axis=1)
        split = graph.integers(*[len(index)] * 3)
        odds, mean, scale = graph.ops("Split", 3, op("MatMul", x, _numbers(step.weights)), split, axis=1)
        odds = op("Add", odds, graph.columns(self._odds, index))
        return [odds, mean, op("Clip", scale, -4.0, 1.5)]

    def _state(self, step: int, total: str) -> str:
        """As `HitDensity.state`."""
        graph, op, layers = self._graph, self._graph.op, len(self._model.layers.sizes)
        mean, scale = (op("MatMul", self._powers, t.T) for t in _numbers(self._model.state_terms[:, step]))
        split = graph.integers(layers, (SUMS - 1) * layers)
        shares, others = graph.ops("Split", 2, total, split, axis=1)
        left = op("Log", op("Max", op("Sub", 1.0, shares), LEAST))
        raw = op("Concat", left, others, axis=1)
        inverse = op("Exp", op("Clip", op("Neg", scale), -5.0, 5.0))
        return op("Clip", op("Mul", op("Sub", raw, mean), inverse), -STATE, STATE)


def _powers(graph: Graph, model: HitDensity, incident: str, energies: str) -> str:
    op = graph.op
    floored = op("Max", energies, FAINT)
    logs = op("Mul", op("Log", op("Concat", incident, floored, axis=1)), 1 / math.log(10))
    logs = op("Min", op("Max", logs, _numbers(model.least)), _numbers(model.most))
    c = op("Div", op("Sub", logs, _numbers(model.centre)), _numbers(model.width))
    above = [op("Relu", op("Sub", c, knot)) for knot in KNOTS]
    c = op("Concat", op("Add", op("Mul", incident, 0.0), 1.0), c, axis=1)
    rows, columns = np.triu_indices(len(model.centre) + 1)
    return op("Concat", op("Mul", graph.columns(c, rows), graph.columns(c, columns)), *above, axis=1)


def _blend(graph: Graph, model: HitDensity, powers: str) -> list[str]:
    """As `tables.blend`, one (n, L) per table."""
    op, centres = graph.op, _numbers(model.centres)
    c = graph.columns(powers, 2 + np.arange(len(centres)))
    pairs = zip(centres.T[:-1], centres.T[1:], strict=True)
    u = [op("Clip", op("Div", op("Sub", c, a), b - a), 0.0, 1.0) for a, b in pairs]
    middle = [op("Sub", before, after) for before, after in pairwise(u)]
    return [op("Sub", 1.0, u[0]), *middle, u[-1]]


def _unscore(graph: Graph, model: HitDensity, z: str, index: np.ndarray, weights: list[str]) -> str:
    """As `tables.to_values`: a broken line is a sum of kinks."""
    op, xs = graph.op, SCORES
    bent = op("Relu", op("Sub", op("Unsqueeze", z, graph.integers(-1)), xs[1:-1]))
    parts = []
    for number, weight in enumerate(weights):
        ys = _numbers(model.knots[model.orbit[index], number])
        slopes = np.diff(ys, axis=1) / np.diff(xs)
        sums = op("ReduceSum", op("Mul", bent, np.diff(slopes, axis=1)), graph.integers(-1), keepdims=0)
        straight = op("Add", op("Mul", op("Sub", z, xs[0]), slopes[:, 0]), ys[:, 0])
        parts.append(op("Mul", op("Add", straight, sums), weight))
    return op("Sum", *parts)


def _renormalised(graph: Graph, model: HitDensity, excess: str, energies: str) -> str:
    """As `HitDensity.renormalise`."""
    op, sizes = graph.op, np.array(model.layers.sizes)
    belongs = np.repeat(np.eye(len(sizes)), sizes, axis=0)  # (V, L)
    hit = graph.number(op("Greater", excess, 0.0))
    count, sums = op("MatMul", hit, belongs), op("MatMul", excess, belongs)
    floor = op("Min", op("Div", energies, op("Max", count, 1.0)), model.threshold)
    factor = op("Div", op("Sub", energies, op("Mul", floor, count)), op("Max", sums, 1e-30))
    factor = op("Where", op("Greater", sums, 0.0), factor, 0.0)
    part = op("Mul", hit, op("MatMul", floor, belongs.T))
    return op("Add", part, op("Mul", excess, op("MatMul", factor, belongs.T)))


def _sigmoid(graph: Graph, x: str) -> str:
    return graph.op("Reciprocal", graph.op("Add", graph.op("Exp", graph.op("Neg", x)), 1.0))


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
