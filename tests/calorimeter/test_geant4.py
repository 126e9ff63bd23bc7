"""Geant4 itself, a few low-energy showers at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.calorimeter import read_showers
from lhcflow.calorimeter.geant4 import data_sets, simulate, simulation
from lhcflow.errors import RunError

ELECTRONS = {"particle": "e+", "showers": 6, "energy": (1, 2), "seed": 2}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(simulation, "BLOCK", 3)


@pytest.fixture(scope="module")
def electrons(tmp_path_factory):
    """Two blocks of showers from one worker, then another."""
    out = tmp_path_factory.mktemp("geant4") / "e.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "BLOCK", 3)
        simulate(**ELECTRONS, out=out, workers=1)
    return read_showers(out)


def test_showers_deposit_what_comes_in(tmp_path):
    done = simulate("e+", 3, tmp_path / "e.h5", energy=(5, 10), seed=1, physics="data-free")
    showers = read_showers(tmp_path / "e.h5")
    assert len(showers) == done.showers == 3
    assert ((showers.energy >= 5) & (showers.energy <= 10)).all()
    # Lead and argon both count: an electromagnetic shower leaves nearly all of its energy inside.
    total = showers.voxels.sum(axis=1) + showers.overflow.sum(axis=1)
    np.testing.assert_allclose(total / (1000 * showers.energy), 1, atol=0.02)
    assert done.cpu_seconds > 0
    assert done.mean_energy == pytest.approx(showers.energy.mean(), rel=1e-6)


def test_seed_alone_decides(tmp_path, electrons):
    simulate(**ELECTRONS, out=tmp_path / "again.h5", workers=2)
    again = read_showers(tmp_path / "again.h5")
    np.testing.assert_array_equal(again.voxels, electrons.voxels)
    np.testing.assert_array_equal(again.energy, electrons.energy)
    # Blocks differ, and so do other seeds.
    simulate(**{**ELECTRONS, "seed": 3, "showers": 3}, out=tmp_path / "other.h5")
    energies = [*electrons.energy, *read_showers(tmp_path / "other.h5").energy]
    assert len(np.unique(energies)) == 9


def test_pions_leave_less_and_vary_more(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "BLOCK", 20)
    simulate("pi+", 20, tmp_path / "pi.h5", energy=(10, 10), seed=1, physics="data-free")
    showers = read_showers(tmp_path / "pi.h5")
    share = showers.voxels.sum(axis=1) / (1000 * showers.energy)
    assert (share < 1).all()
    assert share.std() > 0.05


def test_crash_of_a_worker_costs_its_block_only(tmp_path, monkeypatch, electrons):
    start = subprocess.Popen
    fallen = []

    def fall_once(arguments, **options):
        if not fallen:
            fallen.append(True)
            arguments = [sys.executable, "-c", "import os; os.abort()"]
        return start(arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", fall_once)
    simulate(**ELECTRONS, out=tmp_path / "e.h5")
    assert fallen
    np.testing.assert_array_equal(read_showers(tmp_path / "e.h5").voxels, electrons.voxels)


def test_failure_keeps_finished_blocks_and_resume_goes_on(tmp_path, monkeypatch, electrons):
    out = tmp_path / "e.h5"
    start = subprocess.Popen
    count = []

    def fall_in_second_block(arguments, **options):
        count.append(arguments)
        if len(count) > 1:
            arguments = [sys.executable, "-c", "raise SystemExit('no luck today')"]
        return start(arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", fall_in_second_block)
    with pytest.raises(RunError, match=r"block 1 .*no luck today.*--resume"):
        simulate(**ELECTRONS, out=out, workers=1)
    monkeypatch.setattr(subprocess, "Popen", start)
    assert not out.exists()
    with pytest.raises(InputError, match="--resume"):
        simulate(**ELECTRONS, out=out)
    with pytest.raises(InputError, match="seed was 2"):
        simulate(**{**ELECTRONS, "seed": 5}, out=out, resume=True)
    finished = []
    simulate(**ELECTRONS, out=out, resume=True, progress=finished.append)
    assert finished == [3, 6]
    np.testing.assert_array_equal(read_showers(out).voxels, electrons.voxels)
    assert not out.with_name("e.h5.parts").exists()


def test_ctrl_c_leaves_a_run_to_resume(tmp_path):
    out = tmp_path / "e.h5"
    command = [
        sys.executable,
        "-m",
        "lhcflow",
        "calo",
        "simulate",
        "-n",
        "120",
        "--energy",
        "1",
        "1.5",
        "--quiet",
    ]
    command += ["--out", str(out), "--seed", "1", "--workers", "1"]
    # A job of a background shell inherits an ignored SIGINT.
    process = subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    first = out.with_name("e.h5.parts") / "checkpoints" / "0.npz"
    deadline = time.monotonic() + 200
    while not first.is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert first.is_file()
    assert not out.exists()
    assert subprocess.run([*command, "--resume"], check=False).returncode == 0
    assert len(read_showers(out)) == 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"particle": "mu"}, "unknown particle 'mu'"),
        ({"showers": 0}, "must be positive, got 0"),
        ({"energy": (5, 1)}, "0 < lower <= upper"),
        ({"energy": (-1, 1)}, "0 < lower <= upper"),
        ({"cut": float("nan")}, "production cut"),
        ({"workers": 0}, "workers must be positive"),
        ({"physics": "QGSP"}, "physics is"),
        ({"out": "missing/e.h5"}, "does not exist"),
    ],
)
def test_bad_input(tmp_path, arguments, message):
    given = {"particle": "e+", "showers": 1, "out": "e.h5", **arguments}
    given["out"] = tmp_path / given["out"]
    with pytest.raises(InputError, match=message):
        simulate(**given)
    assert not list(tmp_path.iterdir())


def test_existing_file_is_kept(tmp_path):
    out = tmp_path / "e.h5"
    out.write_text("precious")
    with pytest.raises(InputError, match="exists"):
        simulate("e+", 1, out)
    assert out.read_text() == "precious"


def test_data_sets_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("G4LEDATA", "GEANT4_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert data_sets() is None
    with pytest.raises(InputError, match="needs Geant4's data sets"):
        simulate("e+", 1, tmp_path / "e.h5", physics="FTFP_BERT")
    folder = tmp_path / ".geant4_pybind"
    for name in ("G4EMLOW8.8", "PhotonEvaporation6.1", "G4PARTICLEXS4.1", "G4ENSDFSTATE3.0", "G4SAIDDATA2.0"):
        (folder / name).mkdir(parents=True)
    assert data_sets() == folder


@pytest.mark.slow
def test_electron_showers_look_as_known(tmp_path, monkeypatch):
    """Shares of the sections at 1 to 100 GeV: 0.188, 0.811, 0.0017; false alarms below 1e-4 (4 sigma)."""
    monkeypatch.setattr(simulation, "BLOCK", 100)
    simulate("e+", 200, tmp_path / "e.h5", seed=11, physics="data-free")
    showers = read_showers(tmp_path / "e.h5")
    layers = showers.layer_energies()
    share = layers / layers.sum(axis=1, keepdims=True)
    error = share.std(axis=0) / np.sqrt(len(showers))
    # The references carry the error of some thousand showers, well below that of these 200.
    assert (abs(share.mean(axis=0) - [0.188, 0.811, 0.0017]) < 4 * error + 1e-3).all()
    assert (layers.sum(axis=1) / (1000 * showers.energy)).mean() == pytest.approx(0.997, abs=1e-3)
