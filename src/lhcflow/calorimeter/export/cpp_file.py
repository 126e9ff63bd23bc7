"""CaloFlow models for the C++ header: weights in the order in which the incremental solution uses them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...files import atomic_write, new_folder
from ...flows import AutoregressiveSpline, Flow, Permutation
from ...flows.made import ACTIVATIONS, MADE
from ..models import CaloFlow, ShowerModel
from ..models.preprocessing import VoxelFractions

MAGIC = b"LHCFLOW2"
SOURCES = ("lhcflow_showers.hpp", "example.cpp")


def export_cpp(model: ShowerModel, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a model for C++: ``model.lhcflow``, the header that samples from it, and an example program.

    Parameters
    ----------
    model : ShowerModel
        Teacher or student.
    folder : path
        Is created; files in it of the same names are replaced.

    Returns
    -------
    list of path
        The files.

    Raises
    ------
    InputError
        If the model is no CaloFlow, or has layers that the header does not know.
    """
    data = pack(model)
    target = Path(folder)
    folder_of_sources = resources.files("lhcflow.calorimeter.export") / "cpp"
    contents = {"model.lhcflow": data} | {n: (folder_of_sources / n).read_bytes() for n in SOURCES}
    for name, content in contents.items():
        # Another lhcflow's file begins with the same line.
        begin = MAGIC[:-1] if name == "model.lhcflow" else content[: content.index(b"\n") + 1]
        if (target / name).exists() and not _begins(target / name, begin):
            raise InputError(f"{target / name} exists and is not lhcflow's: give another folder")
    with new_folder(target):
        for name, content in contents.items():
            with atomic_write(target / name, "wb") as file:
                file.write(content)
    return [target / name for name in contents]


def _begins(path: Path, begin: bytes) -> bool:
    """Whether a file begins with these bytes."""
    return path.is_file() and path.read_bytes().startswith(begin)


def pack(model: ShowerModel) -> bytes:
    """The content of ``model.lhcflow``, little-endian; arrays begin with their length (uint64)."""
    if not isinstance(model, CaloFlow):
        raise InputError(f"C++ export is for CaloFlow teachers and students, not for {type(model).__name__}")
    energies, voxels = model.energies, model.voxels
    parts = [
        MAGIC,
        _array(model.layers.sizes, "<u4"),
        struct.pack("<d", energies.fractions.top),
        _array(energies.fractions.seen or [(0.0, 1.0)] * len(model.layers.sizes), "<f8"),
        _preparation(VoxelFractions(model.layers, energies.noise), energies.alpha),
        _preparation(voxels.shares, voxels.shares.alpha),
        _array(voxels.brightest.detach().cpu().numpy(), "<f4"),
        *_flow(energies.flow),
        *_flow(voxels.flow),
    ]
    return b"".join(parts)


def _preparation(shares: VoxelFractions, alpha: float) -> bytes:
    return struct.pack("<3d", alpha, shares.noise, shares.threshold)


def _flow(flow: Flow) -> Iterable[bytes]:
    """The bijections from latent to data."""
    steps = list(flow.bijections)[::-1]
    yield _integers(len(steps))
    for step in steps:
        if isinstance(step, Permutation):
            yield _integers(0) + _array(step.inverse_order.cpu().numpy(), "<u4")
        elif isinstance(step, AutoregressiveSpline) and step.domain == "real" and not step.net.residual:
            yield _integers(1)
            yield from _masked(step)
        else:
            raise InputError(f"the C++ header has no {type(step).__name__}({step.extra_repr()})")


def _masked(step: AutoregressiveSpline) -> Iterable[bytes]:
    net = step.net
    yield _integers(
        net.dim, net.context, step.fast == "sampling", list(ACTIVATIONS).index(net.activation_name)
    )
    yield _integers(step.bins) + struct.pack("<3f", step.bound, step.min_bin, step.min_derivative)
    order = np.array(net.order)
    yield _array(order, "<u4")
    yield _integers(len(net.layers))
    # Units by degree: what a unit sees is a prefix of the layer before it.
    before, columns = np.arange(1, net.dim + 1), order
    for layer, degrees in zip(net.layers, net.degrees, strict=True):
        units = np.argsort(degrees, kind="stable")
        sorted_degrees = degrees[units]
        seen = np.searchsorted(before, sorted_degrees, side="right")
        yield from _rows(layer, units, columns, seen)
        yield _array(np.searchsorted(sorted_degrees, np.arange(net.dim), side="right"), "<u4")
        before, columns = sorted_degrees, units
    seen = np.repeat(np.searchsorted(before, np.arange(net.dim), side="right"), net.outputs)
    rows = (order[:, None] * net.outputs + np.arange(net.outputs)).ravel()
    yield from _rows(net.final, rows, columns, seen)
    yield from _context(net)


def _rows(layer: Any, rows: np.ndarray, columns: np.ndarray, seen: np.ndarray) -> Iterable[bytes]:
    """The rows of a masked layer in the order ``rows``, each with its first ``seen`` columns."""
    weight = layer.masked_weight.detach().cpu().numpy()[rows][:, columns]
    kept = np.arange(weight.shape[1]) < seen[:, None]
    assert not weight[~kept].any()
    yield _array(seen, "<u4")
    yield _array(weight[kept], "<f4")
    yield _array(layer.bias.detach().cpu().numpy()[rows], "<f4")


def _context(net: MADE) -> Iterable[bytes]:
    """The map of the condition, whose units are in the order of the first layer."""
    if not net.context:
        yield _array([], "<f4") * 2
        return
    layer: Any = net.context_layers[0]
    units = np.argsort(net.degrees[0], kind="stable")
    yield _array(layer.weight.detach().cpu().numpy()[units].ravel(), "<f4")
    yield _array(layer.bias.detach().cpu().numpy()[units], "<f4")


def _integers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _array(values: Any, dtype: str) -> bytes:
    array = np.ascontiguousarray(values, dtype=dtype)
    return struct.pack("<Q", array.size) + array.tobytes()
