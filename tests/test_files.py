"""Atomic files, TOML cards and run directories."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.files import atomic_write, content_hash, plain, read_toml, write_json, write_toml
from lhcflow.runs import RunDirectory


@pytest.mark.parametrize(("mode", "content"), [("w", "Käse\n"), ("wb", b"\x00\xff")])
def test_atomic_write_replaces_the_file(tmp_path, mode, content):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path, mode) as file:
        file.write(content)
        assert path.read_text() == "old"
        assert Path(file.name).parent == tmp_path
    assert path.read_bytes() == (content.encode() if mode == "w" else content)
    assert os.listdir(tmp_path) == ["file"]


def test_atomic_write_leaves_nothing_after_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:  # noqa: PT012
        file.write("half of the new" * 10_000)
        _ = 1 / 0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_atomic_write_says_when_there_is_no_space(tmp_path):
    """The kernel refuses more than 4096 bytes per file here, as a full disk or a quota would."""
    path = tmp_path / "file"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RunError, match=r"no space left for .*file") as caught, atomic_write(path) as file:
            file.write("x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, signal, sys\nfrom lhcflow.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as f:\n"
        "    f.write('x' * 100_000); f.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_atomic_write_follows_links_and_refuses_what_is_no_file(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_write(tmp_path / "link") as file:
        file.write("new")
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    with pytest.raises(InputError, match="no regular file"), atomic_write("/dev/null"):
        pass
    with pytest.raises(InputError, match="does not exist"), atomic_write(tmp_path / "no" / "file"):
        pass
    with pytest.raises(InputError, match="modes"), atomic_write(tmp_path / "file", "a"):
        pass


# Lone surrogates are no text in any encoding of a file.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_toml_is_read_back_the_same(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("toml") / "card.toml"
    write_toml(path, table)
    with open(path, "rb") as file:
        back = tomllib.load(file)
    assert back == table
    assert repr(back).count("True") == repr(table).count("True")  # booleans equal integers in Python


def test_toml_of_a_card(tmp_path):
    card = {
        "process": "e+ e- > j j j",
        "seed": 3,
        "nothing": None,
        "cuts": {"y": 0.01, "masses": (1.0, math.inf)},
        "flow": {"spline": {"bins": np.int64(16)}},
    }
    write_toml(tmp_path / "card.toml", card)
    assert (tmp_path / "card.toml").read_text() == (
        'process = "e+ e- > j j j"\nseed = 3\n\n'
        "[cuts]\ny = 0.01\nmasses = [1.0, inf]\n\n[flow.spline]\nbins = 16\n"
    )


def test_read_toml_errors(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_toml(tmp_path / "card.toml")
    (tmp_path / "card.toml").write_text("a = = 1")
    with pytest.raises(InputError, match="is not TOML"):
        read_toml(tmp_path / "card.toml")


def test_json_is_strict(tmp_path):
    @dataclass
    class Result:
        mean: float
        points: np.ndarray

    result = Result(math.nan, np.array([[1.0, -np.inf]]))
    write_json(tmp_path / "a.json", {"result": result, "path": Path("x"), "names": {"b", "a"}})

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    back = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert back == {"result": {"mean": "nan", "points": [[1.0, "-inf"]]}, "path": "x", "names": ["a", "b"]}
    with pytest.raises(InputError, match="a object can't be written"):
        plain({"x": object()})


CARD = {"command": "generate", "options": {"seed": 1, "energy": 91.1876, "unset": None}}


def test_a_run_from_start_to_end(tmp_path):
    run = RunDirectory(tmp_path / "deep" / "run", CARD)
    assert not run.finished
    assert not run.resumed
    card = read_toml(run.card_file)
    assert card["command"] == "generate"
    assert card["options"] == {"seed": 1, "energy": 91.1876}
    assert "version" in card["lhcflow"]
    run.finish({"mean": 1.5})
    assert run.finished
    assert json.loads(run.results_file.read_text()) == {"mean": 1.5}
    assert {p.name for p in run.path.iterdir()} == {"card.toml", "results.json", "checkpoints", "figures"}


def test_a_finished_run_is_only_overwritten_by_force(tmp_path):
    run = RunDirectory(tmp_path, CARD)
    (run.checkpoints / "last.safetensors").write_text("weights")
    (tmp_path / "notes.txt").write_text("mine")
    run.finish({"mean": 1.5})
    for options in ({}, {"resume": True}):
        with pytest.raises(InputError, match="finished run: --force"):
            RunDirectory(tmp_path, CARD, **options)
    assert run.finished
    again = RunDirectory(tmp_path, CARD | {"command": "other"}, force=True)
    assert not again.finished
    assert not again.resumed
    assert not list(again.checkpoints.iterdir())
    assert read_toml(again.card_file)["command"] == "other"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_unfinished_run_is_resumed_with_the_same_card_only(tmp_path):
    run = RunDirectory(tmp_path, CARD)
    (run.checkpoints / "last.safetensors").write_text("weights")
    before = run.card_file.read_bytes()
    with pytest.raises(InputError, match="unfinished run: --resume"):
        RunDirectory(tmp_path, CARD)
    other = {"command": "generate", "options": {"seed": 2, "energy": 91.1876}}
    with pytest.raises(InputError, match=r"options\.seed was 1, is now 2"):
        RunDirectory(tmp_path, other, resume=True)
    again = RunDirectory(tmp_path, CARD, resume=True)
    assert again.resumed
    assert (again.checkpoints / "last.safetensors").read_text() == "weights"
    assert run.card_file.read_bytes() == before
    assert not RunDirectory(tmp_path / "new", CARD, resume=True).resumed


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for options in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(InputError, match="holds files but no run"):
            RunDirectory(tmp_path, CARD, **options)
    with pytest.raises(InputError, match="is a file"):
        RunDirectory(tmp_path / "thesis.tex", CARD)
    with pytest.raises(InputError, match="one of them"):
        RunDirectory(tmp_path / "new", CARD, force=True, resume=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_content_hash_is_sha256(tmp_path):
    """The digest of "abc" is the first test vector of FIPS 180-2."""
    (tmp_path / "file").write_text("abc")
    assert content_hash(tmp_path / "file") == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(InputError, match="can't read"):
        content_hash(tmp_path / "missing")


def test_a_run_that_failed_before_it_wrote_anything_leaves_no_folder(tmp_path):
    folder = tmp_path / "new" / "run"
    for _ in range(2):  # the second start finds no unfinished run
        with pytest.raises(FileNotFoundError), RunDirectory(folder, {"n": 1}) as run:
            (run.figures / "missing" / "one.pdf").write_text("")
        assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)  # the user's own folder stays
    with pytest.raises(KeyboardInterrupt), RunDirectory(folder, {"n": 1}):
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []
    with pytest.raises(InputError), RunDirectory(tmp_path / "wrong", {"n": object()}):
        pass
    with pytest.raises(InputError), RunDirectory(tmp_path / "wrong", {"n": [None]}):
        pass
    assert not (tmp_path / "wrong").exists()


def test_a_run_that_wrote_something_before_it_failed_stays(tmp_path):
    with pytest.raises(TypeError), RunDirectory(tmp_path / "run", {"n": 1}) as run:
        len((run.checkpoints / "epoch").write_text("1"))  # the work fails after it wrote
    assert (tmp_path / "run" / "checkpoints" / "epoch").is_file()
    assert RunDirectory(tmp_path / "run", {"n": 1}, resume=True).resumed


def test_force_removes_the_other_files_of_the_command_and_no_more(tmp_path):
    for force in (False, True):
        run = RunDirectory(tmp_path / "run", {"n": 1}, force=force, writes=("*.npz", "events.lhe.gz"))
        names = {file.name for file in run.path.iterdir()}
        assert names - {"notes.txt"} == {"card.toml", "checkpoints", "figures"}
        for name in ("points.npz", "events.lhe.gz", "notes.txt"):
            (run.path / name).write_text("")
        run.finish({})
    assert (tmp_path / "run" / "notes.txt").is_file()
