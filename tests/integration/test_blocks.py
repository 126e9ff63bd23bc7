"""Unweighting in blocks. Statistical tests allow 4.5 standard deviations."""

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.integration import Sampler, Uniform
from lhcflow.integration.blocks import unweight_in_blocks, unweighted_blocks

N = 25_000


def slope(x):
    return 2 * x[:, 0]


def unweighted(seed=1, n=N, function=slope, **options):
    sequence = np.random.SeedSequence(seed)
    return unweight_in_blocks(Sampler(Uniform(1), function), n, 1e-3, sequence, **options)


def test_points_follow_the_function_and_the_seed():
    seen = []
    points = unweighted(progress=lambda done, n: seen.append((done, n)))
    assert len(points) == N
    assert seen == [(0, N), (10_000, N), (20_000, N), (N, N)]
    assert abs(points.x.mean() - 2 / 3) < 4.5 * (1 / 18 / N) ** 0.5
    assert points.efficiency == pytest.approx(0.5, abs=0.02)
    assert points.overweight < 5e-3
    np.testing.assert_array_equal(unweighted().x, points.x)
    assert (unweighted(seed=2).x != points.x).any()
    assert len(np.unique(points.x)) == N  # no block repeats another


def test_processes_make_the_same_points():
    np.testing.assert_array_equal(unweighted(workers=2).x, unweighted().x)


def test_a_cluster_makes_the_same_points():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        np.testing.assert_array_equal(unweighted(client=client).x, unweighted().x)


def test_finished_blocks_are_not_made_again(tmp_path):
    calls = []

    def counted(done, n):
        calls.append(done)

    first = unweighted(folder=tmp_path)
    (tmp_path / "block-000001.npz").write_bytes(b"cut off")
    (tmp_path / "block-000002.npz").unlink()
    again = unweighted(folder=tmp_path, progress=counted)
    assert calls == [10_000, 20_000, N]
    np.testing.assert_array_equal(again.x, first.x)
    assert again.trials == first.trials
    with pytest.raises(RunError, match="another run"):
        unweighted(seed=3, folder=tmp_path)


def test_functions_that_cannot_travel():
    assert len(unweighted(function=lambda x: x[:, 0])) == N
    with pytest.raises(InputError, match="can't be sent"):
        unweighted(function=lambda x: x[:, 0], workers=2)


def test_points_do_not_depend_on_how_many_there_are(tmp_path):
    """The first points, any part of them, and those from files are the same."""
    points = unweighted()
    for n, first in ((10, 0), (1001, 0), (700, 9800), (5, 24_000)):
        part = unweighted(n=n, first=first)
        np.testing.assert_array_equal(part.x, points.x[first : first + n])
        np.testing.assert_array_equal(part.weight, points.weight[first : first + n])
    np.testing.assert_array_equal(unweighted(n=700, first=9800, folder=tmp_path).x, points.x[9800:10_500])


def test_blocks_know_their_sum_without_being_read(tmp_path):
    sampler, seed = Sampler(Uniform(1), slope), np.random.SeedSequence(1)
    found = unweighted_blocks(sampler, N, 0.2, seed, folder=tmp_path)
    weights = unweight_in_blocks(sampler, N, 0.2, seed).weight
    assert weights.max() > 1.1
    assert found.sum == pytest.approx(weights.sum(), rel=1e-12)
    assert found.largest == weights.max()
    assert [number for number, *_ in found.groups()] == list(range(25))
    (tmp_path / "block-000001.npz").unlink()
    with pytest.raises(RunError, match="removed or damaged"):
        list(found.groups())
