"""lhcflow calo evaluate: what it finds, what it writes, what it refuses."""

import json

import h5py
import numpy as np
import pytest

from calorimeter.samples import DATA, electrons, photons
from lhcflow.calorimeter import Showers, geometry, write_showers
from lhcflow.calorimeter.features import calogan_features
from lhcflow.calorimeter.metrics import evaluate, fpd, high_level_inputs, separation_power
from lhcflow.classifiers import CALOFLOW
from lhcflow.cli import main
from lhcflow.cli.calo.evaluate_report import warnings_of

REAL, OTHER = DATA / "e+.h5", DATA / "gamma.h5"
QUICK = ["--repeats", 1, "--epochs", 2, "--quiet"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in ("calo", *arguments)])
    return end.value.code


def scrambled():
    """The photons with the cells of each layer in another order: energies as they were, no shower shape."""
    showers = photons()
    voxels = showers.voxels.copy()
    for part in showers.geometry.slices:
        order = np.random.default_rng(part.start).permutation(part.stop - part.start)
        voxels[:, part] = voxels[:, part][:, order]
    return Showers(showers.geometry, showers.energy, voxels)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Electrons against scrambled photons."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_showers(folder / "made.h5", scrambled())
    given = [
        "--epochs",
        15,
        "--repeats",
        2,
        "--reweight",
        "--seed",
        3,
        "--quiet",
        "--json",
        folder / "x.json",
    ]
    assert run("evaluate", REAL, folder / "made.h5", "--out", folder / "run", *given) == 0
    return folder / "run"


def test_wrong_shapes_are_seen(evaluated):
    """30 of each in the result: the AUC of equal samples is 0.5 with a standard deviation of 0.075."""
    results = json.loads((evaluated / "results.json").read_text())
    high = results["generated"]["classifier"]["high"]
    assert len(high["auc"]["values"]) == 2
    assert high["auc"]["mean"] > 0.95
    assert results["floor"]["classifier"]["high"]["auc"]["mean"] < 0.8
    assert high["events_per_class"] == {"train": 90, "calibrate": 30, "result": 30}
    assert results["floor_note"].startswith("halves of the real sample, 75 and 75")
    assert results["threshold_mev"] == geometry("calogan").threshold
    groups = results["generated"]["separation"]["groups"]
    assert groups["width_eta"] > 0.5 > groups["E_tot"]
    assert results == json.loads((evaluated.parent / "x.json").read_text())


def test_numbers_are_those_of_the_functions(evaluated):
    results = json.loads((evaluated / "results.json").read_text())["generated"]
    pair = [s.cut() for s in (electrons(), scrambled())]
    assert results["fpd"]["value"] == pytest.approx(fpd(*(high_level_inputs(s) for s in pair)).value)
    found = results["separation"]["features"]["width_eta_1"]
    values = [calogan_features(s)["width_eta_1"] for s in pair]
    edges = np.linspace(found["low"], found["high"], found["bins"] + 1)
    assert found["power"] == pytest.approx(separation_power(*values, edges))


def test_files_of_a_run(evaluated):
    names = {path.stem.partition("_")[2] for path in (evaluated / "figures").iterdir()}
    assert names == {
        "classifiers", "energies", "energy_fractions", "lateral_widths", "centres_of_energy", "sparsity",
        "brightest_voxels", "shower_depth", "average_showers", "nearest_neighbours",
    }  # fmt: skip
    text = (evaluated / "report.html").read_text()
    for words in ("effective sample size", "Geant4", "separation power", "The AUC rests on 30 showers"):
        assert words in text
    with np.load(evaluated / "weights.npz") as file:
        weights = file["weights"]
    assert weights.shape == (150,)
    assert weights.mean() == pytest.approx(1)
    reported = json.loads((evaluated / "results.json").read_text())["reweighting"]
    assert reported["effective_sample_size"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_a_finished_run_is_kept(evaluated, capsys):
    before = (evaluated / "results.json").read_bytes()
    assert run("evaluate", REAL, OTHER, "--out", evaluated, *QUICK) == 2
    assert "finished run" in capsys.readouterr().err
    assert (evaluated / "results.json").read_bytes() == before


@pytest.mark.slow
def test_published_results_stand_beside_data_set_1(tmp_path):
    place = geometry("ds1-photons")
    rng = np.random.default_rng(0)
    for name in ("a.h5", "b.h5", "c.h5"):
        voxels = (rng.gamma(0.3, 300.0, (60, place.voxels))).astype(np.float32)
        write_showers(tmp_path / name, Showers(place, np.full(60, 65536.0, np.float32), voxels))
    files = [tmp_path / name for name in ("a.h5", "b.h5")]
    given = ["--floor", tmp_path / "c.h5", "--protocol", "caloflow"]
    assert run("evaluate", *files, "--out", tmp_path / "run", *given, *QUICK) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["floor_note"].startswith("two independent real samples, 60 and 60")
    text = (tmp_path / "run" / "report.html").read_text()
    assert "CaloINN" in text
    assert "0.626" in text  # its AUC, 2410.21611


def test_different_energies_are_a_warning():
    showers = photons()
    half = Showers(showers.geometry, showers.energy / 2, showers.voxels / 2)
    warnings = warnings_of(showers, half, evaluate(showers, half, CALOFLOW, floor=False, levels=()))
    assert "incident energies of the two samples differ" in warnings[0]
    assert "no floor" in warnings[-1]
    same = warnings_of(showers, showers, evaluate(showers, showers, CALOFLOW, levels=()))
    assert not any("energies" in w or "no floor" in w for w in same)


def broken(path, kind):
    """A copy of the photons with one thing wrong."""
    if kind == "truncated":
        path.write_bytes(OTHER.read_bytes()[:60_000])
        return path
    if kind == "other geometry":
        place = geometry("ds1-pions")
        write_showers(path, Showers(place, np.full(50, 1e4), np.ones((50, place.voxels))))
        return path
    if kind == "few":
        write_showers(path, photons()[:30])
        return path
    with h5py.File(OTHER) as source, h5py.File(path, "w") as target:
        for key in source:
            values = source[key][:]
            if kind == "NaN" and key == "layer_1":
                values[5, 6, 6] = np.nan
            if kind == "shape" and key == "layer_2":
                values = values.reshape(-1, 6, 12)
            if not (kind == "missing key" and key == "layer_1"):
                target[key] = values
    return path


BAD = {
    "truncated": "truncated",
    "NaN": "1 voxel energies are NaN or infinite, the first in shower 5",
    "shape": "layer_2 has shape (150, 6, 12), needs (150, 12, 6)",
    "missing key": "the data set layer_1 is missing",
    "other geometry": "it is in the CaloChallenge format, calogan is not",
    "few": "the evaluation needs 40 showers in each sample, got 30",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_one_line(tmp_path, capsys, kind):
    given = ["evaluate", REAL, broken(tmp_path / "bad.h5", kind), "--out", tmp_path / "run", *QUICK]
    assert run(*given) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert BAD[kind] in err
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("kind", [k for k in BAD if k != "few"])
def test_figures_refuse_the_same_files(tmp_path, capsys, kind):
    assert run("plot", REAL, broken(tmp_path / "bad.h5", kind), "--out", tmp_path / "figures") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert BAD[kind] in err or "is in ds1-pions" in err
    assert not (tmp_path / "figures").exists()


def test_contradictions(tmp_path, capsys):
    assert run("evaluate", REAL, OTHER, "--out", tmp_path / "r", "--floor", REAL, "--no-floor") == 2
    assert "contradict" in capsys.readouterr().err
