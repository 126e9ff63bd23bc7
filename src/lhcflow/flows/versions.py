"""Whether weights are still those from which something was made: a masked copy, a packed plan."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

FEW_ROWS = 1024
"""Rows of a call below which reading all weights takes more than some 5 % of its time (measured on one CPU
thread with 368 dimensions and 378 hidden units; at 256 rows it is 20 %)."""


class _Steps:
    """Counts the steps of all optimisers: fused ones change weights without a new version."""

    def __init__(self) -> None:
        self.count = 0
        register_optimizer_step_post_hook(self._add)

    def _add(self, *_: Any) -> None:
        self.count += 1


_steps = _Steps()


def versions(weights: Sequence[Tensor]) -> Hashable | None:
    """What changes when ``weights`` are changed under autograd's eyes or by an optimiser; None if unknown.

    It does not change when somebody writes to ``weight.data``.
    """
    if any(w.is_inference() for w in weights):  # these carry no version
        return None
    return (_steps.count, *((w.data_ptr(), w._version) for w in weights))


def trusting(module: nn.Module, rows: int) -> bool:
    """Whether a call with ``rows`` rows takes the word of `versions` and does not look at all weights.

    Only in ``eval()`` mode and with few rows. There, and only there, writing to ``weight.data`` goes
    unnoticed: call ``eval()`` again after it, which forgets what was made from the weights.
    """
    return not module.training and rows < FEW_ROWS


def fingerprint(weights: Sequence[Tensor]) -> Tensor:
    """Numbers that change with any of ``weights`` (matrices and vectors) by more than their rounding."""
    parts = [
        w.detach() if w.ndim == 1 else w.detach() @ _probe(w.shape[1], w.dtype, w.device) for w in weights
    ]
    return torch.cat(parts)


@lru_cache(maxsize=64)
def _probe(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A fixed vector without symmetry, so that columns that change places are noticed."""
    with torch.inference_mode(False):
        values = torch.rand(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return (0.5 + values).to(dtype).to(device)


class Kept:
    """Something made from weights, with their versions. Copies and pickles of it are empty."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self.versions: Hashable | None = None
        self.value: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return type(self)()

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return type(self), ()
