"""`lhcflow integrate`: results, files, workers and what it refuses."""

import json

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.integration import Sampler
from lhcflow.integration.from_file import FileFunction

FUNCTION = """
import numpy as np
from beside import SCALE

def f(x):
    return SCALE * 4 * x[:, 0] * x[:, 1]

def point(x):
    return SCALE * 4 * float(x[0] * x[1])

def both(x):
    return np.stack([f(x), x[:, 0]], axis=1)
"""


STOPPING = """
from pathlib import Path

SEEN = 0

def f(x):
    global SEEN
    SEEN += len(x)
    if SEEN > 9000 and Path("stop").exists():
        raise KeyboardInterrupt
    return 4 * x[:, 0] * x[:, 1]
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("SCALE = 3.0\n")
    path = tmp_path / "my_integrand.py"
    path.write_text(FUNCTION)
    return path


def test_results_points_and_sampler(lhcflow, file, tmp_path):
    done = lhcflow(
        "integrate", f"{file}:f", "--dim", 2, "--method", "vegas", "--calls", 20_000, "--seed", 1,
        "--out", "run", "-n", 500, "--json", "r.json",
    )  # fmt: skip
    results = json.loads((tmp_path / "r.json").read_text())
    assert results == json.loads((tmp_path / "run" / "results.json").read_text())
    assert abs(results["mean"] - 3) < 4 * results["sdev"] < 0.1
    assert "chi2/dof" in done.stdout
    assert results["points"]["n"] == 500
    with np.load(tmp_path / "run" / "points.npz") as points:
        assert points["x"].shape == (500, 2)
        # The mean of x y / (1/4) has each coordinate's mean at 2/3; 5 sigma of 500 points.
        assert np.abs(points["x"].mean(axis=0) - 2 / 3).max() < 5 * 0.236 / np.sqrt(500)
    sampler = Sampler.load(tmp_path / "run" / "sampler.npz", FileFunction(f"{file}:f"))
    _, w = sampler.sample(10_000)
    assert w.mean() == pytest.approx(3, abs=5 * w.std() / 100)


def test_workers_and_points_give_the_same_numbers(lhcflow, file, tmp_path):
    common = ("--dim", 2, "--method", "vegas", "--calls", 20_000, "--quiet")
    lhcflow("integrate", f"{file}:f", *common, "--json", "one.json")
    lhcflow("integrate", f"{file}:f", *common, "--workers", 2, "--json", "two.json")
    lhcflow("integrate", f"{file}:point", "--point", *common, "--json", "point.json")
    one, two, point = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("one", "two", "point"))
    assert one == two
    assert point["mean"] == pytest.approx(one["mean"], rel=1e-9)


def test_vectors(lhcflow, file, tmp_path):
    common = ("--dim", 2, "--method", "vegas", "--calls", 20_000, "--json", "r.json")
    lhcflow("integrate", f"{file}:both", *common)
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["mean"] == pytest.approx([3, 0.5], rel=0.02)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my_integrand.py", "FILE.py:FUNCTION"),
        ("my_integrand.py:g", "no function 'g'"),
        ("missing.py:f", "no file"),
        ("broken.py:f", "does not run: ZeroDivisionError"),
    ],
)
def test_what_it_refuses(file, tmp_path, monkeypatch, capsys, name, words):
    from lhcflow.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(SystemExit) as done:
        main(["integrate", name, "--dim", "2"])
    error = capsys.readouterr().err
    assert done.value.code == 2
    assert words in error
    assert len(error.strip().splitlines()) == 1


BAD = """
import sys

def raises(x):
    raise RuntimeError("my amplitude\\nbroke")

def exits(x):
    sys.exit(3)

def deep(x):
    return np_is_not_imported(x)

def nothing(x):
    pass

def text(x):
    return ["a"] * len(x)

def shape(x):
    return x.sum()

def late(x):
    if len(x) > 2:
        raise ValueError("late")
    return x[:, 0]

def complex_numbers(x):
    return x[:, 0] + 1j
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "the integrand failed: RuntimeError: my amplitude broke (bad.py, line 5)"),
        ("exits", "the integrand failed: it calls sys.exit(3) (bad.py, line 8)"),
        ("deep", "NameError: name 'np_is_not_imported' is not defined (bad.py, line 11)"),
        ("nothing", "got None"),
        ("text", "got text"),
        ("shape", "got (); use batch=False (--point)"),
        ("late", "ValueError: late (bad.py, line 24)"),
        ("complex_numbers", "a vector of two"),
        ("exit_py", "exit.py does not run: it calls sys.exit(1) (exit.py, line 2)"),
        ("syntax_py", "syntax.py does not run: SyntaxError"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--force",)])
def test_its_own_error_in_one_line_and_no_folder(tmp_path, monkeypatch, capsys, name, words, options):
    from lhcflow.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "exit.py").write_text("import sys\nsys.exit(1)\n")
    (tmp_path / "syntax.py").write_text("def f(x:\n")
    before = {f.name for f in tmp_path.iterdir()}
    target = f"{name[:-3]}.py:f" if name.endswith("_py") else f"bad.py:{name}"
    arguments = ["integrate", target, "--dim", "2", "--calls", "2000", "--method", "vegas", "--out", "run"]
    with pytest.raises(SystemExit) as done:
        main([*arguments, *options])
    error = capsys.readouterr().err
    assert done.value.code == 2
    assert words in error
    assert "report it" not in error
    assert len(error.strip().splitlines()) == 1
    assert {f.name for f in tmp_path.iterdir()} - {"__pycache__"} == before


def test_errors_come_from_other_processes_too(file, tmp_path, monkeypatch, capsys):
    from lhcflow.cli import main

    monkeypatch.chdir(tmp_path)
    # The two points that are tried first are evaluated there as well.
    (tmp_path / "bad.py").write_text(BAD)
    with pytest.raises(SystemExit) as done:
        main(["integrate", "bad.py:exits", "--dim", "2", "--workers", "2", "--out", "run"])
    assert done.value.code == 2
    assert "it calls sys.exit(3) (bad.py, line 8)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_force_keeps_the_old_run_if_the_function_fails(file, tmp_path, monkeypatch):
    from lhcflow.cli import main

    monkeypatch.chdir(tmp_path)
    arguments = ["integrate", "my_integrand.py:f", "--dim", "2", "--calls", "2000", "--method", "vegas", "-q"]
    arguments += ["--out", "run"]

    def code(*options: str) -> int:
        with pytest.raises(SystemExit) as done:
            main([*arguments, *options])
        return done.value.code

    assert code("-n", "10") == 0
    old = (tmp_path / "run" / "results.json").read_text()
    file.write_text(FUNCTION.replace("SCALE * 4 *", "None +"))
    assert code("--force") == 2
    assert (tmp_path / "run" / "results.json").read_text() == old
    assert (tmp_path / "run" / "points.npz").is_file()
    file.write_text(FUNCTION)
    assert code("--force") == 0  # without points
    assert not (tmp_path / "run" / "points.npz").exists()


def test_a_changed_file_can_not_be_resumed(tmp_path, monkeypatch, capsys):
    from lhcflow.cli import main

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stopping.py"
    path.write_text(STOPPING)
    (tmp_path / "stop").write_text("")
    arguments = ["integrate", "stopping.py:f", "--dim", "2", "--calls", "20000", "--method", "vegas", "-q"]
    arguments += ["--out", "run"]
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 130
    (tmp_path / "stop").unlink()
    path.write_text(STOPPING.replace("4 *", "5 *"))
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--resume"])
    assert done.value.code == 2
    assert "content was 'sha256:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nonsense", "no Dask scheduler answers at nonsense"),
    ],
)
def test_no_dask_scheduler(file, tmp_path, monkeypatch, capsys, url, words):
    pytest.importorskip("distributed")
    from lhcflow.cli import dask_option, main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dask_option, "SECONDS", 0.5)
    with pytest.raises(SystemExit) as done:
        main(["integrate", "my_integrand.py:f", "--dim", "2", "--dask", url, "--out", "run"])
    error = capsys.readouterr().err
    assert done.value.code == 2
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_dask_scheduler_without_workers(monkeypatch):
    distributed = pytest.importorskip("distributed")
    from lhcflow.cli import dask_option

    monkeypatch.setattr(dask_option, "SECONDS", 1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        pytest.raises(InputError, match="has no worker after 1 s"),
    ):
        dask_option.dask_client(cluster.scheduler_address)


def test_an_integral_is_kept_when_there_are_no_points(tmp_path, monkeypatch, capsys):
    from lhcflow.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero.py").write_text("def f(x):\n    return 0 * x[:, 0]\n")
    arguments = ["integrate", "zero.py:f", "--dim", "2", "--calls", "2000", "--method", "vegas", "-q"]
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--out", "run", "-n", "10"])
    assert done.value.code == 2
    assert "all weights are zero" in capsys.readouterr().err
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["mean"] == 0
    assert "nothing found" in results["warnings"][0]


def test_points_need_a_folder(file, capsys):
    from lhcflow.cli import main

    with pytest.raises(SystemExit) as done:
        main(["integrate", f"{file}:f", "--dim", "2", "-n", "10"])
    assert done.value.code == 2
    assert "--out" in capsys.readouterr().err


def test_stopped_and_resumed(lhcflow, tmp_path):
    """Ctrl-C in the middle; the resumed run has the results of one that was never stopped."""
    (tmp_path / "stopping.py").write_text(STOPPING)
    common = ("integrate", "stopping.py:f", "--dim", 2, "--method", "vegas", "--calls", 20_000, "--quiet")
    lhcflow(*common, "--out", "whole")
    (tmp_path / "stop").write_text("")
    assert lhcflow(*common, "--out", "run", check=False).returncode == 130
    assert not (tmp_path / "run" / "results.json").exists()
    assert len(list((tmp_path / "run" / "checkpoints" / "integral").iterdir())) > 2
    (tmp_path / "stop").unlink()
    lhcflow(*common, "--out", "run", "--resume")
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "run")]
    assert results[0] == results[1]
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
