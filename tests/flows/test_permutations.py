"""Permutations and learnable rotations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.transform import Rotation

from lhcflow import InputError
from lhcflow.flows import Permutation, SoftPermutation
from lhcflow.flows.permutations import exponential


def test_orders() -> None:
    x = torch.tensor([[10.0, 11.0, 12.0]])
    assert Permutation(3, [2, 0, 1])(x)[0].tolist() == [[12.0, 10.0, 11.0]]
    assert Permutation(3, [2, 0, 1]).inverse(x)[0].tolist() == [[11.0, 12.0, 10.0]]
    assert Permutation.reverse(3)(x)[0].tolist() == [[12.0, 11.0, 10.0]]


def test_random_permutations_follow_the_seed() -> None:
    orders = [Permutation.random(20, seed).config()["order"] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(20))


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [1, 2, 3]])
def test_an_order_must_be_a_permutation(order: list[int]) -> None:
    with pytest.raises(InputError, match=r"order must be a permutation of 0\.\.2"):
        Permutation(3, order)


def test_rotation_is_that_of_scipy() -> None:
    soft = SoftPermutation(3).double()
    vector = np.array([0.3, -0.7, 1.1])
    # The lower triangle of the cross-product matrix of v is (v_z, -v_y, v_x).
    with torch.no_grad():
        soft.angles.copy_(torch.tensor([vector[2], -vector[1], vector[0]]))
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(soft.rotation().detach().numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("dim", [1, 2, 7, 30])
def test_rotations_are_orthogonal_and_random_ones_follow_the_seed(dim: int) -> None:
    one, two, other = (SoftPermutation(dim, seed=seed).double() for seed in (3, 3, 4))
    rotation = one.rotation().detach()
    eye = torch.eye(dim, dtype=torch.float64)
    torch.testing.assert_close(rotation @ rotation.T, eye, atol=1e-12, rtol=0)
    assert float(torch.linalg.det(rotation)) == pytest.approx(1.0)
    assert torch.equal(rotation, two.rotation().detach())
    assert dim == 1 or not torch.allclose(rotation, other.rotation())
    assert torch.equal(SoftPermutation(dim).rotation(), torch.eye(dim))


def test_exponential_without_waiting_for_the_device() -> None:
    """What CUDA takes, against torch, with its gradient; rotations by up to pi in all planes."""
    for dim in (2, 13):
        matrix = torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
        skew = ((matrix - matrix.T) * np.pi / (matrix - matrix.T).abs().sum(0).max()).requires_grad_()
        found, expected = exponential(skew), torch.matrix_exp(skew)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        weight = torch.linspace(-1, 1, dim, dtype=torch.float64)
        gradients = [torch.autograd.grad((m @ weight).pow(3).sum(), skew)[0] for m in (found, expected)]
        torch.testing.assert_close(*gradients, atol=1e-10, rtol=0)


@pytest.mark.parametrize("axis", [[1.0, 0.0, 0.0], [0.3, -0.2, 0.9]])
@pytest.mark.parametrize("angle", [0.0, 0.1, 3.0])
def test_set_rotation(axis: list[float], angle: float) -> None:
    wanted = torch.from_numpy(Rotation.from_rotvec(angle * np.array(axis)).as_matrix())
    soft = SoftPermutation(3, seed=1).double()
    soft.set_rotation(wanted)
    torch.testing.assert_close(soft.rotation(), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "matrix", [torch.eye(2), 2 * torch.eye(3), torch.diag(torch.tensor([1.0, 1.0, -1.0]))], ids=str
)
def test_what_is_no_rotation(matrix: torch.Tensor) -> None:
    with pytest.raises(InputError, match="a rotation in 3 dimensions is an orthogonal matrix"):
        SoftPermutation(3).set_rotation(matrix)


def test_random_rotations_have_no_preferred_direction() -> None:
    """The first column of a Haar rotation in 3 dimensions has uniform coordinates (Archimedes)."""
    columns = torch.stack([SoftPermutation(3, seed=s).rotation().detach()[:, 0] for s in range(150)]).numpy()
    for coordinate in columns.T:
        assert stats.kstest(coordinate, stats.uniform(-1, 2).cdf).pvalue > 1e-3  # false alarm: 3e-3


def test_on_the_cube_the_uniform_density_stays_uniform() -> None:
    """Independent of the log-determinant: map uniform points and look at their counts."""
    soft = SoftPermutation(3, "unit", seed=1).double()
    x = torch.rand(60_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        z, log_det = soft(x)
    assert (log_det == 0).all()
    counts, _ = np.histogramdd(z.numpy(), bins=6, range=[(0, 1)] * 3)
    expected = len(x) / 6**3
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(chi2, 6**3 - 1) > 1e-4  # false alarm: 1e-4
    assert (x - z).abs().mean() > 0.1  # and they did move


def test_on_the_cube_it_is_the_rotation_of_normal_quantiles() -> None:
    soft = SoftPermutation(2, "unit", seed=5).double()
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        z, rotation = soft(x)[0].numpy(), soft.rotation().numpy()
    np.testing.assert_allclose(z, stats.norm.cdf(stats.norm.ppf(x.numpy()) @ rotation.T), atol=1e-13)


def test_identity_at_the_start_keeps_the_cube_point_by_point() -> None:
    x = torch.tensor([[0.0, 1.0], [1e-30, 0.5], [0.3, 1 - 2**-24], [1.0, 1.0]])
    z, _ = SoftPermutation(2, "unit")(x)
    torch.testing.assert_close(z, x, atol=2e-7, rtol=0)


def test_points_outside_of_the_cube_stay_outside() -> None:
    soft = SoftPermutation(2, "unit", seed=0)
    x = torch.tensor([[1.5, 0.5], [0.5, -1e-3], [7.0, -7.0]])
    assert torch.equal(soft(x)[0], x)


@pytest.mark.parametrize("domain", ["real", "unit"])
def test_training_finds_a_hidden_rotation(domain: str) -> None:
    torch.manual_seed(0)
    target = SoftPermutation(3, domain, seed=2)  # type: ignore[arg-type]
    soft = SoftPermutation(3, domain)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(soft.parameters(), lr=0.03)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        uniform = torch.rand(128, 3, generator=generator)
        x = uniform if domain == "unit" else torch.special.ndtri(uniform.clamp(1e-4, 1 - 1e-4))
        loss = (soft(x)[0] - target(x)[0].detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(soft.rotation(), target.rotation(), atol=1e-3, rtol=0)


def test_unknown_domain() -> None:
    with pytest.raises(InputError, match="domain must be"):
        SoftPermutation(2, "torus")  # type: ignore[arg-type]
