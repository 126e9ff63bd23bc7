"""Shower models as one ONNX graph: incident energy and noise in, voxel energies out."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, RunError
from ...files import atomic_write
from ..models import CaloFlow, EnergyFlow
from ..models.preprocessing import VoxelFractions
from .flow_graph import invert
from .graph import Graph

Names = Literal["lhcflow", "fastcalosim"]
Precision = Literal["auto", "single", "double"]
INPUTS: dict[str, tuple[str, str, str]] = {
    "lhcflow": ("incident_energy", "noise_energies", "noise_voxels"),
    "fastcalosim": ("inn_einc_in", "inn_z_energy", "cfm_z_shape"),
}
"""Names of the inputs: incident energy (n, 1) in MeV, standard normal numbers (n, layers) and (n, voxels)."""
OUTPUT = "voxels"
PSEUDORAPIDITY = "inn_eta_in"
"""FastCaloSim gives eta too; the graph takes it and ignores it."""

PARITY = 1e-5
"""Largest deviation of a graph from its model, as a share of the incident energy."""
_ENOUGH = 1e-6  # of the example's showers, for others will deviate more


def export_onnx(
    model: CaloFlow,
    path: str | os.PathLike[str],
    names: Names = "lhcflow",
    precision: Precision = "auto",
) -> tuple[float, str]:
    """Write a model as one graph for ONNX Runtime 1.15 and newer, and compare it with the model.

    The graph holds flows I and II, the renormalisation and the threshold. The batch may have any size.
    Inputs, output and weights are float32.

    Parameters
    ----------
    model : a student: a teacher would need one pass per voxel in its graph; distil it, or export it for C++.
    path : the file.
    names : of the inputs, see INPUTS.
    precision : "single" computes in float32, "double" in float64, which takes twice as long. Steep flows
        (of a bad training) amplify the rounding of float32, and a voxel at the threshold can fall on either
        side of it; "auto" takes "double" where that is seen.

    Returns
    -------
    The largest deviation of a voxel from :meth:`~lhcflow.calorimeter.models.CaloFlow.decode`, as a share of
    the incident energy, in 1000 showers; and the precision taken, "single" or "double".

    Raises
    ------
    InputError
        If the model can't be a graph, or the extra ``onnx`` is missing.
    RunError
        If the graph differs from the model by more than 1e-5 of the incident energy.
    """
    if names not in INPUTS:
        raise InputError(f"names are {' or '.join(INPUTS)}, got {names!r}")
    if precision not in ("auto", "single", "double"):
        raise InputError(f"precision is auto, single or double, got {precision!r}")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise InputError("exporting to ONNX needs more packages: pip install 'lhcflow[onnx]'") from None
    inputs = example(model, 1000)
    expected = model.decode(inputs[0][:, 0], *inputs[1:]).numpy()
    values = [t.numpy() for t in inputs]
    chosen, difference, data = "single", math.inf, b""
    for chosen in ("single", "double") if precision == "auto" else (precision,):
        data = build(model, names, double=chosen == "double").SerializeToString()
        found = session(data).run([OUTPUT], feeds(names, *values))[0]
        difference = float((np.abs(found - expected) / values[0]).max())
        if difference < _ENOUGH:
            break
    if not difference < PARITY:
        raise RunError(f"the ONNX graph differs from the model by {difference:.2g} of the incident energy")
    with atomic_write(path, "wb") as file:
        file.write(data)
    return difference, chosen


def build(model: CaloFlow, names: Names, double: bool = False) -> Any:
    """The graph of a model, as an ``onnx.ModelProto``."""
    if not isinstance(model, CaloFlow):
        raise InputError(f"{type(model).__name__} can't be exported to ONNX")
    graph = Graph(double)
    sizes = model.layers.sizes
    incident, noise_energies, noise_voxels = (
        graph.input(name, width)
        for name, width in zip(INPUTS[names], (1, len(sizes), sum(sizes)), strict=True)
    )
    if names == "fastcalosim":
        graph.input(PSEUDORAPIDITY, 1)
    energies = _energies(graph, model.energies, incident, noise_energies)
    shares = model.voxels.shares
    floored = graph.op("Max", energies, 1e-4)
    condition = graph.op("Concat", *(_log10(graph, e) for e in (incident, floored)), axis=1)
    y = invert(graph, model.voxels.flow, noise_voxels, condition)
    voxels = _renormalised(graph, shares, _expit(graph, y, shares.alpha), energies)
    return graph.model(voxels, OUTPUT, sum(sizes))


def _energies(graph: Graph, flow: EnergyFlow, incident: str, noise: str) -> str:
    """Layer energies (n, L), as :meth:`EnergyFlow.decode`."""
    op = graph.op
    u = _expit(graph, invert(graph, flow.flow, noise, _log10(graph, incident)), flow.alpha)
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
    """Voxels (n, V), as :meth:`VoxelFractions.renormalise`."""
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


def session(graph: bytes | str | os.PathLike[str], threads: int = 1) -> Any:
    """An ONNX Runtime session on ``threads`` cores, of a file's content or of its path."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = graph if isinstance(graph, bytes) else str(Path(graph))
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def feeds(
    names: Names, incident: np.ndarray, noise_energies: np.ndarray, noise_voxels: np.ndarray
) -> dict[str, np.ndarray]:
    """The inputs of a graph by name, as float32."""
    values = dict(zip(INPUTS[names], (incident, noise_energies, noise_voxels), strict=True))
    if names == "fastcalosim":
        values[PSEUDORAPIDITY] = np.zeros_like(incident)
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def example(model: CaloFlow, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Incident energies (n, 1) between 1 and 100 GeV, and normal numbers for flows I and II."""
    generator = torch.Generator().manual_seed(seed)
    incident = 10 ** (3 + 2 * torch.rand(n, 1, generator=generator))
    energies = torch.randn(n, len(model.layers.sizes), generator=generator)
    return incident, energies, torch.randn(n, model.layers.voxels, generator=generator)
