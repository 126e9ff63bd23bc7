"""Blocks of work give the same results wherever they run, and survive what happens to processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.jobs import Runner, run_blocks


def runners():
    yield "here", {}
    yield "processes", {"workers": 2}
    yield "fresh", {"workers": 2, "fresh": True}


def all_kinds(function):
    """Fresh processes take their time to start: only `make test-all` does all of it with them."""
    marked = [pytest.param(s, id=n, marks=[pytest.mark.slow] if n == "fresh" else []) for n, s in runners()]
    return pytest.mark.parametrize("settings", marked)(function)


kinds = pytest.mark.parametrize("settings", [s for _, s in runners()], ids=[n for n, _ in runners()])


@pytest.fixture(scope="module")
def cluster():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@kinds
def test_results_come_in_order_and_functions_may_be_lambdas(settings):
    factor = 3
    said = []
    with Runner(**settings) as runner:
        found = runner.map(
            lambda n: factor * n, range(7), sizes=range(7), progress=lambda *done: said.append(done)
        )
        assert found == [0, 3, 6, 9, 12, 15, 18]
        assert runner.map(str, []) == []
    assert said[-1] == (21, 21)
    assert [done for done, _ in said] == sorted(done for done, _ in said)


def test_on_dask(cluster):
    factor = 3
    with Runner(client=cluster) as runner:
        assert runner.map(lambda n: factor * n, range(7)) == [0, 3, 6, 9, 12, 15, 18]
    with Runner(client=cluster, fresh=True) as runner:
        pids = runner.map(lambda n: os.getpid(), range(2))
    assert len({*pids, *cluster.run(os.getpid).values()}) == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_dask_worker_that_is_killed_costs_nothing(cluster, tmp_path):
    """The scheduler gives its blocks to the other one."""

    def work(n):
        time.sleep(0.3)
        return n

    with Runner(client=cluster) as runner:
        results = runner.each(work, range(8))
        first = next(results)
        os.kill(next(iter(cluster.run(os.getpid).values())), signal.SIGKILL)
        found = dict([first, *results])
    assert found == {n: n for n in range(8)}


@all_kinds
def test_a_block_is_tried_again(settings, tmp_path):
    def twice(n):
        mark = tmp_path / str(n)
        if n == 2 and not mark.exists():
            mark.touch()
            raise ZeroDivisionError
        return n

    with Runner(**settings) as runner:
        assert runner.map(twice, range(3), attempts=2) == [0, 1, 2]
        (tmp_path / "2").unlink()
        with pytest.raises(ZeroDivisionError):
            runner.map(twice, range(3))


@all_kinds
def test_wrong_input_is_not_tried_again(settings, tmp_path):
    def refuse(n):
        with open(tmp_path / "calls", "a") as file:
            file.write("x")
        raise InputError("no such particle")

    with Runner(**settings) as runner, pytest.raises(InputError, match="no such particle"):
        runner.map(refuse, [1], attempts=3)
    assert (tmp_path / "calls").read_text() == "x"


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"workers": 2}, {"workers": 2, "fresh": True}], ids=["pool", "fresh"])
def test_a_process_that_dies_costs_one_attempt(settings, tmp_path):
    def die_once(n):
        mark = tmp_path / "died"
        if n == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    with Runner(**settings) as runner:
        assert runner.map(die_once, range(5), attempts=2) == [0, 1, 2, 3, 4]
        (tmp_path / "died").unlink()
        with pytest.raises(RunError, match="died"):
            runner.map(die_once, range(5))


def test_a_fresh_process_says_why_it_died():
    def shout(n):
        print("the geometry overlaps", flush=True)
        os.abort()

    with (
        Runner(fresh=True) as runner,
        pytest.raises(RunError, match=r"exit code -6\): the geometry overlaps"),
    ):
        runner.map(shout, [1])


@all_kinds
def test_finished_blocks_are_kept(settings, tmp_path):
    def block(task):
        name, fail = task
        if fail:
            raise ZeroDivisionError
        return {"x": np.full(3, float(name)), "calls": 1}

    folder = tmp_path / "blocks"
    folder.mkdir()
    with Runner(**settings) as runner:
        with pytest.raises(ZeroDivisionError):
            run_blocks(runner, block, {"1": ("1", False), "2": ("2", False), "3": ("3", True)}, folder)
        kept = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
        said = []
        tasks = {name: (name, False) for name in "123"}
        found = run_blocks(runner, block, tasks, folder, progress=lambda *done: said.append(done))
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir() if p.name in kept} == kept
    assert said[0] == (len(kept), 3)
    assert said[-1] == (3, 3)
    assert [found.read(name)["x"].tolist() for name in "123"] == [[1.0] * 3, [2.0] * 3, [3.0] * 3]


SCRIPT = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell switches it off in the background
from lhcflow.jobs import Runner
def sleep(n):
    print("at work", flush=True)
    open(r"{folder}/" + str(os.getpid()), "w").close()
    time.sleep(60)
with Runner(workers=2, fresh={fresh}) as runner:
    runner.map(sleep, [1, 2])
"""


@pytest.mark.parametrize("fresh", [True, False])
def test_ctrl_c_ends_all_processes(fresh, tmp_path):
    script = [sys.executable, "-c", SCRIPT.format(folder=tmp_path, fresh=fresh)]
    process = subprocess.Popen(
        script, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    limit = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < limit:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=20) != 0
    pids = [int(file.name) for file in tmp_path.iterdir()]
    assert len(pids) == 2
    limit = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid):
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_wrong_number_of_workers():
    with pytest.raises(InputError, match="workers must be >= 1"):
        Runner(workers=0)
