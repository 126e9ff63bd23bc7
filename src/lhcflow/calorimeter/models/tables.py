"""Tables of quantiles, blended by energy, that map standardised numbers to normal variables and back."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor
from torch.nn import functional

Array = NDArray[np.floating[Any]]
TABLES = 3
"""For a layer's little, typical and much energy."""
_INNER = np.linspace(-2.8, 2.8, 29)
SCORES = np.array([-10.0, *_INNER, 10.0])
"""Normal variables at which the tables have their knots: at quantiles, and far outside of them."""
_WIDE = 4  # bins that give the slope outside: the outermost alone would be too uncertain to go on with
_FEW = 400  # too few values for a table
_GAP = 1e-3  # least distance of two knots
_BLOCK = 1 << 24  # numbers at a time


def blend(c: Tensor, centres: Tensor) -> Tensor:
    """Weights (n, L, TABLES) of the tables, which sum to 1: linear in ``c`` (n, L) between the centres
    (L, TABLES), constant outside.
    """
    u = ((c[..., None] - centres[:, :-1]) / centres.diff(dim=1)).clamp(0, 1)
    end = u[..., :1]
    return torch.cat([torch.ones_like(end), u], -1) - torch.cat([u, torch.zeros_like(end)], -1)


def lines(knots: Tensor) -> Tensor:
    """Offsets and slopes of all bins of tables (k, TABLES, scores), for to_values: (k bins, 2 TABLES)."""
    scores = _scores(knots.dtype, knots.device)
    slopes = knots.diff(dim=2) / scores.diff()
    offsets = knots[..., :-1] - slopes * scores[:-1]
    return torch.cat([offsets, slopes], 1).transpose(1, 2).flatten(0, 1)


def to_values(z: Tensor, table: Tensor, weights: Tensor) -> Tensor:
    """Normal variables (n, k) to standardised numbers.

    Parameters
    ----------
    table : Tensor
        What `lines` makes of the knots.
    weights : Tensor
        Of the tables (n, TABLES), for all k.
    """
    bins = torch.searchsorted(_scores(z.dtype, z.device)[1:-1], z.contiguous())
    rows = bins + torch.arange(0, len(table), len(SCORES) - 1, device=z.device)
    found = functional.embedding(rows, table).unflatten(2, (2, TABLES))
    offset, slope = (found * weights[:, None, None]).sum(3).unbind(2)
    return torch.addcmul(offset, slope, z)


def to_scores(t: Tensor, knots: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `to_values`, and its slope dz/dt; ``weights`` (n, k, TABLES)."""
    scores = _scores(t.dtype, t.device)
    rows = max(_BLOCK // (knots.shape[0] * knots.shape[2]), 1)
    parts = []
    for x, weight in zip(t.split(rows), weights.split(rows), strict=True):
        table = torch.einsum("nkt,kts->nks", weight, knots).contiguous()
        bins = torch.searchsorted(table, x[..., None]).sub_(1).clamp_(0, len(SCORES) - 2)
        x0, x1 = (table.gather(2, bins + i)[..., 0] for i in (0, 1))
        y0, y1 = (scores[bins + i][..., 0] for i in (0, 1))
        slope = (y1 - y0) / (x1 - x0)
        parts.append((y0 + slope * (x - x0), slope))
    return torch.cat([z for z, _ in parts]), torch.cat([slope for _, slope in parts])


def fitted(values: Array, group: NDArray[np.int64]) -> Tensor:
    """Knots (TABLES, scores) of standardised numbers (n,), each with the number of its table."""
    everything = _table(values)
    parts = [values[group == number] for number in range(TABLES)]
    return torch.stack([_table(part) if len(part) >= _FEW else everything for part in parts])


@cache
def _scores(dtype: torch.dtype, device: torch.device) -> Tensor:
    """`SCORES`, which every step of a decoding needs, copied to a device once."""
    return torch.from_numpy(SCORES).to(device, dtype)


def _table(values: Array) -> Tensor:
    """Knots (scores,) at the quantiles that `SCORES` are of a normal variable."""
    if len(values) < _FEW:
        return torch.from_numpy(SCORES * (np.std(values) if len(values) > 1 else 1.0) + 0.0)
    steps = np.arange(len(_INNER)) * _GAP
    inner = np.maximum.accumulate(np.quantile(values, ndtr(_INNER)) - steps) + steps
    slopes = [inner[_WIDE] - inner[0], inner[-1] - inner[-1 - _WIDE]] / (_INNER[_WIDE] - _INNER[0])
    far = inner[[0, -1]] + slopes * (SCORES[[0, -1]] - _INNER[[0, -1]])
    return torch.from_numpy(np.array([far[0], *inner, far[1]]))
