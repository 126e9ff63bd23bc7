"""The integrand wrapper: shapes, chunks, workers, Dask, values that are not finite."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.integration import Integrand, Vegas

X = np.random.default_rng(0).random((100, 3))


def product(x):
    return x.prod(axis=-1)


def peak(x):
    """Of this module: functions inside lhcflow's carry shape checks, which can't be pickled."""
    return np.exp(-20 * (x - x[..., ::-1] / 2) ** 2).prod(axis=-1)


def test_batch_point_and_torch_functions_agree():
    expected = X.prod(axis=1)
    np.testing.assert_allclose(Integrand(product, 3)(X), expected)
    np.testing.assert_allclose(Integrand(product, 3, batch=False)(X), expected)
    np.testing.assert_allclose(Integrand(lambda x: x.prod(-1), 3, torch=True)(X), expected)
    np.testing.assert_allclose(Integrand(lambda x: x.prod(-1), 3, torch=True, batch=False)(X), expected)


def test_calls_chunks_and_components():
    sizes = []

    def f(x):
        sizes.append(len(x))
        return np.stack([x[:, 0], x[:, 1]], axis=1)

    integrand = Integrand(f, 3, chunk=30)
    assert integrand(X).shape == (100, 2)
    assert sizes == [30, 30, 30, 10]
    assert (integrand.calls, integrand.components) == (100, 2)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:5, 0], "shape"),
        (lambda x: 1.0, "batch=False"),
        (lambda x: np.zeros((len(x), 2, 2)), "shape"),
        (lambda x: ["a"] * len(x), "real numbers"),
    ],
)
def test_wrong_values(function, message):
    with pytest.raises(InputError, match=message):
        Integrand(function, 3)(X)


def test_wrong_arguments():
    with pytest.raises(InputError, match="function"):
        Integrand(3, 3)
    with pytest.raises(InputError, match="workers"):
        Integrand(product, 3, workers=0)
    with pytest.raises(InputError, match="points of shape"):
        Integrand(product, 2)(X)
    with pytest.raises(InputError, match="tensor"):
        Integrand(lambda x: 1.0, 3, torch=True)(X)


def test_components_may_not_change():
    integrand = Integrand(lambda x: x if len(x) > 50 else x[:, 0], 3)
    integrand(X)
    with pytest.raises(InputError, match="changed"):
        integrand(X[:20])


def some_nan(x):
    return np.where(x[:, 0] < 0.1, np.nan, np.where(x[:, 0] > 0.9, np.inf, 1.0))


def test_values_that_are_not_finite_are_counted_and_said():
    integrand = Integrand(some_nan, 3)
    with pytest.warns(RuntimeWarning, match="NaN or infinite"):
        values = integrand(X)
    bad = ((X[:, 0] < 0.1) | (X[:, 0] > 0.9)).sum()
    assert integrand.nonfinite_count == bad > 0
    assert values.sum() == 100 - bad
    with pytest.raises(RunError, match="NaN or infinite"):
        Integrand(some_nan, 3, nonfinite="raise")(X)


def test_a_result_says_what_was_not_finite():
    with pytest.warns(RuntimeWarning, match="NaN or infinite"):
        result = Vegas(2, seed=0).integrate(some_nan, 20_000)
    assert "NaN or infinite" in result.warnings[0]
    assert result.mean == pytest.approx(0.8, abs=4 * result.sdev)


def test_results_do_not_depend_on_workers():
    one = Vegas(2, seed=3).integrate(peak, 60_000)
    with Integrand(product, 3, workers=2, chunk=7) as two, Integrand(product, 3, chunk=7) as single:
        np.testing.assert_array_equal(two(X), single(X))
    # A lambda goes to the workers too, by cloudpickle.
    with Integrand(lambda x: peak(x), 2, workers=2, chunk=1000) as g:
        assert Vegas(2, seed=3).integrate(g, 60_000).to_dict() == one.to_dict()
        assert g.calls == one.calls


def raise_value_error(x):
    raise ValueError("mistake in the integrand")


def test_errors_of_the_function_come_back():
    with Integrand(raise_value_error, 3, workers=2) as f, pytest.raises(ValueError, match="mistake"):
        f(X)


def test_without_cloudpickle_lambdas_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with Integrand(lambda x: x[:, 0], 3, workers=2) as f, pytest.raises(InputError, match="top of a module"):
        f(X)


def test_ctrl_c_ends_the_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal, sys, threading, time
            import numpy as np
            from lhcflow.integration import Integrand

            def slow(x):
                time.sleep(600)
                return x[:, 0]

            def quick(x):
                return x[:, 0]

            if __name__ == "__main__":
                # A background job inherits an ignored SIGINT.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                f = Integrand(slow, 2, workers=2, chunk=1)
                threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
                try:
                    f(np.zeros((4, 2)))
                except KeyboardInterrupt:
                    print("stopped")
            """
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.strip() == "stopped", done.stderr
    assert done.returncode == 0


def test_dask_gives_the_same():
    distributed = pytest.importorskip("distributed")
    expected = Vegas(2, seed=3).integrate(peak, 40_000)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        Integrand(peak, 2, client=client, chunk=1000) as g,
    ):
        assert Vegas(2, seed=3).integrate(g, 40_000).to_dict() == expected.to_dict()
