"""Data-parallel training under torchrun: every rank computes its share of each batch.

The gradients are summed in one buffer per step rather than by DistributedDataParallel: that wraps
``forward`` only, gives every rank the same weight (wrong for batches that do not divide evenly), and
does not let the ranks agree on the loss and on an interruption in the same exchange.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..arguments import device_named
from .losses import Batch


def rank() -> int:
    """Number of this process, 0 if it is alone."""
    return dist.get_rank() if _running() else 0


def size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if _running() else 1


def initialize(device: str | torch.device = "auto") -> torch.device:
    """Join the process group if torchrun started this process, and choose the device.

    Parameters
    ----------
    device : str or torch.device
        "auto" for a CUDA device if there is one (that of the local rank), else the CPU.

    Raises
    ------
    InputError
        If there is no such device.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    chosen = device_named(device)
    if chosen.type == "cuda" and chosen.index is None:
        chosen = device_named(f"cuda:{local_rank}")
    launched = {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys() and dist.is_available()
    if launched and int(os.environ["WORLD_SIZE"]) > 1 and not dist.is_initialized():
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(minutes=10))
        atexit.register(_leave)
    return chosen


def share(batch: Batch) -> Batch:
    """The rows of a batch that are this rank's; the shares differ by at most one row."""
    if size() == 1:
        return batch
    n = rows(batch)
    start, stop = n * rank() // size(), n * (rank() + 1) // size()
    return tuple(None if t is None else t[start:stop] for t in batch)


def rows(batch: Batch) -> int:
    """Number of rows of a batch; 1 for an empty one, whose loss draws its own points."""
    return next((t.shape[0] for t in batch if t is not None), 1)


def broadcast(model: nn.Module) -> None:
    """Give all ranks the parameters and buffers of rank 0."""
    if size() > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            dist.broadcast(tensor.detach(), 0)


@torch.no_grad()
def combine_gradients(
    parameters: Sequence[Tensor], loss: Tensor | None, n: int, flag: int = 0
) -> tuple[Tensor, int]:
    """Replace gradients by their mean over all rows of all ranks, in one exchange.

    Parameters
    ----------
    parameters : sequence of Tensor
        With the gradients of this rank's mean loss; missing ones count as zero.
    loss : Tensor or None
        The mean over this rank's rows; None if it has none.
    n : int
        Number of rows of this rank.
    flag : int
        Any number; the largest one is for all.

    Returns
    -------
    loss, flag : Tensor, int
        The mean over all rows, and the largest flag of any rank.
    """
    device = parameters[0].device
    tail = torch.zeros(2 + size(), dtype=parameters[0].dtype, device=device)
    tail[0], tail[1], tail[2 + rank()] = 0.0 if loss is None else loss * n, n, flag
    pieces = [
        torch.zeros_like(p).flatten() if loss is None or p.grad is None else p.grad.flatten() * n
        for p in parameters
    ]
    buffer = torch.cat([*pieces, tail])
    dist.all_reduce(buffer)
    *gradients, tail = buffer.split([p.numel() for p in parameters] + [len(tail)])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = (gradient / tail[1]).view_as(parameter).to(parameter.dtype)
    return tail[0] / tail[1], int(tail[2:].max())


def mean(total: float, n: int) -> float:
    """The sum of ``total`` over all ranks, divided by that of ``n``."""
    if size() == 1:
        return total / n
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    both = torch.tensor([total, n], dtype=torch.float64, device=device)
    dist.all_reduce(both)
    return float(both[0] / both[1])


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
