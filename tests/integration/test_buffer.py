"""The buffer: balance heuristic, temperature."""

import numpy as np
import pytest

from lhcflow.integration import Uniform, VegasMap
from lhcflow.integration.buffer import SampleBuffer, effective_share

GRID = VegasMap(1, edges=np.array([[0.0, 0.2, 1.0]]))  # density 2.5 below 0.2, 0.625 above


def filled(f, sizes: tuple[int, int] = (4000, 12_000)) -> SampleBuffer:
    rng = np.random.default_rng(3)
    buffer = SampleBuffer(1)
    for proposal, size in zip((Uniform(1), GRID), sizes, strict=True):
        x, _ = proposal.sample(size, rng)
        buffer.add(x, f(x[:, 0]), proposal)
    return buffer


def test_mixture_density_is_the_average_of_the_proposals() -> None:
    buffer = filled(lambda x: x)
    expected = np.where(buffer.x[:, 0] < 0.2, 0.25 + 0.75 * 2.5, 0.25 + 0.75 * 0.625)
    np.testing.assert_allclose(np.exp(buffer.log_density), expected)


def test_integral_of_the_power() -> None:
    """int x^(2 beta) = 1 / (1 + 2 beta); within 5 standard deviations, false alarm 6e-7 each."""
    buffer = filled(lambda x: -(x**2))  # the sign does not matter
    for beta in (0.3, 1.0):
        w = np.exp(buffer.log_weights(beta))
        error = w.std() / len(w) ** 0.5
        assert abs(np.exp(buffer.log_integral(beta)) - 1 / (1 + 2 * beta)) < 5 * error


def test_zeros_have_no_weight_at_any_temperature() -> None:
    buffer = filled(lambda x: (x > 0.5).astype(float))
    for beta in (0.0, 0.5, 1.0):
        assert (np.isneginf(buffer.log_weights(beta)) == (buffer.x[:, 0] <= 0.5)).all()


def test_temperature_keeps_the_effective_share() -> None:
    buffer = filled(lambda x: np.exp(-((x - 0.7) ** 2) / 2e-4))
    beta = buffer.temperature(0.2)
    assert 0 < beta < 1
    assert buffer.effective_share(beta) == pytest.approx(0.2, abs=1e-3)
    assert filled(lambda x: 1 + x).temperature(0.2) == 1.0


def test_effective_share_counts_equal_weights() -> None:
    w = np.array([1.0, 1.0, 0.0, 0.0])
    with np.errstate(divide="ignore"):
        assert effective_share(np.log(w)) == pytest.approx(0.5)
        assert effective_share(np.log(np.zeros(3))) == 0.0
