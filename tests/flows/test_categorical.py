"""Discrete variables and mixed flows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from lhcflow import InputError
from lhcflow.flows import AutoregressiveCategorical, MixedFlow, coupling_spline

CATEGORIES = (3, 2, 4)


@pytest.fixture
def head(randomize) -> AutoregressiveCategorical:
    torch.manual_seed(0)
    return randomize(AutoregressiveCategorical(CATEGORIES, context=2, hidden=(8,)), size=0.5).double()


def every_value() -> torch.Tensor:
    return torch.tensor(list(product(*(range(size) for size in CATEGORIES))))


CONTEXT = torch.tensor([[0.3, -1.0]], dtype=torch.float64)


def test_probabilities_sum_to_one(head: AutoregressiveCategorical) -> None:
    values = every_value()
    probabilities = head.log_prob(values, CONTEXT.expand(len(values), -1)).exp().detach()
    assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-12)
    assert float(probabilities.max() / probabilities.min()) > 2  # the weights are not the initial ones
    other = head.log_prob(values, -CONTEXT.expand(len(values), -1)).exp()
    assert not torch.allclose(probabilities, other)


def test_later_variables_depend_on_earlier_ones_and_not_the_other_way_round(head) -> None:
    values = every_value()
    p = head.log_prob(values, CONTEXT.expand(len(values), -1)).exp().detach().reshape(CATEGORIES)
    conditional = p.sum(2) / p.sum((1, 2))[:, None]
    assert not torch.allclose(conditional[0], conditional[1])
    # The first factor alone is the marginal.
    first = head.networks[0](torch.zeros(1, 0, dtype=torch.float64), CONTEXT).softmax(-1)[0]
    torch.testing.assert_close(p.sum((1, 2)), first)


def test_samples_follow_the_probabilities(head: AutoregressiveCategorical) -> None:
    n = 20_000
    values = every_value()
    expected = n * head.log_prob(values, CONTEXT.expand(len(values), -1)).exp().detach().numpy()
    c = head.sample(n, CONTEXT.expand(n, -1), generator=torch.Generator().manual_seed(0)).numpy()
    counts = np.bincount(np.ravel_multi_index(c.T, CATEGORIES), minlength=len(expected))
    assert stats.chisquare(counts, expected).pvalue > 1e-4  # false alarm: 1e-4


def test_a_new_head_is_uniform_and_needs_no_context() -> None:
    head = AutoregressiveCategorical((4, 5))
    c = torch.tensor([[0, 0], [3, 4]])
    torch.testing.assert_close(head.log_prob(c), -torch.log(torch.tensor([20.0, 20.0])))
    one, two = (head.sample(9, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert head.sample(0).shape == (0, 2)
    assert head.log_prob(torch.empty(0, 2, dtype=torch.long)).shape == (0,)


def test_maximum_likelihood_learns_frequencies() -> None:
    head = AutoregressiveCategorical((3,))
    c = torch.tensor([[0]] * 6 + [[1]] * 3 + [[2]])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(200):
        loss = -head.log_prob(c).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    probabilities = head.log_prob(torch.tensor([[0], [1], [2]])).exp()
    torch.testing.assert_close(probabilities, torch.tensor([0.6, 0.3, 0.1]), atol=2e-3, rtol=0)


def test_mixed_flow_integrates_to_one_and_samples_what_it_says(randomize) -> None:
    torch.manual_seed(0)
    head = AutoregressiveCategorical((2, 2), hidden=(8,))
    flow = coupling_spline(1, context=head.features, layers=2, hidden=(16,), bins=5)
    mixed = randomize(MixedFlow(head, flow), size=0.3).double()
    n = 1000
    x = (torch.arange(n, dtype=torch.float64)[:, None] + 0.5) / n
    total, means = 0.0, {}
    with torch.no_grad():
        for value in product(range(2), range(2)):
            density = mixed.log_prob(torch.tensor([value]).expand(n, -1), x).exp()
            total += float(density.mean())
            means[value] = (float(density.mean()), float((density * x[:, 0]).sum() / density.sum()))
    assert total == pytest.approx(1.0, abs=1e-4)
    c, drawn = mixed.sample(20_000, generator=torch.Generator().manual_seed(0))
    for value, (probability, mean) in means.items():
        rows = (c == torch.tensor(value)).all(1)
        # Pulls beyond 5 have a chance of 6e-7 each.
        spread = np.sqrt(probability * (1 - probability) / 20_000)
        assert abs(float(rows.double().mean()) - probability) < 5 * spread
        values = drawn[rows, 0]
        assert abs(float(values.mean()) - mean) < 5 * float(values.std()) / np.sqrt(int(rows.sum()))
    spread_of_means = max(m for _, m in means.values()) - min(m for _, m in means.values())
    assert spread_of_means > 0.02  # x depends on c


def test_mixed_flow_with_context_needs_a_flow_that_takes_both() -> None:
    head = AutoregressiveCategorical((3,), context=2)
    with pytest.raises(InputError, match="the flow needs context=5"):
        MixedFlow(head, coupling_spline(2, context=3, layers=1, hidden=(4,)))
    mixed = MixedFlow(head, coupling_spline(2, context=5, layers=1, hidden=(4,)))
    c, x = mixed.sample(7, torch.zeros(7, 2))
    assert mixed.log_prob(c, x, torch.zeros(7, 2)).shape == (7,)


def test_wrong_input() -> None:
    head = AutoregressiveCategorical((3, 2))
    with pytest.raises(InputError, match="c must lie between 0"):
        head.log_prob(torch.tensor([[0, 2]]))
    with pytest.raises(InputError, match="c must lie between 0"):
        head.log_prob(torch.tensor([[-1, 0]]))
    with pytest.raises(InputError, match=r"c must have shape \(n, 2\), got \(1, 3\)"):
        head.log_prob(torch.tensor([[0, 0, 0]]))
    with pytest.raises(InputError, match="takes context=0, got 1 features"):
        head.sample(2, torch.zeros(2, 1))
    with pytest.raises(InputError, match="one or more numbers >= 1"):
        AutoregressiveCategorical(())
