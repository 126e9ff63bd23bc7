"""Batches from memory."""

import numpy as np
import pytest
import torch

from lhcflow import InputError
from lhcflow.training import Batches


def test_every_row_once_per_epoch_and_rows_stay_together():
    x = torch.arange(103)
    batches = Batches((x, None, 10 * x), batch_size=20, seed=4)
    orders = []
    for epoch in (0, 1):
        parts = list(batches.epoch(epoch))
        assert [len(p[0]) for p in parts] == [20] * 5 + [3]
        assert batches.count(epoch) == len(parts)
        assert all(p[1] is None and torch.equal(p[2], 10 * p[0]) for p in parts)
        orders.append(torch.cat([p[0] for p in parts]))
        assert torch.equal(orders[-1].sort().values, x)
        assert not torch.equal(orders[-1], x)
    assert not torch.equal(*orders)


def test_the_order_is_uniform():
    """First place of 10 rows over 2000 epochs: chi2 with 9 degrees of freedom; false-alarm rate 1e-6."""
    batches = Batches(torch.arange(10), batch_size=1)
    first = [int(next(batches.epoch(epoch))[0]) for epoch in range(2000)]
    counts = np.bincount(first, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 45.1


def test_an_epoch_can_be_entered_anywhere_with_the_same_noise():
    def noisy(batch, generator):
        return (batch[0] + torch.rand(batch[0].shape, generator=generator, dtype=torch.float64),)

    batches = Batches(torch.arange(50, dtype=torch.float64), 8, seed=1, transform=noisy)
    whole = [b[0] for b in batches.epoch(3)]
    part = [b[0] for b in batches.epoch(3, start=4)]
    assert all(torch.equal(a, b) for a, b in zip(whole[4:], part, strict=True))
    noise = torch.cat(whole) % 1
    assert len(noise.unique()) == 50
    other = torch.cat([b[0] for b in batches.epoch(2)]) % 1
    assert not np.isin(noise.numpy(), other.numpy()).any()


def test_validation_noise_is_the_same_every_time():
    def noisy(batch, generator):
        return (batch[0] + torch.rand(batch[0].shape, generator=generator),)

    batches = Batches(torch.arange(50.0), 8, transform=noisy)
    a, b = (torch.cat([b[0] for b in batches.in_order(16)]) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(a.floor(), torch.arange(50.0))


def test_batch_sizes_may_change():
    batches = Batches(torch.arange(100), batch_size=lambda epoch: 10 * 2**epoch)
    assert [batches.count(epoch) for epoch in range(4)] == [10, 5, 3, 2]
    assert [len(b[0]) for b in batches.epoch(2)] == [40, 40, 20]
    with pytest.raises(InputError, match=r"batch size of epoch 1 must be >= 1"):
        Batches(torch.arange(3), lambda epoch: 1 - epoch).count(1)


def test_arrays_are_taken_and_nonsense_is_not():
    (x,) = next(Batches(np.arange(4.0)[:, None], 4).epoch(0))
    assert x.shape == (4, 1)
    assert x.dtype == torch.float64
    for bad in (torch.zeros(0, 2), (None,), (), torch.tensor(1.0)):
        with pytest.raises(InputError, match="there is no data"):
            Batches(bad)
    with pytest.raises(InputError, match=r"different numbers of rows: \[3, 4\]"):
        Batches((torch.zeros(3), torch.zeros(4)))
