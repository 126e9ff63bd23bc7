"""Showers as they come from others: files in other units and shapes, wrong inputs, and tails of models."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from calorimeter.models.toys import SHAPES, toy_showers
from calorimeter.samples import DATA, electrons
from lhcflow import InputError
from lhcflow.calorimeter import ShowerFile, Showers, geometry, read_showers, write_showers
from lhcflow.calorimeter.evaluation import evaluate
from lhcflow.calorimeter.export import export_onnx, input_names
from lhcflow.calorimeter.export.onnx_file import feeds, session
from lhcflow.calorimeter.features import Feature, Features
from lhcflow.calorimeter.models import (
    CaloFlow,
    HitFlow,
    InductiveCaloFlow,
    ShowerModel,
    TrainingSettings,
    build_model,
    new_student,
)
from lhcflow.calorimeter.models.preprocessing import EnergyFractions
from lhcflow.calorimeter.models.training import split
from lhcflow.calorimeter.outside import exceedance, outside
from lhcflow.classifiers import CALOFLOW
from lhcflow.classifiers.calibration import auc, auc_error, jensen_shannon, jensen_shannon_error
from lhcflow.cli import main
from lhcflow.cli.calo.evaluate_report import summary_tables, warnings_of

CUSTOM = """<Bins>
  <Bin pid="22" name="gammaX">
    <Layer id="0" r_edges="0,5,10,30" n_bin_alpha="1"/>
    <Layer id="1" r_edges="0,2,4,8,16" n_bin_alpha="6"/>
    <Layer id="2" r_edges="0" n_bin_alpha="1"/>
    <Layer id="12" r_edges="0,20,60" n_bin_alpha="4"/>
  </Bin>
</Bins>
"""


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in ("calo", *arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A geometry of one's own, showers in it, and a teacher."""
    path = tmp_path_factory.mktemp("outside")
    (path / "cust.xml").write_text(CUSTOM)
    place = geometry(path / "cust.xml")
    incident, voxels = toy_showers([layer.size for layer in place.layers], 80)
    write_showers(path / "toy.h5", Showers(place, incident.astype(np.float32), voxels))
    incident, voxels = toy_showers([layer.size for layer in place.layers], 80, seed=1)
    write_showers(path / "other.h5", Showers(place, incident.astype(np.float32), voxels))
    shape = ["--geometry", path / "cust.xml", "--blocks", 2, "--hidden", 16, "--epochs", 1, "-q"]
    assert run("train", path / "toy.h5", "--out", path / "teacher", *shape) == 0
    return path


# Files


Change = Callable[[dict[str, np.ndarray]], object]


def challenge(path: Path, change: Change = lambda data: None) -> None:
    """A file of data set 1 with something changed."""
    incident, voxels = toy_showers([layer.size for layer in geometry("ds1-photons").layers], 40)
    data = {"showers": voxels, "incident_energies": incident[:, None].astype(np.float32)}
    change(data)
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values


def calogan(path: Path, change: Change = lambda data: None) -> None:
    """A file in CaloGAN's format with something changed."""
    with h5py.File(DATA / "e+.h5") as file:
        data = {name: file[name][:40] for name in file}
    change(data)
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values


def scaled(factor: float, *names: str) -> Change:
    return lambda data: data.update({name: data[name] * factor for name in names})


def layers(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda data: data.update({f"layer_{i}": change(data[f"layer_{i}"]) for i in range(3)})


LAYERS = ("layer_0", "layer_1", "layer_2")
UNITS = {
    "CaloGAN, incident in MeV": (calogan, scaled(1e3, "energy"), "0.001 of their incident energy"),
    "CaloGAN, layers in GeV": (calogan, scaled(1e-3, *LAYERS), "0.001 of their incident energy"),
    "CaloGAN, layers in keV": (calogan, scaled(1e3, *LAYERS), r"1e\+03 of their incident energy"),
    "challenge, incident in GeV": (challenge, scaled(1e-3, "incident_energies"), "incident energies go from"),
    "challenge, voxels in GeV": (challenge, scaled(1e-3, "showers"), "0.0009. of their incident energy"),
    "challenge, all in GeV": (
        challenge,
        scaled(1e-3, "showers", "incident_energies"),
        "energies go from 1.+MeV",
    ),
    "one shower with 1000 times its energy": (
        challenge,
        lambda data: data["showers"].__setitem__(5, 1e3 * data["showers"][5]),
        "a shower has 9.+ times its incident energy",
    ),
    "no energy": (challenge, scaled(0.0, "showers"), "no voxel has any energy"),
}


@pytest.mark.parametrize("name", UNITS)
def test_other_units_are_refused_and_taken_on_demand(tmp_path, name):
    write, change, message = UNITS[name]
    write(tmp_path / "a.h5", change)
    with pytest.raises(InputError, match=message) as caught:
        read_showers(tmp_path / "a.h5")
    assert str(tmp_path / "a.h5") in str(caught.value)
    assert len(read_showers(tmp_path / "a.h5", any_scale=True)) == 40


@pytest.mark.parametrize(("name", "share"), [("pions", 0.3), ("raw deposits", 0.033), ("data set 2", 2.8)])
def test_right_shares_of_the_incident_energy_are_taken(tmp_path, name, share):
    """Medians of CaloGAN's pions and of deposits in silicon, and the largest single one of data set 2."""
    challenge(tmp_path / "a.h5", scaled(share / 0.95, "showers"))
    showers = read_showers(tmp_path / "a.h5")
    assert np.median(showers.voxels.sum(1) / showers.energy_mev) == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize("change", [lambda x: x.reshape(len(x), -1), lambda x: x[..., None], np.float64])
def test_flat_layers_and_layers_with_a_channel_are_the_same(tmp_path, change):
    calogan(tmp_path / "a.h5", layers(change))
    np.testing.assert_array_equal(read_showers(tmp_path / "a.h5").voxels, electrons().voxels[:40])


def linked(path: Path, link: object) -> None:
    with h5py.File(path, "w") as file:
        file["showers"], file["incident_energies"] = link, np.full((3, 1), 1e4)


BAD = {
    "soft link": (lambda path: linked(path, h5py.SoftLink("/nope")), "showers is a link to /nope"),
    "external link": (
        lambda path: linked(path, h5py.ExternalLink("nope.h5", "showers")),
        "showers is a link to showers of the file nope.h5",
    ),
    "group": (
        lambda path: challenge(path, lambda d: d.update({"showers/x": d.pop("showers")})),
        "no array of",
    ),
    "text": (lambda path: linked(path, np.array([b"a"] * 3)), "showers is no array of numbers"),
    "complex": (lambda path: linked(path, np.ones((3, 368), complex)), "showers is no array of numbers"),
    "records": (lambda path: linked(path, np.zeros(3, [("a", "f4")])), "showers is no array of numbers"),
    "three axes": (lambda path: linked(path, np.ones((3, 8, 46))), r"showers has shape \(3, 8, 46\)"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "gzipped": (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(100)), "not an HDF5 file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_and_leave_nothing(tmp_path, name, capsys):
    write, message = BAD[name]
    write(tmp_path / "bad.h5")
    with pytest.raises(InputError, match=message):
        read_showers(tmp_path / "bad.h5")
    assert run("train", tmp_path / "bad.h5", "--out", tmp_path / "run") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_attributes_with_bytes_that_are_no_text(tmp_path):
    challenge(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["b"] = np.bytes_(b"bytes\xff")
        file.attrs["n"] = [1, 2]
    with ShowerFile(tmp_path / "a.h5") as file:
        assert file.description == {"b": "bytes\ufffd", "n": "[1 2]"}


# Commands


def test_no_command_replaces_an_input_or_a_model(folder, tmp_path, capsys):
    model = folder / "teacher" / "model.safetensors"
    before = model.read_bytes()
    (tmp_path / "link.h5").symlink_to(model)
    sample = ["sample", folder / "teacher", "--geometry", folder / "cust.xml"]
    toy = folder / "toy.h5"
    for arguments in (
        [*sample, "--out", model],
        [*sample, "--out", tmp_path / "link.h5"],
        [*sample, "--out", tmp_path / "new.h5", "--json", model],
        [*sample, "--out", tmp_path / "new.h5", "--json", folder / "teacher" / "results.json"],
        [*sample, "--out", tmp_path / "new.h5", "--json", folder / "cust.xml"],
        [*sample, "--out", toy, "--like", toy],
        ["export", folder / "teacher", "--out", model],
        ["export", folder / "teacher", "--out", toy, "--format", "cpp"],
        ["distill", folder / "teacher", toy, "--out", folder / "teacher", "--force"],
        ["distill", model, toy, "--out", folder / "teacher", "--force"],
        ["train", toy, "--out", tmp_path / "run", "--json", toy],
        ["evaluate", toy, toy, "--out", tmp_path / "run", "--json", toy],
    ):
        assert run(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert model.read_bytes() == before
    assert not (tmp_path / "run").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["link.h5"]
    (tmp_path / "cpp").mkdir()
    (tmp_path / "cpp" / "example.cpp").write_text("int main() {}")
    assert run("export", folder / "teacher", "--out", tmp_path / "cpp", "--format", "cpp") == 2
    assert [path.name for path in (tmp_path / "cpp").iterdir()] == ["example.cpp"]


def test_a_geometry_of_ones_own_goes_through_all_commands(folder, tmp_path):
    xml, toy = ["--geometry", folder / "cust.xml"], folder / "toy.h5"
    out = tmp_path / "student"
    assert run("distill", folder / "teacher", toy, "--out", out, *xml, "--epochs", 1, "-q") == 0
    assert run("sample", out, "--out", tmp_path / "made.h5", "--like", toy, *xml, "-q") == 0
    made, given = (read_showers(path, folder / "cust.xml") for path in (tmp_path / "made.h5", toy))
    np.testing.assert_array_equal(made.energy, given.energy)
    figures = ["--out", tmp_path / "figures", "--what", "average", "--format", "png", "-q"]
    assert run("plot", toy, tmp_path / "made.h5", *xml, *figures) == 0


def test_a_resumed_run_notices_other_showers_of_the_same_number(folder, tmp_path, capsys):
    shutil.copy(folder / "toy.h5", tmp_path / "a.h5")
    xml = ["--geometry", folder / "cust.xml"]
    train = ["train", tmp_path / "a.h5", "--out", tmp_path / "run", *xml, "--blocks", 1, "--hidden", 8, "-q"]
    assert run(*train, "--epochs", 2, "--time-limit", 1e-6) == 0
    shutil.copy(folder / "other.h5", tmp_path / "a.h5")
    assert run(*train, "--epochs", 2, "--resume") == 2
    assert "content was 'sha256:" in capsys.readouterr().err
    shutil.copy(folder / "toy.h5", tmp_path / "a.h5")
    assert run(*train, "--epochs", 2, "--resume") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "toy.h5", "--geometry", "cust.xml", "--device", "gpu"],
        ["train", "toy.h5", "--geometry", "cust.xml", "--learning-rate", -1],
        ["train", "toy.h5", "--geometry", "missing.xml"],
        ["train", "toy.h5"],
        ["train", "toy.h5", "--geometry", "cust.xml", "--seed", -1],
        ["distill", "teacher", "toy.h5", "--geometry", "cust.xml", "--device", "gpu"],
        ["distill", "teacher", str(DATA / "e+.h5")],
        ["evaluate", "toy.h5", "toy.h5", "--geometry", "cust.xml", "--device", "gpu"],
    ],
)
def test_what_is_refused_leaves_no_folder(folder, tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(folder)
    assert run(*arguments, "--out", tmp_path / "deep" / "run") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_arguments_that_no_function_can_take(tmp_path):
    incident, voxels = toy_showers([4, 2], 60)
    model = CaloFlow.build((4, 2), blocks=1, hidden=(8,))
    for make in (
        lambda: model.sample(incident, seed=-1),
        lambda: model.sample(incident, seed=1.5),  # type: ignore[arg-type]
        lambda: model.sample("energies"),
        lambda: TrainingSettings(seed=-1),
        lambda: TrainingSettings(epochs=0),
        lambda: model.train_on(incident, voxels, TrainingSettings(epochs=1, device="gpu", progress=False)),
        lambda: build_model("caloflow", geometry("calogan"), seed=-1),
        lambda: read_showers(DATA / "e+.h5", limit=0),
        lambda: read_showers(DATA / "e+.h5", dtype="S4"),
        lambda: geometry(None),  # type: ignore[arg-type]
        lambda: evaluate(electrons(), electrons(), CALOFLOW, seed=-1),
        lambda: evaluate(electrons(), electrons(), CALOFLOW, device="gpu"),
    ):
        with pytest.raises(InputError) as caught:
            make()
        assert "\n" not in str(caught.value)


# Tails of models


@pytest.fixture(scope="module")
def hitflow() -> tuple[HitFlow, np.ndarray, np.ndarray]:
    incident, voxels = toy_showers([8, 4], 1500, empty=0.1)
    model = HitFlow.build(SHAPES)
    model.train_on(incident, voxels, TrainingSettings(epochs=1, progress=False, validation=0.01))
    return model, incident, voxels


def test_no_layer_has_a_share_that_no_shower_had(hitflow):
    """The bounds are numpy's on the training showers; a flow without them leaves the range."""
    model, incident, voxels = hitflow
    first, total = voxels[:, :8].sum(1), voxels.sum(1)
    seen, most = first / total, (total / incident).max()
    given = torch.from_numpy(np.random.default_rng(0).choice(incident, 20_000))

    def outside() -> int:
        energies = model.energies.sample(given, torch.Generator().manual_seed(1)).numpy()
        found, all_of = energies[:, 0] / energies.sum(1), energies.sum(1)
        assert (all_of / given.numpy() <= 1.003 * most).all()
        return int(((found < seen.min() - 1e-6) | (found > seen.max() + 1e-6)).sum())

    assert outside() == 0
    bound = model.energies.fractions
    model.energies.fractions = EnergyFractions(bound.top, bound.alpha)
    try:
        assert outside() > 3
    finally:
        model.energies.fractions = bound


def test_no_hit_is_brighter_than_any_was_before_its_layer_is_scaled(hitflow):
    """Latent numbers of 8 sigma, which one cell in 10^15 has: they keep to the largest share in the fit."""
    model, incident, _ = hitflow
    hits, n = model.hits, 400
    generator = torch.Generator().manual_seed(1)
    energies = model.energies.sample(torch.from_numpy(incident[:n]), generator)
    chances = torch.full((n, 12), 0.0)
    latent = torch.full((n, 12), 8.0)
    caught = []
    scale = hits.renormalise
    hits.renormalise = lambda excess, energies: caught.append(excess) or scale(excess, energies)  # type: ignore[assignment]
    try:
        hits._decode(torch.from_numpy(incident[:n]), energies, chances, latent)
    finally:
        del hits.renormalise
    largest = hits.brightest[hits.orbit].exp().double()
    assert (caught[0] <= largest * (1 + 1e-5)).all()
    assert (caught[0] >= largest * (1 - 1e-5)).double().mean() > 0.5


def test_the_largest_share_of_the_fit_is_that_of_the_showers():
    """A core in one layer, which is generated inwards, so that its shares are fitted as they are."""
    random = np.random.default_rng(2)
    voxels = random.gamma(2.0, 10.0, (500, 16))
    voxels[:, [5, 6, 9, 10]] *= 20
    model = HitFlow.build(((4, 4),))
    settings = TrainingSettings(epochs=1, progress=False, validation=0.01)
    model.train_on(np.full(500, 1e5), voxels, settings)
    kept, _ = split(500, 0.01, settings.seed)
    share = ((voxels - model.hits.threshold) / voxels.sum(1, keepdims=True))[kept.numpy()]
    for orbit in range(4):
        largest = share[:, model.hits.cells.orbits == orbit].max()
        assert float(model.hits.brightest[orbit].exp()) == pytest.approx(largest, rel=1e-5)


def test_models_of_older_files_have_no_bounds(tmp_path, hitflow):
    model = hitflow[0]
    state = model.hits.state_dict()
    del state["brightest"]
    fresh = HitFlow.build(SHAPES, seed=3)
    fresh.hits.load_state_dict(state)
    assert (fresh.hits.brightest == 0).all()


# ONNX


def test_graphs_say_nan_to_wrong_inputs(tmp_path):
    names = "fastcalosim"
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    shapes = ((4, 12), (4, 6))  # 72 cells: all normal numbers between 0 and 1 with a probability of 1e-34
    student = new_student(CaloFlow.build((48, 24), blocks=1, hidden=(8,)), seed=1)
    for model in (HitFlow.build(shapes), student):
        export_onnx(model, tmp_path / "a.onnx", names)
        incident = np.array([[1e4], [0.0], [-5.0], [np.nan], [np.inf], [1e4], [1e4], [1e4]])
        noise = [x.numpy() for x in model.noise(8, torch.Generator().manual_seed(2))]
        uniform = np.random.default_rng(3).random(72)
        noise[-1][5] = uniform
        noise[0][6, 1] = np.nan
        if isinstance(model, HitFlow):
            noise[1][7] = noise[2][7]
        values = feeds(names, incident, *noise)
        (made,) = session(tmp_path / "a.onnx").run(None, values)
        right = np.array([True, *[False] * 6, not isinstance(model, HitFlow)])
        np.testing.assert_array_equal(np.isfinite(made).all(1), right)
        np.testing.assert_array_equal(np.isnan(made).all(1), ~right)
        graph = onnx.load(tmp_path / "a.onnx")
        notes = {entry.key: entry.value for entry in graph.metadata_props}
        names_of_inputs = input_names(names, len(noise) + 1)  # type: ignore[arg-type]
        assert notes.keys() == {"model", *names_of_inputs}
        assert all("NaN" in notes[name] for name in names_of_inputs)
        if isinstance(model, HitFlow):
            assert "uniform" in notes[names_of_inputs[2]]


# Evaluation


def test_exceedances_have_the_probability_that_counting_gives():
    """All orders of 3 real and 4 generated numbers, counted."""
    orders = list(itertools.combinations(range(7), 3))  # places of the real ones
    for count in range(6):
        exact = sum(6 - max(real) >= count for real in orders) / len(orders)
        assert exceedance(count, 3, 4) == pytest.approx(exact, rel=1e-12)


def test_entries_outside_the_range_are_counted_and_named():
    columns = (Feature("a", "a", "a", "mm"), Feature("b", "b", "b"))
    random = np.random.default_rng(1)
    real, made = random.uniform(0, 1, (1000, 2)), random.uniform(0.01, 0.99, (500, 2))
    real[:2, 0] = 0.0, 1.0
    real[:2, 1] = 0.0, 1.0
    made[[7, 9, 11], 0] = 1.4, 13.0, -0.6
    (found,) = outside(Features(columns, real), Features(columns, made))
    assert (found.feature, found.count, found.far) == ("a", 3, 2)
    assert (found.value, found.shower) == (13.0, 9)
    assert found.probability == pytest.approx(2 * (500 * 499) / (1500 * 1499))
    assert "a from 0 to 1 mm, 2 far outside, the farthest 13 mm in shower 9" in str(found)


def test_errors_of_auc_and_jsd_are_the_spread_of_repeated_samples():
    """400 samples of 200 events: the spread itself is known to 3.5 %; 5 sigma, false alarms below 1e-5."""
    random = np.random.default_rng(4)
    label = np.repeat([1, 0], 100)
    areas, divergences, errors = [], [], []
    for _ in range(400):
        score = random.normal(0.7 * label)
        p = 1 / (1 + np.exp(-0.7 * (score - 0.35)))  # the exact probability
        areas.append(auc(score, label))
        divergences.append(jensen_shannon(p, label))
        errors.append((auc_error(score, label), jensen_shannon_error(p, label)))
        assert areas[-1] == pytest.approx(roc_auc_score(label, score))
    mean = np.sqrt(np.mean(np.square(errors), axis=0))
    assert mean[0] == pytest.approx(np.std(areas), rel=0.18)
    assert mean[1] == pytest.approx(np.std(divergences), rel=0.18)
    # Without a difference the variance is (n + m + 1) / (12 n m), Mann and Whitney's.
    found = np.mean([auc_error(random.normal(size=200), label) ** 2 for _ in range(200)])
    assert found == pytest.approx(201 / 120_000, rel=0.03)


@pytest.fixture(scope="module")
def one_outlier():
    """Geant4 against itself, where one generated shower has half of its first layer in a corner."""
    showers = electrons()
    voxels = showers.voxels.copy()
    voxels[70, 0] = voxels[70, :288].sum()
    made = Showers(showers.geometry, showers.energy, voxels)
    late = Showers(showers.geometry, showers.energy + 60, showers.voxels)
    return [
        (showers, made, evaluate(showers, made, CALOFLOW, levels=(), other_real=other))
        for other in (showers, late)
    ]


def test_one_shower_far_outside_is_named_and_explains_the_fpd(one_outlier):
    real, made, result = one_outlier[0]
    warnings = " ".join(warnings_of(real, made, result))
    assert "far outside the range of the real ones" in warnings
    assert "in shower 70" in warnings
    assert "FPD × 10³ is" in warnings
    assert "The incident energies" not in warnings
    found = result.to_dict()["outside"]
    assert found["centre_eta_0"]["shower"] == 70
    assert found["centre_eta_0"]["value"] < -100
    dropped = result.to_dict()["generated"]["separation"]["features"]["centre_eta_0"]["dropped"]
    assert dropped == (0.0, pytest.approx(1 / 150))


def test_a_floor_at_other_energies_says_that_it_is_none(one_outlier):
    real, made, result = one_outlier[1]
    assert result.floor_note.endswith("this is no floor")
    assert any("is no floor" in warning for warning in warnings_of(real, made, result))


def test_headlines_carry_errors():
    showers = electrons()
    quick = CALOFLOW.__class__("caloflow", (8,), 1e-3, 100, 1)
    result = evaluate(showers, showers, quick, levels=("low",), floor=False)
    cells = {row[0]: row[1] for row in summary_tables(result)[0].rows}
    test = result.result.tests["low"]
    assert cells["AUC, voxels"] == f"{test.auc[0]:.3f} ± {test.auc_error[0]:.3f}"
    assert cells["JSD, voxels"] == f"{test.jsd[0]:.3f} ± {test.jsd_error[0]:.3f}"
    assert 0.04 < test.auc_error[0] < 0.11  # 30 of each: 0.075 without a difference
    assert result.to_dict()["generated"]["classifier"]["low"]["auc"]["error"] == pytest.approx(
        test.auc_error[0]
    )
    assert not math.isnan(test.jsd_error[0])


def test_energies_that_no_training_had_are_warned_of(folder, tmp_path, capsys):
    """The toys have 1 to 100 GeV."""
    sample = [
        "sample",
        folder / "teacher",
        "--geometry",
        folder / "cust.xml",
        "--out",
        tmp_path / "a.h5",
        "-n",
        3,
    ]
    for limits, warned in (((1, 100), False), ((200, 300), True), ((0.1, 0.2), True)):
        assert run(*sample, "--energy", *limits) == 0
        assert (
            "showers of other energies are guesses" in " ".join(capsys.readouterr().out.split())
        ) == warned


def test_figures_that_fail_leave_no_folder(folder, tmp_path):
    out = tmp_path / "deep" / "figures"
    assert (
        run("plot", folder / "toy.h5", "--geometry", folder / "cust.xml", "--out", out, "--what", "auc") == 2
    )
    assert list(tmp_path.iterdir()) == []


def test_showers_take_lists_and_nothing_but_numbers():
    place = geometry("calogan")
    made = Showers(place, [1, 2], np.ones((2, 504), int))  # type: ignore[arg-type]
    assert made.energy_mev.tolist() == [1000.0, 2000.0]
    assert made.layer_energies().sum() == 2 * 504
    for energy, voxels in (
        (["a"], np.ones((1, 504))),
        ([1j], np.ones((1, 504))),
        ([1.0], None),
        (None, None),
    ):
        with pytest.raises(InputError, match="must be numbers"):
            Showers(place, energy, voxels)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["caloflow", "icaloflow"])
def test_no_voxel_of_a_trained_flow_has_a_share_that_no_shower_gave_it(tmp_path, name):
    """Voxel 3 of each layer has a hundredth at most; a flow that has learned little gives it more.

    Layers are scaled to their energies at last, by less than the 0.99 that other voxels can have.
    """
    random = np.random.default_rng(5)
    voxels = random.gamma(1.0, 100.0, (300, 2, 4))
    voxels[:, :, 3] = 0.01 * random.random((300, 2)) * voxels.sum(2)
    voxels = voxels.reshape(300, 8)
    kind = CaloFlow if name == "caloflow" else InductiveCaloFlow
    model = kind.build((4, 4), blocks=1, hidden=(8,))
    incident = 1.1 * voxels.sum(1)
    model.train_on(incident, voxels, TrainingSettings(epochs=1, progress=False))
    bound = (model.voxels if isinstance(model, CaloFlow) else model).brightest
    noisy = (voxels + 0.0005 * (1 if name == "caloflow" else 5)).reshape(300, 2, 4)
    np.testing.assert_allclose(bound, (noisy / noisy.sum(2, keepdims=True)).max(0).ravel(), rtol=1e-4)

    def largest() -> float:
        made = model.sample(incident, seed=1).reshape(300, 2, 4)
        return float((made[:, :, 3] / made.sum(2).clip(1e-9)).max())

    before = largest()
    model.save(tmp_path / "model")
    again = ShowerModel.load(tmp_path / "model")
    np.testing.assert_array_equal(again.sample(incident, seed=1), model.sample(incident, seed=1))
    bound.fill_(1.0)
    assert before < 0.2 < largest()
