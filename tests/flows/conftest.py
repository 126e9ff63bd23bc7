"""Helpers for the tests of flows."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lhcflow.flows.made import MaskedLinear


@pytest.fixture(scope="session")
def randomize() -> Callable[..., nn.Module]:
    """A function that moves all parameters away from their start, where most layers are the identity."""

    def randomized(module: nn.Module, seed: int = 0, size: float = 0.3) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_((size * noise).to(parameter.dtype))
        for part in module.modules():
            if isinstance(part, MaskedLinear):
                part.apply_mask()
        return module

    return randomized
