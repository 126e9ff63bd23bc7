"""A small model and comparisons for the tests of training."""

import math

import numpy as np
import pytest
import torch
from torch import nn


class Gaussian(nn.Module):
    """A diagonal Gaussian with trainable mean and width, shifted by its context if it has one."""

    def __init__(self, dim=2, context=0, dtype=torch.float64):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim, dtype=dtype))
        self.log_scale = nn.Parameter(torch.zeros(dim, dtype=dtype))
        self.slope = nn.Parameter(torch.zeros(context, dim, dtype=dtype))

    def log_prob(self, x, context=None):
        shift = self.shift if context is None else self.shift + context @ self.slope
        z = (x - shift) * (-self.log_scale).exp()
        return (-0.5 * z.square() - 0.5 * math.log(2 * math.pi) - self.log_scale).sum(1)


@pytest.fixture
def gaussian():
    return Gaussian


@pytest.fixture
def sample():
    """Points (n, 2) of a Gaussian with mean (3, -1) and widths (2, 0.5)."""

    def draw(n, seed=1, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(n, 2, generator=generator, dtype=dtype)
        return torch.tensor([3.0, -1.0], dtype=dtype) + torch.tensor([2.0, 0.5], dtype=dtype) * z

    return draw


@pytest.fixture
def assert_same():
    """Compare nests bit for bit, except for times."""

    def compare(a, b, where=""):
        assert type(a) is type(b), where
        if isinstance(a, dict):
            assert list(a) == list(b), where
            for key in a:
                if key not in ("seconds", "before"):
                    compare(a[key], b[key], f"{where}.{key}")
        elif isinstance(a, list | tuple):
            assert len(a) == len(b), where
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                compare(x, y, f"{where}.{i}")
        elif isinstance(a, torch.Tensor):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), where
            assert torch.equal(*(t.flatten().contiguous().view(torch.uint8) for t in (a, b))), where
        elif isinstance(a, np.ndarray):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), where
        else:
            assert a == b, where

    return compare
