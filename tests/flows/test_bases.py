"""Base distributions, and the fixed maps of data to their domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lhcflow import InputError
from lhcflow.flows import (
    Affine,
    Flow,
    Logit,
    NormalWithAngles,
    Sigmoid,
    StandardNormal,
    Uniform,
    VegasGridBase,
    build,
    describe,
)
from lhcflow.flows.bases import Base

EDGES = torch.tensor([[0.0, 0.1, 0.4, 1.0], [-1.0, 0.0, 0.5, 3.0]])
BASES = [StandardNormal(2), Uniform(2), NormalWithAngles(2, [1]), VegasGridBase(2, edges=EDGES)]
bases = pytest.mark.parametrize("base", BASES, ids=lambda base: base.kind)


def test_standard_normal_is_that_of_scipy() -> None:
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    expected = stats.norm.logpdf(z.numpy()).sum(1)
    np.testing.assert_allclose(StandardNormal(4).log_prob(z).numpy(), expected, rtol=1e-14)


def test_uniform_is_zero_inside_and_at_the_faces() -> None:
    z = torch.tensor([[0.0, 1.0], [0.5, 0.2], [-1e-7, 0.5], [0.5, 1.0000002]])
    assert Uniform(2).log_prob(z).tolist() == [0.0, 0.0, -math.inf, -math.inf]


def test_angles_are_uniform_in_their_period() -> None:
    base = NormalWithAngles(2, [1], bound=2.0)
    z = torch.tensor([[0.3, 1.9], [0.3, 2.1]], dtype=torch.float64)
    expected = [stats.norm.logpdf(0.3) - math.log(4.0), -math.inf]
    np.testing.assert_allclose(base.log_prob(z).numpy(), expected, rtol=1e-7)


def test_vegas_grid_base_has_equal_probability_in_each_bin() -> None:
    base = VegasGridBase(2, edges=EDGES).double()
    z = torch.tensor([[0.05, 1.0], [0.2, -0.5], [0.2, -1.5]], dtype=torch.float64)
    density = [1 / (9 * 0.1 * 2.5), 1 / (9 * 0.3 * 1.0), 0.0]
    np.testing.assert_allclose(base.log_prob(z).exp().numpy(), density, rtol=1e-6)


@bases
def test_samples_follow_the_density(base: Base) -> None:
    """Kolmogorov-Smirnov per dimension; the distribution function is a sum of the density on a grid."""
    n = 20_000
    x = base.sample(n, torch.Generator().manual_seed(3)).numpy()
    middle = base.sample(1, torch.Generator().manual_seed(4))
    for j in range(2):
        grid = np.linspace(-8, 8, 16_001)
        line = middle.repeat(len(grid), 1)
        line[:, j] = torch.from_numpy(grid)
        density = base.log_prob(line).double().exp().numpy()
        cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        cumulative /= cumulative[-1]
        result = stats.kstest(x[:, j], lambda v, c=cumulative, g=grid: np.interp(v, g, c))
        assert result.pvalue > 1e-4  # false alarm: 1e-4 for each of the 8


@bases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_dtype_repeatability_and_empty_batches(base: Base, dtype: torch.dtype) -> None:
    base = build(describe(base)).to(dtype)
    one, two = (base.sample(5, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.dtype == base.log_prob(one).dtype == dtype
    assert base.log_prob(one).shape == (5,)
    assert base.sample(0).shape == (0, 2)
    assert base.log_prob(base.sample(0)).shape == (0,)


def test_wrong_bases() -> None:
    with pytest.raises(InputError, match="dim must be >= 1"):
        Uniform(0)
    with pytest.raises(InputError, match=r"angles must be dimensions in 0\.\.1"):
        NormalWithAngles(2, [2])
    with pytest.raises(InputError, match="bound must be positive"):
        NormalWithAngles(2, [1], bound=0.0)


def test_standardize_and_min_max() -> None:
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.1]) + 7
    z, _ = Affine.standardize(x)(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)
    low, high = x.amin(0), x.amax(0)
    z, _ = Affine.min_max(low, high)(x)
    assert torch.equal(z.amin(0), torch.zeros(3))
    assert torch.equal(z.amax(0), torch.ones(3))
    with pytest.raises(InputError, match=r"not in dimensions \[1\]: is the data constant"):
        Affine.standardize(torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
    with pytest.raises(InputError, match=r"shift needs shape \(2,\), got \(3,\)"):
        Affine(2, shift=torch.zeros(3))


def test_logit_of_a_uniform_variable_is_logistic() -> None:
    """The logistic distribution of scipy, through a flow with the logit as data-side map of a base."""
    flow = Flow([Sigmoid(1)], Uniform(1)).double()
    x = torch.linspace(-30, 30, 61, dtype=torch.float64)[:, None]
    np.testing.assert_allclose(flow.log_prob(x).numpy(), stats.logistic.logpdf(x[:, 0].numpy()), rtol=1e-12)


def test_logit_keeps_the_upper_end_exact_in_single_precision() -> None:
    """logit(1 - alpha) = -logit(alpha); formed as 1 - t it would be off by 6 % of a unit."""
    logit = Logit(1, alpha=1e-6)
    (low, high), log_det = logit(torch.tensor([[0.0], [1.0]]))
    assert float(high) == -float(low) == pytest.approx(math.log(1e6), abs=1e-5)
    assert float(log_det[0]) == float(log_det[1])


def test_outside_of_the_range_of_logit_the_density_is_zero() -> None:
    z, log_det = Logit(1)(torch.tensor([[-0.1], [0.5], [1.1]]))
    assert log_det.tolist() == [-math.inf, pytest.approx(math.log(4), abs=1e-5), -math.inf]
    assert z.isfinite().all()
    with pytest.raises(InputError, match=r"alpha must be in \[0, 0\.5\)"):
        Logit(1, alpha=0.5)
