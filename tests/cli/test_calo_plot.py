"""lhcflow calo plot: each published figure is one command."""

import json

import numpy as np
import pytest
from PIL import Image

from calorimeter.models.toys import toy_showers
from calorimeter.samples import DATA
from lhcflow.calorimeter import Showers, geometry, read_showers, write_showers
from lhcflow.cli import main

REAL, OTHER = DATA / "e+.h5", DATA / "gamma.h5"


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in ("calo", "plot", *arguments)])
    return end.value.code


def drawn(folder):
    """Names of the figures; each is a picture with something on it."""
    for path in folder.iterdir():
        pixels = np.asarray(Image.open(path).convert("L"))
        assert min(pixels.shape) > 200
        assert (pixels < 128).mean() > 0.002
    return {path.stem for path in folder.iterdir()}


def test_figures_of_a_caloflow_paper(tmp_path):
    names = ["--label", "Geant4", "--label", "flow"]
    assert run(REAL, OTHER, *names, "--out", tmp_path / "figures", "--format", "png", "-q") == 0
    assert drawn(tmp_path / "figures") == {
        "average", "neighbours", "energies", "energy_fractions", "lateral_widths", "centres_of_energy",
        "sparsity", "brightest_voxels", "shower_depth",
    }  # fmt: skip


def test_figures_of_one_sample(tmp_path):
    given = ["--what", "average", "--format", "png", "-q"]
    assert run(REAL, "--out", tmp_path / "figures", *given) == 0
    assert drawn(tmp_path / "figures") == {"average"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds1-pions", "ds2"])
def test_figures_of_the_calochallenge(tmp_path, name):
    place = geometry(name)
    for file in ("a", "b"):
        incident, voxels = toy_showers([x.size for x in place.layers], 60, seed=ord(file))
        write_showers(tmp_path / f"{file}.h5", Showers(place, incident, voxels))
    files = [tmp_path / "a.h5", tmp_path / "b.h5"]
    assert run(*files, "--out", tmp_path / "figures", "--format", "png", "-q") == 0
    assert drawn(tmp_path / "figures") == {
        "average", "neighbours", "layer_energies", "total_energy", "centres_in_eta", "centres_in_phi",
        "centres_in_r", "widths_in_eta", "widths_in_phi", "widths_in_r", "sparsity",
    }  # fmt: skip


def test_times(tmp_path):
    table = {
        "Geant4": {"showers": [1, 10], "seconds": [1.0, 10.0]},
        "flow": {"showers": [1], "seconds": [0.1]},
    }
    (tmp_path / "times.json").write_text(json.dumps(table))
    given = ["--what", "time", "--times", tmp_path / "times.json", "--format", "png", "-q"]
    assert run(REAL, "--out", tmp_path / "figures", *given) == 0
    assert drawn(tmp_path / "figures") == {"time"}


@pytest.mark.slow
def test_auc_against_the_number_of_showers(tmp_path):
    """Each shower twice: the floor is one half against the other, and needs 100 in each."""
    files = []
    for path in (REAL, OTHER):
        some = read_showers(path)
        twice = Showers(some.geometry, np.tile(some.energy, 2), np.tile(some.voxels, (2, 1)))
        files.append(tmp_path / path.name)
        write_showers(files[-1], twice)
    given = ["--what", "auc", "--repeats", 1, "--format", "png", "-q"]
    assert run(*files, "--out", tmp_path / "figures", *given) == 0
    assert drawn(tmp_path / "figures") == {"auc"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "one"], "2 files need as many different names"),
        (["--what", "time"], "--what time needs --times FILE.json"),
        (["--what", "time", "--times", "missing.json"], "can't read missing.json"),
        (["--what", "time", "--times", str(REAL)], "needs {"),
        (["--threshold", "1e9"], "all energies are 0"),
    ],
)
def test_bad_input(tmp_path, capsys, arguments, message):
    assert run(REAL, OTHER, "--out", tmp_path / "figures", *arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


def test_auc_needs_two_samples(tmp_path, capsys):
    assert run(REAL, "--out", tmp_path / "figures", "--what", "auc") == 2
    assert "needs a Geant4 file and a generated one" in capsys.readouterr().err
