"""The VEGAS grid as a bijection, beside numpy's linear interpolation and the vegas package."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.flows import Flow, Uniform, VegasGrid, coupling_spline


def random_edges(dim: int, bins: int, seed: int = 0) -> torch.Tensor:
    widths = (
        torch.rand(dim, bins, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 4 + 1e-3
    )
    edges = torch.cat([torch.zeros(dim, 1, dtype=torch.float64), widths.cumsum(1)], 1)
    return edges / edges[:, -1:]


def test_it_is_numpys_interpolation() -> None:
    edges = random_edges(3, 20).float()
    grid = VegasGrid(3, edges=edges).double()
    x = torch.rand(400, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z, _ = grid(x)
    back, _ = grid.inverse(x)
    steps = np.linspace(0, 1, 21)
    for j in range(3):
        table = grid.edges[j].numpy()
        np.testing.assert_allclose(z[:, j].numpy(), np.interp(x[:, j].numpy(), table, steps), atol=1e-14)
        np.testing.assert_allclose(back[:, j].numpy(), np.interp(x[:, j].numpy(), steps, table), atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_edges_map_exactly(dtype: torch.dtype) -> None:
    bins = 16
    grid = VegasGrid(2, edges=random_edges(2, bins)).to(dtype)
    z, _ = grid(grid.edges.T.contiguous())
    steps = (torch.arange(bins + 1, dtype=dtype) / bins)[:, None].expand(-1, 2)
    assert torch.equal(z, steps)
    x, _ = grid.inverse(steps.contiguous())
    assert torch.equal(x, grid.edges.T)


def test_beyond_the_grid_points_stay_outside() -> None:
    grid = VegasGrid(1, edges=torch.tensor([[0.0, 0.1, 1.0]]))
    z, _ = grid(torch.tensor([[-0.2], [1.9]]))
    assert z.flatten().tolist() == pytest.approx([-1.0, 1.5])
    flow = Flow([grid], Uniform(1))
    assert (flow.log_prob(torch.tensor([[-0.2], [1.9]])) == -np.inf).all()


def test_equal_bins_are_the_identity() -> None:
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    z, log_det = VegasGrid(2, bins=64)(x)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_det, torch.zeros(100), atol=1e-5, rtol=0)


def test_map_and_jacobian_are_those_of_the_vegas_package() -> None:
    vegas = pytest.importorskip("vegas")
    edges = random_edges(2, 12)
    theirs = vegas.AdaptiveMap([list(row) for row in edges.numpy()])
    grid = VegasGrid(2, edges=edges).double()
    with torch.no_grad():
        grid.edges.copy_(edges)
    y = torch.rand(200, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x, jacobian = np.empty((200, 2)), np.empty(200)
    theirs.map(y.numpy(), x, jacobian)
    ours, log_det = grid.inverse(y)
    np.testing.assert_allclose(ours.numpy(), x, atol=1e-14)
    np.testing.assert_allclose(log_det.exp().numpy(), jacobian, rtol=1e-12)


def test_a_flow_on_a_grid_starts_with_the_grids_density() -> None:
    edges = random_edges(2, 8).float()
    flow = coupling_spline(2, layers=2, hidden=(8,), grid=edges)
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    index = [np.searchsorted(edges[j].numpy(), x[:, j].numpy(), side="right") - 1 for j in range(2)]
    widths = edges.diff(dim=1).numpy()
    expected = -np.log(8 * widths[0][index[0]]) - np.log(8 * widths[1][index[1]])
    np.testing.assert_allclose(flow.log_prob(x).detach().numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (torch.tensor([[0.0, 0.5, 0.5, 1.0]]), "strictly increase"),
        (torch.tensor([[0.0, 1.0], [0.0, 1.0]]), r"shape \(1, bins \+ 1\), got \(2, 2\)"),
        (torch.tensor([0.0, 1.0]), r"got \(2,\)"),
        (torch.tensor([[0.0]]), r"got \(1, 1\)"),
        (torch.tensor([[0.0, float("nan")]]), "strictly increase"),
    ],
)
def test_wrong_edges(edges: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        VegasGrid(1, edges=edges)


def test_wrong_bins() -> None:
    with pytest.raises(InputError, match="bins >= 1"):
        VegasGrid(1, bins=0)
