"""The models in the four layouts of the CaloChallenge, on small synthetic showers.

The public data sets are not here: this shows shapes, round trips and energies, not quality.
"""

import json

import h5py
import numpy as np
import pytest

from lhcflow.calorimeter import Showers, geometry, read_showers, write_showers
from lhcflow.calorimeter.models import ShowerModel, build_model
from lhcflow.cli import main

from .toys import toy_showers

CASES = {
    "ds1-photons": ("caloflow", 368, 5),
    "ds1-pions": ("caloflow", 533, 7),
    "ds2": ("icaloflow", 6480, 45),
    "ds3": ("icaloflow", 40500, 45),
}


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in ("calo", *arguments)])
    return end.value.code


@pytest.mark.parametrize("name", CASES)
def test_train_and_sample_by_command(tmp_path, name):
    """An official file goes in, an official file comes out, at its energies and with the model's own."""
    model, voxels, layers = CASES[name]
    place = geometry(name)
    incident, showers = toy_showers([layer.size for layer in place.layers], 24)
    write_showers(tmp_path / "real.hdf5", Showers(place, incident, showers))
    shape = ["--model", model, "--blocks", 2, "--hidden", 8]
    train = ["train", tmp_path / "real.hdf5", "--out", tmp_path / "run", *shape, "--epochs", 1, "-q"]
    assert run(*train) == 0
    flows = json.loads((tmp_path / "run" / "results.json").read_text())["flows"]
    assert all(np.isfinite(flow["validation"]) for flow in flows.values())
    sample = ["--like", tmp_path / "real.hdf5", "--seed", 1, "-q"]
    assert run("sample", tmp_path / "run", "--out", tmp_path / "made.hdf5", *sample) == 0
    with h5py.File(tmp_path / "made.hdf5") as file:
        assert {k: v.shape for k, v in file.items()} == {
            "showers": (24, voxels),
            "incident_energies": (24, 1),
        }
    made = read_showers(tmp_path / "made.hdf5")
    assert made.geometry is place
    np.testing.assert_allclose(made.energy, incident, rtol=1e-6)
    # The deposited energy is at most the largest response of the training, and each layer's sum is its own.
    loaded = ShowerModel.load(tmp_path / "run" / "model.safetensors")
    assert len(loaded.layers.sizes) == layers
    np.testing.assert_array_equal(loaded.sample(made.energy_mev, seed=1), made.voxels)
    most = ((showers.sum(1) + loaded.energies.noise * loaded.energies.layers.voxels) / incident).max()
    assert (made.voxels.sum(1) <= 1.003 * most * incident).all()
    assert (made.voxels >= 0).all()


def test_read_out_thresholds():
    """Data sets 2 and 3 were read out from 15.15 keV on; what lies below 1 MeV in data set 1 is generated."""
    assert build_model("icaloflow", geometry("ds2"), blocks=1, hidden=(4,)).shares.threshold == pytest.approx(
        0.01515, rel=1e-3
    )
    assert build_model("caloflow", geometry("ds1-pions"), blocks=1).voxels.shares.threshold == 0.01


def test_wrong_model_for_a_geometry(tmp_path, capsys):
    place = geometry("ds1-photons")
    incident, showers = toy_showers([layer.size for layer in place.layers], 4)
    write_showers(tmp_path / "real.hdf5", Showers(place, incident, showers))
    assert run("train", tmp_path / "real.hdf5", "--out", tmp_path / "run", "--model", "icaloflow") == 2
    assert "icaloflow needs two or more layers with the same voxels" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
