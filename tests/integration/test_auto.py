"""The choice between VEGAS+ and the flow."""

import numpy as np
import pytest

from lhcflow.integration import FlowSettings, Integrator, Vegas
from lhcflow.integration.auto import Choice
from lhcflow.integration.buffer import SampleBuffer
from lhcflow.integration.evaluate import Integrand
from lhcflow.integration.pilot import _recorded, run_pilot
from lhcflow.integration.results import Result
from lhcflow.integration.task import Task
from lhcflow.integration.testfunctions import camel, polynomial

SMALL = FlowSettings(layers=4, hidden=(24,), bins=8, stages=4, steps=40, batch=256)


def task(rtol: float | None = None, cost: float | None = None, calls: int = 100_000) -> Task:
    integrand = Integrand(lambda x: np.ones(len(x)), 4)
    return Task(integrand, calls, rtol, None, cost, True, np.random.SeedSequence(0).spawn(4), SMALL, 0)


def auto(dim: int, seed: int = 0) -> Integrator:
    return Integrator(dim, seed=seed, method="auto", settings=SMALL)


def test_few_calls_stay_with_vegas() -> None:
    result = auto(4).integrate(camel(4), calls=5000)
    assert result.method == "auto: VEGAS+"
    assert abs(result.mean - camel(4).exact) < 4.5 * result.sdev  # false alarm 7e-6


def test_easy_integrals_stay_with_vegas() -> None:
    result = auto(4).integrate(polynomial(4), calls=30_000, rtol=5e-3)
    assert result.method == "auto: VEGAS+"
    assert result.sdev <= 5e-3 * result.mean
    assert result.calls < 10_000


def test_cheap_integrands_stay_with_vegas_if_time_counts() -> None:
    result = auto(6).integrate(camel(6), calls=20_000, cost=1e-9)
    assert result.method == "auto: VEGAS+"


def test_the_first_iterations_are_the_flow_s_first_points() -> None:
    """The buffer's mixture must be what VEGAS+ drew from: then 1/Q and f/Q have the right means.

    Within 5 standard deviations of independent points, strata make them smaller: false alarm below 6e-7.
    """
    f = camel(3)
    integrand = Integrand(f, 3)
    job = Task(integrand, 40_000, None, None, None, True, np.random.SeedSequence(0).spawn(4), SMALL, 0)
    vegas, buffer = Vegas(3, seed=2), SampleBuffer(3)
    estimates = [_recorded(job, vegas, 10_000, buffer) for _ in range(3)]
    assert len(buffer) == integrand.calls == sum(e.calls for e in estimates)
    for values, exact in ((np.ones(len(buffer)), 1.0), (np.exp(buffer.log_f), f.exact)):
        w = values / np.exp(buffer.log_density)
        assert abs(w.mean() - exact) < 5 * w.std() / np.sqrt(len(w))


def test_hard_integrals_get_the_flow() -> None:
    """Correlated peaks in 6 dimensions: the error must be well below that of VEGAS+ with the same calls."""
    f = camel(6)
    result = auto(6).integrate(f, calls=30_000)
    vegas = Integrator(6, method="vegas").integrate(f, calls=30_000)
    assert result.method == "auto: flow"
    assert abs(result.mean - f.exact) < 4.5 * result.sdev  # false alarm 7e-6
    assert result.sdev < 0.5 * vegas.sdev
    assert result.calls <= 30_000


@pytest.mark.parametrize(
    ("calls", "training", "size"),
    [
        (20_000, 8000, 400),
        (200_000, 80_000, 4000),
        (2_000_000, 200_000, 10_000),
        (20_000_000, 1_000_000, 50_000),
    ],
)
def test_pilot_leaves_the_training_to_the_flow(calls: int, training: int, size: int) -> None:
    job = task(calls=calls)
    pilot = run_pilot(job, least=20)
    assert len(pilot.buffer) <= 0.1 * job.training_calls + 2
    assert (job.training_calls, pilot.size) == (training, size)


def test_auto_is_the_flow_where_it_takes_the_flow() -> None:
    """With the same seed the chosen method gives its own numbers, to the last bit."""
    f = camel(6)
    chosen = auto(6, 4).integrate(f, calls=25_000)
    assert chosen.method == "auto: flow"
    assert chosen.mean == Integrator(6, seed=4, method="flow", settings=SMALL).integrate(f, calls=25_000).mean


def test_the_better_error_wins_and_time_is_weighed() -> None:
    choice = Choice(task(), spread=1.0, size=100_000)
    assert choice.flow_is_better(0.5, seconds_per_point=1.0)
    assert not choice.flow_is_better(1.5, seconds_per_point=0.0)
    slow = Choice(task(cost=1e-6), spread=1.0, size=100_000)
    assert not slow.flow_is_better(0.5, seconds_per_point=1e-5)
    assert slow.flow_is_better(0.2, seconds_per_point=1e-5)


def test_no_flow_where_vegas_is_nearly_done() -> None:
    assert not Choice(task(rtol=1e-2), spread=0.5, size=100_000).flow_may_pay()
    assert Choice(task(rtol=1e-4), spread=0.5, size=100_000).flow_may_pay()
    assert not Choice(task(), spread=0.01, size=100_000).flow_may_pay()


def test_pilot_warns_of_what_the_flow_has_not() -> None:
    pilot = run_pilot(task(), least=20)  # of the constant 1
    less, near, more = (
        Result(mean, 1e-4, np.array([[1e-8]]), 0.0, 0, 1.0, 1000) for mean in (0.5, 0.97, 1.5)
    )
    assert "possibly a lost mode" in pilot.warnings(less)[0]
    assert pilot.warnings(near) == ()
    assert pilot.warnings(more) == ()
