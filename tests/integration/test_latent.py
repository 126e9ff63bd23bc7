"""A flow as a proposal on the cube."""

from typing import Any

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.flows import coupling_spline
from lhcflow.integration import FlowProposal, FlowSettings, Integrator, VegasMap
from lhcflow.integration.latent import LatentProposal
from lhcflow.integration.proposal import rebuild
from randomized import randomized

DOMAINS = pytest.mark.parametrize("domain", ["real", "unit"])


def proposal(
    dim: int = 2, dtype: torch.dtype = torch.float64, scale: float = 0.1, domain: Any = "real"
) -> FlowProposal:
    permutation: Any = "soft" if domain == "real" else "none"
    options: Any = {"layers": 4, "hidden": (16,), "bins": 6, "seed": 1}
    flow = randomized(coupling_spline(dim, domain=domain, permutation=permutation, **options), 2, scale)
    edges = np.sort(np.random.default_rng(4).random((dim, 5)), axis=1)
    edges[:, 0], edges[:, -1] = 0, 1
    return FlowProposal(flow.to(dtype), VegasMap(dim, edges=edges))


@DOMAINS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_density_is_the_inverse_jacobian(dtype: torch.dtype, domain: str) -> None:
    q = proposal(3, dtype, domain=domain)
    x, jacobian = q.map(np.random.default_rng(0).random((2000, 3)))
    assert ((x > 0) & (x < 1)).all()
    tolerance = 1e-6 if dtype == torch.float64 else 2e-2  # float32 points move across steep bins
    np.testing.assert_allclose(q.density(x) * jacobian, 1, rtol=tolerance)


def test_density_integrates_to_one() -> None:
    """With uniform points, which share nothing with the flow's own: 5 standard deviations, 6e-7."""
    q = proposal().density(np.random.default_rng(7).random((100_000, 2)))
    assert abs(q.mean() - 1) < 5 * q.std() / len(q) ** 0.5 < 0.1


@DOMAINS
def test_points_follow_the_density(domain: str) -> None:
    """Counts in a 4 x 4 lattice against the density; chi2 < 50 for 15 dof has a false-alarm rate of 1e-5."""
    q = proposal(domain=domain)
    n = 40_000
    x, density = q.sample(n, np.random.default_rng(5))
    np.testing.assert_allclose(density, q.density(x), rtol=1e-6)
    cell = (x * 4).astype(int) @ [4, 1]
    line = (np.arange(800) + 0.5) / 800
    lattice = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    expected = np.bincount((lattice * 4).astype(int) @ [4, 1], q.density(lattice), 16) / len(lattice) * n
    counts = np.bincount(cell, minlength=16)
    assert ((counts - expected) ** 2 / np.maximum(expected, 1)).sum() < 50


@DOMAINS
def test_a_new_flow_is_uniform_and_edges_are_safe(domain: Any) -> None:
    permutation: Any = "soft" if domain == "real" else "none"
    flow = coupling_spline(2, layers=2, hidden=(8,), bins=4, domain=domain, permutation=permutation, seed=0)
    q = FlowProposal(flow)
    corners = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 1.0], [0.3, 0.2]])
    np.testing.assert_allclose(q.density(corners), 1, rtol=1e-4)
    assert q.density(np.array([[1.5, 0.5]])).tolist() == [0]
    x, jacobian = q.map(corners)
    assert ((x >= 0) & (x <= 1)).all()
    np.testing.assert_allclose(jacobian, 1, rtol=1e-4)


def test_state_rebuilds_the_proposal() -> None:
    q = proposal(dtype=torch.float32)
    again = rebuild(q.kind, q.state())
    x = np.random.default_rng(6).random((100, 2))
    np.testing.assert_array_equal(again.density(x), q.density(x))


def test_latent_proposal_multiplies_densities() -> None:
    grid = VegasMap(2, edges=np.array([[0.0, 0.2, 1.0], [0.0, 0.7, 1.0]]))
    q = LatentProposal(proposal(), grid)
    x, density = q.sample(2000, np.random.default_rng(8))
    np.testing.assert_allclose(q.density(x), density, rtol=1e-5)
    again = rebuild(q.kind, q.state())
    np.testing.assert_allclose(again.density(x), q.density(x), rtol=1e-12)
    uniform = q.density(np.random.default_rng(9).random((100_000, 2)))
    assert abs(uniform.mean() - 1) < 5 * uniform.std() / len(uniform) ** 0.5 < 0.1  # false alarm 6e-7


def test_a_flow_with_context_is_refused() -> None:
    with pytest.raises(InputError, match="context"):
        FlowProposal(coupling_spline(2, context=1, layers=2, hidden=(8,), domain="real"))


@DOMAINS
def test_integral_of_a_function_that_ends_at_the_edges(domain: Any) -> None:
    """x exp(3 x y): largest in a corner, where it ends. Pull below 4.5, a false-alarm rate of 7e-6."""
    settings = FlowSettings(layers=4, hidden=(16,), stages=3, steps=60, domain=domain)
    result = Integrator(2, seed=1, method="flow", settings=settings).integrate(
        lambda u: u[:, 0] * np.exp(3 * u[:, 0] * u[:, 1]), calls=20_000
    )
    exact = (np.exp(3) - 1) / 9 - 1 / 3  # int x (e^(3x) - 1) / (3x) dx
    assert abs(float(result.mean) - exact) < 4.5 * float(result.sdev)
    assert float(result.sdev) < 1e-3 * exact
    assert result.sampler is not None
    assert result.sampler.unweighting_efficiency(20_000) > 0.8
