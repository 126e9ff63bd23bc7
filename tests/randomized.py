"""Modules away from their initial weights, with which most layers are the identity."""

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def randomized(module: M, seed: int = 0, size: float = 0.3) -> M:
    """``module`` with normal numbers of width ``size`` added to all parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_((size * noise).to(parameter.dtype))
    return module
