import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.plotting.histogram import histogram


def test_density_and_errors_by_hand():
    h = histogram([0.1, 0.2, 0.7, 1.5], [0.0, 0.5, 1.0], weights=[1.0, 2.0, 3.0, 4.0])
    # Sum of weights 10, bins of width 0.5; the entry outside still counts in the normalisation.
    np.testing.assert_allclose(h.values, [3 / 10 / 0.5, 3 / 10 / 0.5])
    np.testing.assert_allclose(h.errors, [np.sqrt(5) / 5, 3 / 5])


def test_total_is_the_integral():
    x = np.random.default_rng(0).random(1000)
    h = histogram(x, np.linspace(0, 1, 8), total=42.0)
    assert np.sum(h.values * np.diff(h.edges)) == pytest.approx(42.0)


def test_errors_are_the_spread_of_repetitions():
    rng = np.random.default_rng(1)
    runs = [histogram(rng.random(400) ** 2, [0, 0.25, 1], weights=np.full(400, 3.0)) for _ in range(400)]
    spread = np.std([h.values for h in runs], axis=0)
    # Poisson errors ignore that the total is fixed: the true spread is smaller by sqrt(1 - share), and
    # both shares are 1/2. The spread of 400 runs is known to 3.5 %, 5 sigma = 18 %.
    np.testing.assert_allclose(spread / np.mean([h.errors for h in runs], axis=0), np.sqrt(0.5), rtol=0.18)


def test_ratio_leaves_empty_bins_out():
    a = histogram([0.1, 0.7], [0, 0.5, 1])
    b = histogram([0.1, 0.2], [0, 0.5, 1])
    np.testing.assert_allclose(a.ratio(b).values, [0.5, np.nan])


@pytest.mark.parametrize(
    ("x", "weights", "message"),
    [([[1.0]], None, r"shape \(n,\)"), ([1.0, 2.0], [1.0], r"shape \(n,\)"), ([1.0], [-1.0], "positive sum")],
)
def test_wrong_input(x, weights, message):
    with pytest.raises(InputError, match=message):
        histogram(x, [0, 1], weights)
