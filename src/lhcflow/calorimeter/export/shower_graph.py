"""CaloFlow as ONNX operations: layer energies, voxels, and what stands between them and the flows."""

from __future__ import annotations

import math

import numpy as np

from ..models import CaloFlow, EnergyFlow
from ..models.preprocessing import VoxelFractions
from .flow_graph import invert
from .graph import Graph


def caloflow(graph: Graph, model: CaloFlow, incident: str, noise_energies: str, noise_voxels: str) -> str:
    """Voxels (n, V) in MeV, as `CaloFlow.decode`."""
    energies = layer_energies(graph, model.energies, incident, noise_energies)
    shares = model.voxels.shares
    floored = graph.op("Max", energies, 1e-4)
    condition = graph.op("Concat", *(_log10(graph, e) for e in (incident, floored)), axis=1)
    y = invert(graph, model.voxels.flow, noise_voxels, condition)
    largest = model.voxels.brightest.detach().cpu().double().numpy()
    return _renormalised(graph, shares, graph.op("Min", _expit(graph, y, shares.alpha), largest), energies)


def layer_energies(graph: Graph, flow: EnergyFlow, incident: str, noise: str) -> str:
    """Layer energies (n, L), as `EnergyFlow.decode`."""
    op = graph.op
    u = _expit(graph, invert(graph, flow.flow, noise, _log10(graph, incident)), flow.alpha)
    if flow.fractions.seen:
        least, most = np.array(flow.fractions.seen).T
        u = op("Min", op("Max", u, least), most)
    layers = len(flow.layers.sizes)
    first, *others = graph.ops("Split", layers, u, graph.integers(*[1] * layers), axis=1)
    rest = op("Mul", op("Mul", first, flow.fractions.top), incident)
    parts = []
    for share in others:
        parts.append(op("Mul", share, rest))
        rest = op("Sub", rest, parts[-1])
    energies = op("Concat", *parts, rest, axis=1)
    plain = VoxelFractions(flow.layers, flow.noise)
    clean = op("Sub", energies, 0.5 * plain.noise * np.array(flow.layers.sizes))
    return op("Where", op("Less", clean, plain.threshold), 0.0, clean)


def _renormalised(graph: Graph, shares: VoxelFractions, voxels: str, energies: str) -> str:
    """Voxels (n, V), as `VoxelFractions.renormalise`."""
    op, sizes = graph.op, np.array(shares.layers.sizes)
    belongs = np.repeat(np.eye(len(sizes)), sizes, axis=0)  # (V, L)

    def scale(voxels: str, energies: str) -> str:
        total = op("MatMul", voxels, belongs)
        factor = op("Div", energies, op("Max", total, 1e-30))
        factor = op("Where", op("Greater", total, 0.0), factor, 0.0)
        return op("Mul", voxels, op("MatMul", factor, belongs.T))

    voxels = scale(voxels, op("Add", energies, 0.5 * shares.noise * sizes))
    voxels = op("Where", op("Less", voxels, shares.threshold), 0.0, voxels)
    return scale(voxels, energies)


def _log10(graph: Graph, energy: str) -> str:
    """log10 of energies in units of 10 GeV."""
    return graph.op("Add", graph.op("Mul", graph.op("Log", energy), 1 / math.log(10)), -4.0)


def _expit(graph: Graph, y: str, alpha: float) -> str:
    # Not Sigmoid, which ONNX Runtime approximates to 1e-7 of 1: shares are as small as 1e-6.
    share = graph.op("Reciprocal", graph.op("Add", graph.op("Exp", graph.op("Neg", y)), 1.0))
    shifted = graph.op("Add", share, -alpha)
    return graph.op("Clip", graph.op("Mul", shifted, 1 / (1 - 2 * alpha)), 0.0, 1.0)
