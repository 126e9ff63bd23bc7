"""Shower models as one ONNX graph: incident energy and noise in, voxel energies out."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, RunError
from ...files import atomic_write
from ..models import CaloFlow, HitFlow, ShowerModel
from .graph import Graph
from .hit_graph import hitflow
from .shower_graph import caloflow

Names = Literal["lhcflow", "fastcalosim"]
Precision = Literal["auto", "single", "double"]
INPUTS: dict[str, tuple[str, str, str]] = {
    "lhcflow": ("incident_energy", "noise_energies", "noise_voxels"),
    "fastcalosim": ("inn_einc_in", "inn_z_energy", "cfm_z_shape"),
}
"""Names of the inputs: incident energy (n, 1) in MeV, standard normal numbers (n, layers) and (n, voxels)."""
HITS = {"lhcflow": "noise_hits", "fastcalosim": "cfm_u_shape"}
"""A HitFlow's fourth input: numbers (n, voxels), uniform between 0 and 1, that decide which cells are hit."""
OUTPUT = "voxels"
PSEUDORAPIDITY = "inn_eta_in"
"""FastCaloSim gives eta too; the graph takes it and ignores it."""

PARITY = 1e-5
"""Largest deviation of a graph from its model, as a share of the incident energy."""
# Normal numbers all lie between 0 and 1, as uniform ones do, with a probability of 0.34 to this power: 1e-30.
_MANY = 64
_ENERGY = "incident energy in MeV, (batch, 1): positive and finite, else all voxels of the shower are NaN"
_NORMAL = "standard normal numbers, independent; NaN voxels where they are not finite"
_UNIFORM = "uniform numbers between 0 and 1, independent, not normal ones; others give NaN voxels"
_VOXELS = "energies in MeV of the voxels, layer after layer"
_ENOUGH = 1e-6  # of the example's showers, for others will deviate more


def export_onnx(
    model: ShowerModel,
    path: str | os.PathLike[str],
    names: Names = "lhcflow",
    precision: Precision = "auto",
) -> tuple[float, str]:
    """Write a model as one graph for ONNX Runtime 1.15 and newer, and compare it with the model.

    The graph holds all of the model, up to renormalisation and threshold. The batch may have any size.
    Inputs, output and weights are float32. A graph can't raise errors: showers whose inputs are wrong (an
    energy that is not positive, numbers that are not finite, normal numbers where uniform ones belong and
    the reverse) have NaN in all voxels. The file says what each input is, in its metadata too.

    Parameters
    ----------
    model : ShowerModel
        A HitFlow, or a student of a CaloFlow: a teacher would need one pass per voxel in its graph; distil
        it, or export it for C++.
    path : path
        The file.
    names : {"lhcflow", "fastcalosim"}
        Of the inputs, see INPUTS.
    precision : "single" computes in float32, "double" in float64, which takes twice as long. Steep flows
        (of a bad training) amplify the rounding of float32, and a voxel at the threshold can fall on either
        side of it; "auto" takes "double" where that is seen, and for a HitFlow.

    Returns
    -------
    (float, str)
        The largest deviation of a voxel from `decode`, as a share
        of the incident energy, in 1000 showers; and the precision taken, "single" or "double".

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
    # Rounding in float32 would now and then decide otherwise about a hit, and so about all after it.
    candidates = ("double",) if isinstance(model, HitFlow) else ("single", "double")
    for chosen in candidates if precision == "auto" else (precision,):
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


def build(model: ShowerModel, names: Names, double: bool = False) -> Any:
    """The graph of a model, as an ``onnx.ModelProto``."""
    graph = Graph(double)
    widths = [values.shape[1] for values in example(model, 1)]
    given = zip(input_names(names, len(widths)), widths, strict=True)
    what = _ENERGY, _NORMAL, *([_UNIFORM] if len(widths) > 3 else []), f"{_NORMAL}, or all between 0 and 1"
    inputs = [graph.input(name, width, text) for (name, width), text in zip(given, what, strict=True)]
    if names == "fastcalosim":
        graph.input(PSEUDORAPIDITY, 1, "not used")
    if isinstance(model, HitFlow):
        voxels = hitflow(graph, model, *inputs)
    elif isinstance(model, CaloFlow):
        voxels = caloflow(graph, model, *inputs)
    else:
        raise InputError(f"{type(model).__name__} can't be exported to ONNX")
    voxels = graph.op("Where", _right(graph, inputs, model.layers.voxels), voxels, math.nan)
    notes = dict(zip(input_names(names, len(widths)), what, strict=True))
    return graph.model(voxels, OUTPUT, model.layers.voxels, _VOXELS, model=type(model).__name__, **notes)


def _right(graph: Graph, inputs: Sequence[str], voxels: int) -> str:
    """Whether the inputs of each shower are what they should be: a truth value (batch, 1)."""
    op = graph.op

    def number_of(condition: str) -> str:
        return op("ReduceSum", graph.number(condition), graph.integers(1), keepdims=1)

    incident, *noise = inputs
    wrong = [op("LessOrEqual", incident, 0.0)]
    # NaN and infinity times zero are NaN, which equals nothing.
    wrong += [op("Not", op("Equal", op("Mul", x, 0.0), 0.0)) for x in inputs]
    if len(noise) > 2:
        wrong += [op("Less", noise[1], 0.0), op("Greater", noise[1], 1.0)]
    right = op("Equal", op("Sum", *(number_of(condition) for condition in wrong)), 0.0)
    if voxels < _MANY:
        return right
    between = op("And", op("Greater", noise[-1], 0.0), op("LessOrEqual", noise[-1], 1.0))
    return op("And", right, op("Less", number_of(between), float(voxels)))


def input_names(names: Names, count: int) -> tuple[str, ...]:
    """Names of ``count`` inputs, in the order of a model's ``decode``: three, or the four of a HitFlow."""
    *first, last = INPUTS[names]
    return (*first, HITS[names], last) if count > 3 else INPUTS[names]


def session(graph: bytes | str | os.PathLike[str], threads: int = 1) -> Any:
    """An ONNX Runtime session on ``threads`` cores, of a file's content or of its path."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = graph if isinstance(graph, bytes) else str(Path(graph))
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def feeds(names: Names, *values: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of a graph by name, as float32, in the order of `input_names`."""
    given = dict(zip(input_names(names, len(values)), values, strict=True))
    if names == "fastcalosim":
        given[PSEUDORAPIDITY] = np.zeros_like(values[0])
    return {name: np.asarray(value, np.float32) for name, value in given.items()}


def example(model: ShowerModel, n: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Incident energies (n, 1) between 1 and 100 GeV, and numbers for the rest of the model's ``decode``."""
    generator = torch.Generator().manual_seed(seed)
    incident = 10 ** (3 + 2 * torch.rand(n, 1, generator=generator))
    return incident, *model.noise(n, generator)
