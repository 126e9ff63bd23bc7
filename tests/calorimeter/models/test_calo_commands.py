"""lhcflow calo train, sample, distill: files, resume, errors in one line."""

import json

import numpy as np
import pytest

from lhcflow.calorimeter import Showers, geometry, read_showers, write_showers
from lhcflow.cli import main

from .toys import toy_showers

SMALL = ["--epochs", "2", "--quiet"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in ("calo", *arguments)])
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of toy showers and a model trained on it."""
    path = tmp_path_factory.mktemp("calo")
    place = geometry("calogan")
    incident, voxels = toy_showers([layer.size for layer in place.layers], 60)
    write_showers(path / "toy.h5", Showers(place, (incident / 1e3).astype(np.float32), voxels))
    shape = ["--blocks", 2, "--hidden", 16]
    assert run("train", path / "toy.h5", "--out", path / "teacher", *shape, *SMALL) == 0
    return path


def test_train_leaves_a_finished_run(folder, capsys):
    results = json.loads((folder / "teacher" / "results.json").read_text())
    assert set(results["flows"]) == {"energies", "voxels"}
    assert (folder / "teacher" / "history_voxels.csv").read_text().count("\n") == 3
    assert run("train", folder / "toy.h5", "--out", folder / "teacher", *SMALL) == 2
    assert "finished run" in capsys.readouterr().err


def test_sample_writes_showers_that_repeat(folder):
    for name in ("a.h5", "b.h5"):
        assert run("sample", folder / "teacher", "--out", folder / name, "-n", 20, "--seed", 3, "-q") == 0
    a, b = read_showers(folder / "a.h5"), read_showers(folder / "b.h5")
    assert a.geometry.name == "calogan"
    assert (a.voxels == b.voxels).all()
    assert ((a.energy >= 1) & (a.energy <= 100)).all()


def test_sample_like_a_file_has_its_energies(folder):
    assert run("sample", folder / "teacher", "--out", folder / "c.h5", "--like", folder / "toy.h5", "-q") == 0
    np.testing.assert_allclose(
        read_showers(folder / "c.h5").energy, read_showers(folder / "toy.h5").energy, rtol=1e-6
    )


def test_distilled_model_samples(folder):
    out = folder / "student"
    assert run("distill", folder / "teacher", folder / "toy.h5", "--out", out, *SMALL) == 0
    assert run("sample", out, "--out", folder / "d.h5", "-n", 5, "-q") == 0
    assert len(read_showers(folder / "d.h5")) == 5


def test_time_limit_leaves_a_model_and_a_run_to_resume(folder):
    out = folder / "limited"
    given = ["train", folder / "toy.h5", "--out", out, "--blocks", 2, "--hidden", 16, *SMALL]
    assert run(*given, "--time-limit", 1e-6) == 0
    assert (out / "model.safetensors").is_file()
    assert not (out / "results.json").exists()
    assert run(*given, "--resume") == 0
    assert (out / "results.json").is_file()


def test_a_folder_without_model_is_refused(folder, tmp_path, capsys):
    assert run("sample", tmp_path, "--out", folder / "e.h5") == 2
    assert "holds no model.safetensors" in capsys.readouterr().err
    assert not (folder / "e.h5").exists()


def test_a_hitflow_is_exported_to_onnx_only(folder, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    assert run("train", folder / "toy.h5", "--model", "hitflow", "--out", folder / "hitflow", *SMALL) == 0
    out = tmp_path / "h.onnx"
    assert run("export", folder / "hitflow", "--out", out, "--json", tmp_path / "h.json") == 0
    assert "noise_hits" in capsys.readouterr().out
    results = json.loads((tmp_path / "h.json").read_text())
    assert results["precision"] == "double"
    assert results["difference"] < 1e-5
    assert out.is_file()
    assert run("export", folder / "hitflow", "--out", tmp_path / "cpp", "--format", "cpp") == 2
    assert "can't be exported as cpp" in capsys.readouterr().err
