"""Showers in HDF5: the formats of CaloGAN/CaloFlow and of the CaloChallenge, streamed in chunks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike

from ..arguments import whole
from ..errors import InputError
from ..hdf5 import DAMAGE, atomic_hdf5, attribute, check_readable, fixed, item, one_line
from .geometries import by_voxels, geometry
from .geometry import Geometry
from .scale import check_scale
from .showers import Showers

# Bytes that are read or written at once: big enough for the disk, small beside the sample.
_CHUNK = 32 * 2**20


class ShowerFile:
    """Showers in a file, read a part at a time.

    The format is seen from the data sets: ``layer_0``, ..., ``energy`` [GeV] and maybe ``overflow`` are
    CaloGAN's (1705.02355); ``showers`` and ``incident_energies`` [MeV] the CaloChallenge's (2410.21611),
    whose geometry is seen from the number of voxels.

    Parameters
    ----------
    path : str or path-like
        The HDF5 file.
    geometry : str or Geometry, optional
        Name, XML file or geometry, where the file does not tell.
    any_scale : bool
        Take energies of any size. Otherwise those of 1000 showers, evenly chosen, are compared with what is
        possible, since files with MeV for GeV are common; see `lhcflow.calorimeter.scale`.

    Attributes
    ----------
    geometry : str or Geometry, optional
        Of the showers.

    Raises
    ------
    InputError
        If the file is missing, truncated or empty, has data sets missing or of wrong shapes, energies in
        other units, or (from the reading methods) if it holds NaN, infinite or negative energies.

    Examples
    --------
    Layer energies of a file of any size::

        with ShowerFile("e+.h5") as file:
            energies = np.concatenate([part.layer_energies() for part in file.chunks()])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        geometry: str | Geometry | None = None,
        *,
        any_scale: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        try:
            self._file = h5py.File(self.path, "r")
        except FileNotFoundError:
            raise InputError(f"there is no file {self.path}") from None
        except IsADirectoryError:
            raise InputError(f"{self.path} is a folder: give a file of showers") from None
        except PermissionError:
            raise InputError(f"can't read {self.path}: permission denied") from None
        except DAMAGE:
            raise InputError(f"{self.path} is not an HDF5 file, or it is truncated: make it again") from None
        try:
            self.geometry, self._parts, self._energy, self._overflow = _describe(self._file, geometry)
            self._length = len(self._energy)
            if self._length == 0:
                raise InputError("it holds no showers")
            self._check_shapes()
        except (InputError, *DAMAGE) as error:
            self._file.close()
            damaged = "" if isinstance(error, InputError) else "it is damaged, "
            text = one_line(error).removeprefix(f"{self.path}: ")
            raise InputError(f"{self.path}: {damaged}{text}") from None
        if not any_scale:
            self._check_scale()

    def __enter__(self) -> ShowerFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def description(self) -> dict[str, str]:
        """The file's own attributes, such as the physics list; read when they are asked for."""
        try:
            return {k: _text(attribute(self._file, k)) for k in self._file.attrs}
        except DAMAGE as error:
            raise InputError(f"{self.path}: its attributes are damaged, {one_line(error)}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return self._length

    def read(self, start: int = 0, stop: int | None = None, dtype: DTypeLike = np.float32) -> Showers:
        """The showers from number ``start`` up to ``stop``, read into arrays of their final size."""
        stop = self._length if stop is None else min(stop, self._length)
        n = max(stop - start, 0)
        if np.dtype(dtype).kind != "f":
            raise InputError(f"showers are read as floating-point numbers, not as {np.dtype(dtype)}")
        try:
            energy = np.empty(n, dtype)
            voxels = np.empty((n, self.geometry.voxels), dtype)
            overflow = None if self._overflow is None else np.empty((n, len(self.geometry.layers)), dtype)
        except (MemoryError, ValueError):
            raise InputError(f"{self.path}: {n} showers do not fit into the memory: take fewer") from None
        step = self._rows_per_chunk()
        for first in range(start, stop, step):
            rows = slice(first, min(first + step, stop))
            to = slice(rows.start - start, rows.stop - start)
            self._fill(energy[to], self._energy, rows)
            for part, columns in self._parts:
                self._fill(voxels[to, columns], part, rows)
            if overflow is not None and self._overflow is not None:
                self._fill(overflow[to], self._overflow, rows)
            self._check_values(energy[to], voxels[to], overflow if overflow is None else overflow[to], first)
        return Showers(self.geometry, energy, voxels, overflow)

    def chunks(self, size: int | None = None, dtype: DTypeLike = np.float32) -> Iterator[Showers]:
        """All showers in parts of ``size``, or of some 32 MB."""
        step = self._rows_per_chunk() if size is None else size
        if step < 1:
            raise InputError(f"a part has one shower or more, got {size}")
        for start in range(0, self._length, step):
            yield self.read(start, start + step, dtype)

    def _rows_per_chunk(self) -> int:
        return max(_CHUNK // (4 * self.geometry.voxels), 1)

    def _fill(self, target: np.ndarray, source: h5py.Dataset, rows: slice) -> None:
        try:
            with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinite
                target[...] = source[rows].reshape(target.shape)
        except DAMAGE:
            raise InputError(
                f"{self.path}: {_name(source)} can't be read, the file is truncated or damaged: make it again"
            ) from None

    def _check_scale(self) -> None:
        """Compare energies of some showers, evenly chosen, with what is possible."""
        blocks = 8
        size = max(min(1000, self._rows_per_chunk()) // blocks, 1)
        starts = np.unique(np.linspace(0, max(self._length - size, 0), blocks).astype(int))
        parts = [self.read(int(start), int(start) + size) for start in starts]
        incident = np.concatenate([part.energy_mev for part in parts])
        deposited = np.concatenate([part.voxels.sum(axis=1, dtype=np.float64) for part in parts])
        try:
            check_scale(incident, deposited, self.geometry.unit_name)
        except InputError as error:
            self._file.close()
            raise InputError(f"{self.path}: {error}") from None

    def _check_shapes(self) -> None:
        n = self._length
        layers = self.geometry.layers
        for part, columns in self._parts:
            flat = (n, columns.stop - columns.start)
            if self.geometry.format == "calogan":
                shape = (n, *next(x.shape for x in layers if x.start == columns.start))
                _check_shape(part, shape, flat, (*shape, 1))
            else:
                _check_shape(part, flat)
        _check_shape(self._energy, (n, 1), (n,))
        if self._overflow is not None:
            _check_shape(self._overflow, (n, len(layers)))

    def _check_values(
        self, energy: np.ndarray, voxels: np.ndarray, overflow: np.ndarray | None, first: int
    ) -> None:
        names = ("incident energies", "voxel energies", "overflow energies")
        for name, values in zip(names, (energy, voxels, overflow), strict=True):
            if values is None or not values.size:
                continue
            # One pass finds out that all is well: NaN fails the comparison, and so does what is negative.
            low, high = values.min(), values.max()
            positive = low > 0 if values.ndim == 1 else low >= 0
            if positive and np.isfinite(high):
                continue
            bad = ~np.isfinite(values) | (values < 0) | ((values <= 0) if values.ndim == 1 else False)
            row = first + int(bad.any(axis=1).argmax() if bad.ndim > 1 else bad.argmax())
            what = "NaN or infinite" if not np.isfinite(values[bad]).all() else "negative"
            what = "not positive" if values.ndim == 1 and what == "negative" else what
            raise InputError(f"{self.path}: {int(bad.sum())} {name} are {what}, the first in shower {row}")


class ShowerWriter:
    """Write showers a part at a time; the file appears under its name when all of it is written.

    Parameters
    ----------
    path : path
        The HDF5 file.
    geometry : Geometry
        Of the showers; its ``format`` is that of the file.
    description : dict of str to str, optional
        Attributes of the file, such as particle and physics list.
    compression : str, optional
        "gzip", "lzf" or None.

    Examples
    --------
    ::

        with ShowerWriter("generated.h5", geometry("calogan"), {"particle": "e+"}) as file:
            for part in parts:
                file.append(part)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        geometry: Geometry,
        description: dict[str, str] | None = None,
        compression: str | None = "gzip",
    ) -> None:
        self.geometry = geometry
        self._stack = ExitStack()
        self._file = self._stack.enter_context(atomic_hdf5(path))
        self._file.attrs.update({name: fixed(value) for name, value in (description or {}).items()})
        self._compression = compression
        self._length = 0

    def __enter__(self) -> ShowerWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, value, trace)

    def __len__(self) -> int:
        return self._length

    def append(self, showers: Showers) -> None:
        """Add showers at the end."""
        if showers.geometry != self.geometry:
            raise InputError(f"the file is for {self.geometry}, the showers are in {showers.geometry}")
        self._length += len(showers)
        if self.geometry.format == "calogan":
            for number in range(len(self.geometry.layers)):
                self._add(f"layer_{number}", showers.layer(number))
            self._add("energy", showers.energy[:, None])
            if showers.overflow is not None:
                self._add("overflow", showers.overflow)
            elif "overflow" in self._file:
                raise InputError("the showers before these had an overflow, these have none")
        else:
            self._add("showers", showers.voxels)
            self._add("incident_energies", showers.energy[:, None])
        self._file.check()

    def _add(self, name: str, values: np.ndarray) -> None:
        if name not in self._file:
            if self._length > len(values):
                raise InputError(f"these showers have {name}, those before had none")
            rows = int(np.clip(2**18 // max(values[:1].nbytes, 1), 1, 1024))
            self._file.create_dataset(
                name,
                shape=(0, *values.shape[1:]),
                maxshape=(None, *values.shape[1:]),
                chunks=(rows, *values.shape[1:]),
                dtype=values.dtype,
                compression=self._compression,
            )
        dataset: Any = self._file[name]
        dataset.resize(self._length, axis=0)
        dataset[self._length - len(values) :] = values


def read_showers(
    path: str | os.PathLike[str],
    geometry: str | Geometry | None = None,
    *,
    limit: int | None = None,
    dtype: DTypeLike = np.float32,
    any_scale: bool = False,
) -> Showers:
    """Read a file of showers, or its first ``limit``; see `ShowerFile`."""
    if limit is not None:
        limit = whole(limit, "limit", 1)
    with ShowerFile(path, geometry, any_scale=any_scale) as file:
        return file.read(0, limit, dtype)


def write_showers(
    path: str | os.PathLike[str],
    showers: Showers,
    description: dict[str, str] | None = None,
    compression: str | None = "gzip",
) -> None:
    """Write showers in the format of their geometry; see `ShowerWriter`."""
    if not len(showers):
        raise InputError(f"there are no showers to write to {path}")
    with ShowerWriter(path, showers.geometry, description, compression) as file:
        step = max(_CHUNK // max(showers.voxels[:1].nbytes, 1), 1)
        for start in range(0, len(showers), step):
            file.append(showers[start : start + step])


def _describe(
    file: h5py.File, given: str | Geometry | None
) -> tuple[Geometry, list[tuple[h5py.Dataset, slice]], h5py.Dataset, h5py.Dataset | None]:
    """Geometry, data sets of the voxels with their columns, incident energies and overflow."""
    wanted = None if given is None else geometry(given)
    if "showers" in file or "incident_energies" in file:
        showers, energy = _dataset(file, "showers"), _dataset(file, "incident_energies")
        if showers.ndim != 2:
            raise InputError(f"showers has shape {showers.shape}, needs (n, voxels)")
        found = wanted or by_voxels(showers.shape[1])
        if found is None:
            raise InputError(
                f"showers has {showers.shape[1]} voxels, which no known geometry has: "
                "give it with --geometry FILE.xml"
            )
        if found.format != "calochallenge":
            raise InputError(f"it is in the CaloChallenge format, {found.name} is not")
        return found, [(showers, slice(0, found.voxels))], energy, None
    if "layer_0" in file or "energy" in file:
        found = wanted or geometry("calogan")
        if found.format != "calogan":
            raise InputError(f"it is in the CaloGAN format, {found.name} is not")
        parts = [(_dataset(file, f"layer_{i}"), layer.slice) for i, layer in enumerate(found.layers)]
        overflow = _dataset(file, "overflow") if "overflow" in file else None
        return found, parts, _dataset(file, "energy"), overflow
    names = ", ".join(file) or "nothing"
    raise InputError(
        f"it holds {names}; showers are in layer_0, layer_1, ..., energy (CaloGAN) "
        "or in showers, incident_energies (CaloChallenge)"
    )


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    found = item(file, name)
    if found is None:
        raise InputError(f"the data set {name} is missing")
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu" or found.ndim == 0:
        raise InputError(f"{name} is no array of numbers")
    check_readable(found)
    return found


def _check_shape(part: h5py.Dataset, *shapes: tuple[int, ...]) -> None:
    if part.shape not in shapes:
        raise InputError(f"{_name(part)} has shape {part.shape}, needs {shapes[0]}")


def _name(dataset: h5py.Dataset) -> str:
    return str(dataset.name).lstrip("/")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
