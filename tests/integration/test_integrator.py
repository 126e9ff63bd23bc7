"""The integrator: right integrals, honest errors, samplers; false-alarm rates are stated."""

import math

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.integration import FlowSettings, Integrator
from lhcflow.integration.buffer import SampleBuffer
from lhcflow.integration.flow_training import Training, stage_sizes, train_flow
from lhcflow.integration.grid_start import BINS, tempered_grid
from lhcflow.integration.testfunctions import camel, ring

SMALL = FlowSettings(layers=4, hidden=(24,), bins=8, stages=4, steps=40, batch=256)


def flow(dim: int, seed: int = 0) -> Integrator:
    return Integrator(dim, seed=seed, method="flow", settings=SMALL)


@pytest.fixture(scope="module")
def camel2():
    return flow(2).integrate(camel(2), calls=12_000)


def test_integral_within_its_error(camel2) -> None:
    """4.5 standard deviations: false alarm 7e-6. The error must be better than plain Monte Carlo's by 3."""
    assert abs(camel2.mean - camel(2).exact) < 4.5 * camel2.sdev
    assert camel2.sdev < 1.37 / 3 / math.sqrt(12_000)
    assert camel2.q > 1e-5
    assert camel2.warnings == ()


def test_budget_is_kept(camel2) -> None:
    assert 0.9 * 12_000 < camel2.calls <= 12_000


def test_sampler_belongs_to_the_result(camel2) -> None:
    x, w = camel2.sampler.sample(4000)
    assert abs(w.mean() - camel(2).exact) < 5 * w.std() / math.sqrt(4000)  # false alarm 6e-7
    assert camel2.sampler.unweighting_efficiency(4000) > 0.3
    assert 0.45 < w[x.sum(1) < 1].sum() / w.sum() < 0.55


def test_same_seed_same_result() -> None:
    f = camel(2)
    first, again, other = (flow(2, seed).integrate(f, calls=2000) for seed in (5, 5, 6))
    assert first.mean == again.mean
    assert first.sdev == again.sdev
    assert first.mean != other.mean


def test_hard_cuts() -> None:
    """A ring of ones and a hole of zeros; 4.5 standard deviations, false alarm 7e-6."""
    result = flow(2, 1).integrate(ring(), calls=10_000)
    assert abs(result.mean - ring().exact) < 4.5 * result.sdev
    assert result.sdev / result.mean < 0.98 / math.sqrt(10_000)


def test_vector_integrand_has_a_covariance() -> None:
    """The integral of x0 times the camel is half the camel's; correlations must make differences small."""
    f = camel(2)
    result = flow(2, 2).integrate(
        lambda x: f(x)[:, None] * np.stack([np.ones(len(x)), x[:, 0]], 1), calls=8000
    )
    assert result.mean.shape == (2,)
    assert result.covariance.shape == (2, 2)
    exact = np.array([f.exact, f.exact / 2])
    assert (np.abs(result.mean - exact) < 4.5 * result.sdev).all()
    assert result.covariance[0, 1] == pytest.approx(result.covariance[1, 0])


def test_negative_integrand() -> None:
    f = camel(2)
    result = flow(2, 3).integrate(lambda x: -f(x), calls=8000)
    assert abs(result.mean + f.exact) < 4.5 * result.sdev
    assert result.warnings == ()


def test_tolerance_ends_the_run() -> None:
    result = flow(2, 4).integrate(camel(2), calls=50_000, rtol=5e-3)
    assert result.sdev <= 5e-3 * result.mean
    assert result.calls < 25_000


@pytest.mark.parametrize("arguments", [{"calls": 10}, {"rtol": 0.0}, {"atol": -1.0}, {"cost": 0.0}])
def test_wrong_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Integrator(2).integrate(camel(2), **arguments)


def test_wrong_integrators() -> None:
    with pytest.raises(InputError):
        Integrator(0)
    with pytest.raises(InputError):
        Integrator(2, method="foam")  # type: ignore[arg-type]


def test_temperature_rises_to_one() -> None:
    """A peak of 1e-3 of the volume: the ladder starts below 1 and ends there."""
    training = Training(3, np.random.SeedSequence(1), SMALL)
    f = lambda x: np.exp(-((x - 0.4) ** 2).sum(1) / (2 * 0.03**2))  # noqa: E731
    train_flow(f, training, 6000)
    betas = [stage.beta for stage in training.history]
    assert betas[0] < 0.5
    assert betas == sorted(betas)
    assert betas[-1] == 1.0
    assert training.spread < 3  # 20 for uniform points
    assert len(training.buffer) == 6000


def test_stage_sizes_spend_all_calls() -> None:
    assert sum(stage_sizes(10_007, 8, 500)) == 10_007
    assert stage_sizes(100, 4, 0)[0] == 0


def test_grid_takes_narrow_peaks_only() -> None:
    """A resonance of width 1e-4 in the first variable, a slope in the second."""
    f = lambda x: (1 + x[:, 1]) / ((x[:, 0] - 0.3) ** 2 + 1e-8)  # noqa: E731
    buffer = SampleBuffer(2)
    grid = tempered_grid(f, buffer, 5000, np.random.default_rng(0))
    assert len(buffer) == 5000
    peak = np.diff(grid.edges[0]).argmin()
    assert grid.edges[0, peak] - 1e-3 < 0.3 < grid.edges[0, peak + 1] + 1e-3
    np.testing.assert_allclose(grid.edges[1], np.linspace(0, 1, BINS + 1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_camel_in_16_dimensions_keeps_both_peaks(seed: int) -> None:
    """The problem on which flows without a ladder of temperatures return half the integral."""
    f = camel(16)
    result = Integrator(16, seed=seed, method="flow").integrate(f, calls=100_000)
    assert abs(result.mean - f.exact) < 4.5 * result.sdev
    x, w = result.sampler.sample(50_000)
    assert 0.48 < w[x.sum(1) < 8].sum() / w.sum() < 0.52
