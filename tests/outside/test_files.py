"""Files that commands write: full disks, killed processes, and what must not be replaced."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from calorimeter.samples import electrons
from lhcflow import InputError
from lhcflow.bumphunt.datasets import write_jets
from lhcflow.bumphunt.features import JetColumns
from lhcflow.calorimeter import write_showers
from lhcflow.calorimeter.export import export_cpp, export_onnx
from lhcflow.calorimeter.models import CaloFlow, HitFlow
from lhcflow.cli import main
from lhcflow.cli.calo.evaluate import _save_weights
from lhcflow.cli.report import write_report
from lhcflow.errors import RunError
from lhcflow.files import atomic_write, write_json, write_toml
from lhcflow.flows import coupling_spline, save
from lhcflow.hdf5 import atomic_hdf5
from lhcflow.outputs import HDF5, JSON, LHE, NPZ, ONNX, SAFETENSORS, FileKind, check_output
from lhcflow.plotting import Picture, Section
from lhcflow.plotting import save as save_figure
from lhcflow.runs import RunDirectory
from lhcflow.training import History
from lhcflow.training.checkpoints import save_checkpoint


def figure() -> Figure:
    made = Figure()
    made.add_subplot().plot([1.0, 2.0])
    return made


def jets(path: Path) -> None:
    random = np.random.default_rng(0)
    write_jets(path, {name: random.normal(size=5000) for name in JetColumns})


def report(path: Path) -> None:
    with RunDirectory(path, {"n": 1}) as run:
        write_report(run, "title", "", [Section("s", content=[Picture(figure(), "A.")])], [])


def history(path: Path) -> None:
    made = History()
    made.append(loss=1.0)
    made.to_csv(path)


def large_hdf5(path: Path) -> None:
    with atomic_hdf5(path) as file:
        for number in range(20):
            file[f"data_{number}"] = np.random.default_rng(number).random(50_000)
            file.check()


WRITERS: dict[str, Callable[[Path], object]] = {
    "showers.h5": lambda path: write_showers(path, electrons()),
    "jets.h5": jets,
    "large.h5": large_hdf5,
    "weights.npz": lambda path: _save_weights(path, np.random.default_rng(0).random(20_000)),
    "flow.safetensors": lambda path: save(coupling_spline(3, layers=2, hidden=(64,), seed=1), path),
    "checkpoint.safetensors": lambda path: save_checkpoint(path, state={"x": torch.rand(20_000)}),
    "results.json": lambda path: write_json(path, {"x": list(range(20_000))}),
    "card.toml": lambda path: write_toml(path, {"x": list(range(20_000))}),
    "history.csv": history,
    "figure.pdf": lambda path: save_figure(figure(), path),
    "figure.png": lambda path: save_figure(figure(), path),
    "figure.svg": lambda path: save_figure(figure(), path),
    "report": report,
    "run": lambda path: RunDirectory(path / "inside", {"n": 1}),
    "model.onnx": lambda path: export_onnx(HitFlow.build(((2, 4), (2, 2))), path),
    "cpp": lambda path: export_cpp(CaloFlow.build((4, 2), blocks=2, hidden=(8,)), path),
}


FIT = ("history.csv", "figure.pdf", "figure.svg", "run")
"""What fits into 16 kB; where the limit is one on each file, a report does too."""


@contextmanager
def full_folder(folder: Path, free: int) -> Iterator[Path]:
    """A folder with so many bytes free: a file system of its own, or a limit on all files of the process."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={free + 4096}", "none", str(folder)]
    if shutil.which("mount") and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        try:
            (folder / "filler").write_bytes(bytes(4096))
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    (folder / "filler").write_bytes(bytes(4096))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("free", [0, 16 * 1024])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, name, free):
    """With 16 kB free the small files fit; whoever fails has not filled the disk for good."""
    with full_folder(tmp_path / "full", free) as folder:
        if free and (name in FIT or (name == "report" and not folder.is_mount())):
            WRITERS[name](folder / name)
            return
        with pytest.raises(RunError, match="no space left for ") as caught:
            WRITERS[name](folder / name)
        assert "\n" not in str(caught.value)
        left = [file for file in folder.rglob("*") if file.is_file()]
        if name == "report":  # a run keeps its card and its first figure, for --resume
            left = [file for file in left if file.suffix not in (".toml", ".pdf")]
        assert left == [folder / "filler"]


def test_hdf5_is_whole_where_there_is_space(tmp_path):
    """What `_Steady` hands to HDF5 is what HDF5 reads back from a plain file."""
    large_hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file) == 20
        np.testing.assert_array_equal(file["data_7"][:], np.random.default_rng(7).random(50_000))


def test_unfinished_files_of_killed_processes_are_swept_and_those_of_living_ones_are_not(tmp_path):
    code = (
        "import os, signal, sys\nfrom lhcflow.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as f:\n"
        "    f.write('x'); f.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "events.txt")], check=False)
    (killed,) = tmp_path.iterdir()
    assert killed.name.startswith(".events.txt.")
    mine = tmp_path / ".notes.tmp"
    mine.write_text("a file that lhcflow did not write")
    with atomic_write(tmp_path / "other.txt") as file:
        file.write("")
    assert killed.exists()  # another file's
    with atomic_write(tmp_path / "events.txt") as first:
        assert not killed.exists()
        first.write("first")
        with atomic_write(tmp_path / "events.txt") as second:
            assert Path(first.name).exists()
            second.write("second")
    assert (tmp_path / "events.txt").read_text() == "first"
    assert {f.name for f in tmp_path.iterdir()} == {"events.txt", "other.txt", ".notes.tmp"}
    run = RunDirectory(tmp_path / "run", {"n": 1})
    killed = run.checkpoints / ".last.safetensors.0123abcd.tmp"
    killed.write_text("half of a checkpoint")
    RunDirectory(tmp_path / "run", {"n": 1}, resume=True)
    assert not killed.exists()


CONTENT = {
    HDF5: b"\x89HDF\r\n\x1a\n and more",
    JSON: b' {"a": 1}',
    NPZ: b"PK\x03\x04 and more",
    ONNX: b"\x08\x08\x12\x07lhcflow",
    LHE: b"\x1f\x8b\x08 and more",
    SAFETENSORS: b'\x40\x00\x00\x00\x00\x00\x00\x00{"__metadata__"',
}


@pytest.mark.parametrize("kind", CONTENT, ids=lambda kind: kind.name)
def test_only_files_of_the_same_kind_are_replaced(tmp_path, kind: FileKind):
    for other, content in CONTENT.items():
        path = tmp_path / f"{other.name}.any"
        path.write_bytes(content)
        if other == kind:
            check_output(path, kind)
            continue
        with pytest.raises(InputError, match="exists and is no"):
            check_output(path, kind)
        check_output(path, kind, force=True)
        with pytest.raises(InputError, match="the ending of another kind"):
            check_output(tmp_path / f"new{other.suffixes[0]}", kind)
    check_output(tmp_path / f"new{kind.suffixes[0]}", kind)
    (tmp_path / "thesis").write_text("precious")
    with pytest.raises(InputError, match="exists and is no"):
        check_output(tmp_path / "thesis", kind)


def test_written_files_are_of_their_kind(tmp_path):
    """The first bytes of what the writers make."""
    for name, kind in {
        "showers.h5": HDF5, "jets.h5": HDF5, "weights.npz": NPZ, "flow.safetensors": SAFETENSORS,
        "results.json": JSON, "model.onnx": ONNX,
    }.items():  # fmt: skip
        WRITERS[name](tmp_path / name)
        assert kind.holds(tmp_path / name)
        assert not any(other.holds(tmp_path / name) for other in CONTENT if other != kind)


def test_inputs_are_never_replaced(tmp_path):
    source = tmp_path / "in.h5"
    source.write_bytes(CONTENT[HDF5])
    (tmp_path / "link.h5").symlink_to(source)
    os.link(source, tmp_path / "hard.h5")
    (tmp_path / "folder").symlink_to(tmp_path)
    for path in ("in.h5", "link.h5", "hard.h5", "folder/in.h5"):
        for force in (False, True):
            with pytest.raises(InputError, match="is an input"):
                check_output(tmp_path / path, HDF5, (None, source), force=force)
    check_output(tmp_path / "out.h5", HDF5, (None, source))
    check_output(source, HDF5, (tmp_path / "missing.h5",))
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path, HDF5)
    with pytest.raises(InputError, match="does not exist"):
        check_output(tmp_path / "no" / "out.h5", HDF5)
    run = RunDirectory(tmp_path / "run", {"n": 1})
    run.finish({})
    with pytest.raises(InputError, match="a file of the run"):
        check_output(run.results_file, JSON)


@pytest.mark.parametrize(
    "command",
    [
        ["doctor"],
        ["generate", "e+ e- > j j j"],
        ["integrate", "f.py:f", "--dim", "2"],
        ["reproduce", "layers"],
        ["calo", "simulate", "--out", "new.h5"],
        ["calo", "train", "a.h5", "--out", "run"],
        ["calo", "demo"],
        ["bumphunt", "simulate"],
        ["bumphunt", "run", "a.h5"],
        ["bumphunt", "scan", "a.h5"],
        ["bumphunt", "demo"],
    ],
)
def test_no_command_writes_its_json_over_another_file(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    files = {"f.py": b"def f(x): return x", "a.h5": CONTENT[HDF5], "thesis": b"precious"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name, content in files.items():
        with pytest.raises(SystemExit) as end:
            main([*command, "--json", name])
        assert end.value.code == 2
        assert name in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == files.keys()
