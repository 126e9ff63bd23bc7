"""Integrations that are stopped anywhere and go on: the same numbers, and nothing evaluated twice."""

from dataclasses import replace

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.integration import FlowSettings, Integrator, journal
from lhcflow.integration.divergences import divergence_named
from lhcflow.integration.evaluate import Integrand
from lhcflow.integration.journal import CHECKED
from lhcflow.integration.testfunctions import camel

SMALL = FlowSettings(layers=4, hidden=(24,), bins=8, stages=3, steps=20, batch=(64, 256), growth=2.0)


class Stopped(Exception):
    """What Ctrl-C does, at a known place."""


class Counting:
    """A function that counts its points, and stops when it has seen enough of them."""

    def __init__(self, f, stop: float = np.inf) -> None:
        self.f, self.stop, self.points = f, stop, 0

    def __call__(self, x):
        if self.points + len(x) > self.stop:
            raise Stopped
        self.points += len(x)
        return self.f(x)


def run(f, method, calls, **options):
    integrand = Integrand(f, 2, chunk=100)  # parts of a batch are recorded as well
    integrator = Integrator(2, seed=3, method=method, settings=SMALL)
    return integrator.integrate(integrand, calls=calls, **options)


@pytest.mark.parametrize(("method", "calls"), [("vegas", 8000), ("flow", 6000), ("auto", 24_000)])
def test_stopped_twice_and_resumed(method, calls, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(journal, "SECONDS", 0.0)  # a record after every 100 points
    f = camel(2)
    expected = run(f, method, calls)
    points, again = 0, 0
    for share in (0.15, 0.6):
        counting = Counting(f, stop=share * calls - points + again)
        with pytest.raises(Stopped):
            run(counting, method, calls, checkpoint=tmp_path / "c", resume=True)
        points += counting.points - again
        again = CHECKED  # a resumed integration evaluates a few points of its first record again
    counting = Counting(f)
    result = run(counting, method, calls, checkpoint=tmp_path / "c", resume=True)
    assert result.to_dict() == expected.to_dict()
    assert points + counting.points - again == result.calls
    x, w = result.sampler.sample(100)
    y, v = expected.sampler.sample(100)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(w, v)


def test_finished_integration_evaluates_nothing(tmp_path) -> None:
    f = camel(2)
    first = run(f, "flow", 3000, checkpoint=tmp_path / "c")
    again = run(Counting(f, stop=CHECKED), "flow", 3000, checkpoint=tmp_path / "c", resume=True)
    assert again.to_dict() == first.to_dict()


def test_vectors_and_values_that_are_not_finite(tmp_path) -> None:
    def f(x):
        return np.where(x[:, :1] < 0.01, np.nan, x)

    with pytest.warns(RuntimeWarning, match="NaN or infinite"):
        first = run(f, "vegas", 2000, checkpoint=tmp_path / "c")
    with pytest.warns(RuntimeWarning, match="NaN or infinite"):
        again = run(Counting(f, stop=CHECKED), "vegas", 2000, checkpoint=tmp_path / "c", resume=True)
    assert again.mean.shape == (2,)
    assert again.to_dict() == first.to_dict()
    assert "NaN or infinite" in again.warnings[-1]


def test_a_fresh_start_removes_old_records(tmp_path) -> None:
    run(camel(2), "vegas", 2000, checkpoint=tmp_path / "c")
    counting = Counting(camel(2))
    result = run(counting, "vegas", 2000, checkpoint=tmp_path / "c")
    assert counting.points == result.calls


def test_records_of_another_integration(tmp_path) -> None:
    run(camel(2), "flow", 3000, checkpoint=tmp_path / "c")
    with pytest.raises(InputError, match="calls was 3000, is now 4000"):
        run(camel(2), "flow", 4000, checkpoint=tmp_path / "c", resume=True)
    # Integrands are told apart by values on record.
    with pytest.raises(InputError, match="other values now"):
        run(lambda x: 1.001 * camel(2)(x), "flow", 3000, checkpoint=tmp_path / "c", resume=True)
    # The points of the second stage depend on the values of the first.
    changed = [camel(2), lambda x: x[:, 0] ** 4]
    records = sorted((tmp_path / "c").iterdir())
    records[2].unlink()
    once = iter([changed[0], *[changed[1]] * 1000])
    with pytest.raises(InputError, match="took another way"):
        run(lambda x: next(once)(x), "flow", 3000, checkpoint=tmp_path / "c", resume=True)


def test_rounding_is_no_other_integrand(tmp_path) -> None:
    single = run(lambda x: camel(2)(x).astype(np.float32), "vegas", 2000, checkpoint=tmp_path / "c")
    again = run(camel(2), "vegas", 2000, checkpoint=tmp_path / "c", resume=True)
    assert again.to_dict() == single.to_dict()


def test_nothing_is_written_before_the_first_value(tmp_path) -> None:
    def broken(x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(broken, "vegas", 2000, checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_divergence_given_as_a_function_is_known_by_its_name(tmp_path) -> None:
    """Another process has the same function at another address."""

    def resumed(divergence) -> float:
        settings = replace(SMALL, divergence=divergence)
        integrator = Integrator(2, seed=3, method="flow", settings=settings)
        return integrator.integrate(camel(2), calls=3000, checkpoint=tmp_path / "c", resume=True).mean

    assert resumed(divergence_named("chernoff", alpha=0.3)) == resumed(
        divergence_named("chernoff", alpha=0.3)
    )
    with pytest.raises(InputError, match="settings"):
        resumed(divergence_named("chernoff", alpha=0.4))


def test_bad_folders(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        run(camel(2), "vegas", 2000, checkpoint=tmp_path / "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"holds thesis\.tex"):
        run(camel(2), "vegas", 2000, checkpoint=tmp_path / "mine")
    with pytest.raises(InputError, match="resume needs the folder"):
        run(camel(2), "vegas", 2000, resume=True)
    damaged = tmp_path / "damaged"
    run(camel(2), "vegas", 2000, checkpoint=damaged)
    record = damaged / "000002.safetensors"
    record.write_bytes(record.read_bytes()[:50])
    with pytest.raises(InputError, match=r"000002\.safetensors"):
        run(camel(2), "vegas", 2000, checkpoint=damaged, resume=True)


def test_schedules_of_batches_and_stages() -> None:
    assert [SMALL.batch_size(p) for p in (0.0, 0.5, 1.0)] == [64, 128, 256]
    assert FlowSettings(batch=100).batch_size(0.7) == 100
    with pytest.raises(InputError, match="growth"):
        FlowSettings(growth=0.0)
    with pytest.raises(InputError, match="batch"):
        FlowSettings(batch=(0, 10))
