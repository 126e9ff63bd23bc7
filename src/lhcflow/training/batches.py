"""Batches from tensors in memory, in an order that is a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ..arguments import whole
from ..errors import InputError
from .losses import Batch

Data = Tensor | np.ndarray | TensorDataset | Sequence[Tensor | np.ndarray | None]
"""``x`` or ``(x, context, ...)``: tensors or arrays with one row per point, None where there is none."""

Transform = Callable[[Batch, torch.Generator], Batch]
"""``transform(batch, generator)``: changes a batch each time it is used, for example by noise."""

ORDER, TRANSFORM, GLOBAL = range(3)  # ranks have GLOBAL, GLOBAL + 1, ...


def seeds(seed: int, stream: int, epoch: int, count: int) -> list[int]:
    """Seeds of one consumer of random numbers for every step of an epoch.

    Nothing in a training carries a random state from step to step, so there is none to restore.
    """
    return np.random.SeedSequence((seed, stream, epoch)).generate_state(count, np.uint64).tolist()


class Batches:
    """Shuffled batches of one epoch after the other; the last batch of an epoch may be smaller.

    Parameters
    ----------
    data : Data
        One array (n, ...) or several with the same first axis; None entries stay None.
    batch_size : int or callable
        Rows per batch, or a function of the epoch.
    seed : int
        Of the order and of the transform.
    transform : Transform, optional
        Called with every batch and a generator on the data's device.
    dtype : torch.dtype, optional
        The type to which arrays of floating-point numbers are converted; theirs if None.

    Raises
    ------
    InputError
        If there is no data, or if the lengths or devices differ.
    """

    def __init__(
        self,
        data: Data,
        batch_size: int | Callable[[int], int] = 256,
        seed: int = 0,
        transform: Transform | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.tensors = as_batch(data, dtype)
        self.rows = next(t.shape[0] for t in self.tensors if t is not None)
        self.device = next(t.device for t in self.tensors if t is not None)
        self.batch_size = batch_size
        self.seed = seed
        self.transform = transform

    def size(self, epoch: int) -> int:
        """Rows per batch in an epoch."""
        size = self.batch_size(epoch) if callable(self.batch_size) else self.batch_size
        return whole(size, f"the batch size of epoch {epoch}", 1)

    def count(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return -(-self.rows // self.size(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``start`` on."""
        size, count = self.size(epoch), self.count(epoch)
        generator = torch.Generator().manual_seed(seeds(self.seed, ORDER, epoch, 1)[0])
        order = torch.randperm(self.rows, generator=generator).to(self.device)
        noise = torch.Generator(self.device)
        noise_seeds = seeds(self.seed, TRANSFORM, epoch, count)
        for number in range(start, count):
            batch = self._select(order[number * size : (number + 1) * size])
            if self.transform is not None:
                batch = self.transform(batch, noise.manual_seed(noise_seeds[number]))
            yield batch

    def in_order(self, size: int) -> Iterator[Batch]:
        """All rows in their order, with the same noise every time: what validation needs."""
        noise = torch.Generator(self.device).manual_seed(seeds(self.seed, TRANSFORM, 0, 1)[0])
        for start in range(0, self.rows, size):
            batch = tuple(None if t is None else t[start : start + size] for t in self.tensors)
            yield batch if self.transform is None else self.transform(batch, noise)

    def _select(self, rows: Tensor) -> Batch:
        return tuple(None if t is None else t.index_select(0, rows) for t in self.tensors)


def as_batch(data: Data, dtype: torch.dtype | None = None) -> Batch:
    """Data in the form of a batch: a tuple of tensors and None.

    Parameters
    ----------
    data : Tensor, array, data frame, TensorDataset, or a sequence of tensors, arrays and None
        With the same number of rows.
    dtype : torch.dtype, optional
        To which arrays (not tensors) of floating-point numbers are converted. Others are shared, not copied.

    Raises
    ------
    InputError
        If there is no data, if it has no such form, or if numbers of rows or devices differ.
    """
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, DataLoader | Mapping):
        kind = "a DataLoader" if isinstance(data, DataLoader) else "a dict"
        raise InputError(
            f"the data are {kind}: give x, or (x, context, weights); batches are made from them here"
        )
    single = isinstance(data, Tensor | np.ndarray) or hasattr(data, "to_numpy")
    parts: Sequence[Any] = (data,) if single else tuple(data)  # type: ignore[arg-type]
    tensors = tuple(None if part is None else _tensor(part, dtype) for part in parts)
    given = [t for t in tensors if t is not None]
    if not given or any(t.ndim == 0 for t in given) or given[0].shape[0] == 0:
        raise InputError("there is no data: give x, or (x, context, weights), with at least one row")
    if len({t.shape[0] for t in given}) > 1:
        raise InputError(f"the data have different numbers of rows: {[t.shape[0] for t in given]}")
    if len({t.device for t in given}) > 1:
        raise InputError(f"the data are on different devices: {[str(t.device) for t in given]}")
    return tensors


def _tensor(part: Any, dtype: torch.dtype | None) -> Tensor:
    if isinstance(part, Tensor):
        return part
    array = np.asarray(part)
    if array.dtype.kind not in "fiub":
        raise InputError(f"the data must be numbers, got a {type(part).__name__} of {array.dtype}")
    tensor = torch.as_tensor(array if array.flags.writeable else array.copy())
    return tensor.to(dtype) if dtype is not None and array.dtype.kind == "f" else tensor
