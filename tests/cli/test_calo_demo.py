"""lhcflow calo demo: the whole chain, small; what it refuses."""

import json

import numpy as np
import pytest

from calorimeter.samples import DATA
from lhcflow.calorimeter import Showers, geometry, read_showers, write_showers
from lhcflow.cli import main


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in ("calo", "demo", *arguments)])
    return end.value.code


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_chain(tmp_path, capsys):
    """From a file, so that Geant4 is not needed; its commands are those that it shows."""
    pytest.importorskip("onnxruntime")
    out = tmp_path / "demo"
    given = ["--real", DATA / "e+.h5", "-n", 150, "--epochs", 2, "--out", out]
    assert run(*given, "--json", tmp_path / "all.json") == 0
    shown = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert results == json.loads((tmp_path / "all.json").read_text())
    assert [step["command"].split()[2] for step in results["steps"]] == [
        "train", "distill", "train", *["sample", "evaluate"] * 3, "export", "export",
    ]  # fmt: skip
    assert all(step["command"] in " ".join(shown.split()) for step in results["steps"])
    assert results["test_showers"] == 45
    assert results["onnx"]["difference"] < 1e-5
    for name in ("teacher.h5", "student.h5", "hitflow.h5"):
        np.testing.assert_array_equal(read_showers(out / name).energy, read_showers(out / "test.h5").energy)
    assert {"student.onnx", "cpp", "report.html", "figures"} <= {path.name for path in out.iterdir()}
    text = (out / "report.html").read_text()
    for words in (
        "AUC of the classifier test",
        "teacher, incremental",
        "Nearest neighbours",
        "lhcflow calo distill",
    ):
        assert words in text
    assert run(*given) == 2  # finished
    (out / "results.json").unlink()
    assert run(*given, "--resume", "-q") == 0
    again = json.loads((out / "results.json").read_text())
    assert all(step["seconds"] is None for step in again["steps"])
    assert again["auc"] == results["auc"]


def test_bad_input(tmp_path, capsys):
    place = geometry("ds1-photons")
    write_showers(tmp_path / "other.h5", Showers(place, np.full(150, 1e4), np.ones((150, place.voxels))))
    for arguments, message in (
        (["--real", DATA / "e+.h5", "-n", 151], "holds 150 showers: give --showers 150 or less"),
        (["--real", tmp_path / "other.h5", "-n", 150], "takes showers in the CaloGAN geometry"),
        (["--real", tmp_path / "none.h5"], "No such file"),
        (["-n", 20], "--showers"),
    ):
        assert run("--out", tmp_path / "demo", "--force", *arguments) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert message in err
