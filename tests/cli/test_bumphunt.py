"""`lhcflow bumphunt run`, `scan` and `plot`: results, files, and what they refuse."""

import hashlib
import json
import re

import h5py
import numpy as np
import pandas
import pytest

from lhcflow.bumphunt import Events, Toy
from lhcflow.bumphunt.features import JetColumns
from lhcflow.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")

QUICK = ["--folds", "2", "--members", "1", "--epochs", "1", "--toys", "100", "--quiet"]


def run(*arguments):
    """The command in this process; its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return end.value.code


def refused(capsys, *arguments):
    """The one line that a command ends with."""
    assert run(*arguments) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def olympics(events):
    """Toy events as the features file of the LHC Olympics has them: two jets in GeV, without labels."""
    m = 1000 * events.m
    masses = 1000 * np.stack([events.features[:, 0], events.features[:, 0] + events.features[:, 1]])
    # Back to back in the transverse plane: energies from the masses, as in a decay at rest.
    energy = (m**2 + masses[0] ** 2 - masses[1] ** 2) / (2 * m)
    p = np.sqrt(energy**2 - masses[0] ** 2)
    columns = {}
    for j, sign in ((0, 1), (1, -1)):
        tau1 = np.ones(len(m))
        columns |= {
            f"pxj{j + 1}": sign * p,
            f"pyj{j + 1}": 0 * p,
            f"pzj{j + 1}": 0 * p,
            f"mj{j + 1}": masses[j],
            f"tau1j{j + 1}": tau1,
            f"tau2j{j + 1}": events.features[:, 2 + j] * (tau1 + 1e-5),
            f"tau3j{j + 1}": 0.5 * tau1,
        }
    return pandas.DataFrame({c: columns[c] for c in JetColumns})


@pytest.fixture(scope="module")
def events():
    return Toy().sample(background=20_000, signal=200, seed=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, events):
    """A run of CATHODE on an unlabelled file in the layout of the LHC Olympics."""
    folder = tmp_path_factory.mktemp("run")
    olympics(events).to_hdf(folder / "events.h5", key="df", mode="w", format="fixed")
    code = run(
        "bumphunt", "run", folder / "events.h5", "--methods", "cathode", *QUICK, "--cuts", "0.02",
        "--out", folder / "run", "--json", folder / "results.json",
    )  # fmt: skip
    assert code == 0
    return folder / "run"


def test_a_file_of_the_olympics_without_labels(finished, events):
    import pyhf

    results = json.loads((finished / "results.json").read_text())
    assert results == json.loads((finished.parent / "results.json").read_text())
    assert list(results["methods"]) == ["cathode"]
    assert results["improvement"] == {}
    inside = (events.m >= 3.3) & (events.m < 3.7)
    assert results["events"]["in_region"] == pytest.approx(inside.sum(), abs=1)  # masses were rounded
    with h5py.File(finished / "scores.h5") as file:
        efficiency, m = file["cathode"][()], file["m"][()]
    np.testing.assert_allclose(m, events.m, rtol=1e-9)
    (cut,) = results["methods"]["cathode"]["cuts"]
    passed = inside & (efficiency < 0.02)
    assert cut["count"]["observed"] == pytest.approx(passed.sum(), abs=1)
    # The template's background: the working point and the closure times the sidebands' fit before the cut.
    before = results["inclusive"]["count"]["background"] * cut["template"]["closure"]
    assert cut["template"]["background"] == pytest.approx(0.02 * before, rel=0.02)
    # Four features of the toy depend on m a little, and the cut's efficiency is smooth.
    assert results["mass_resolution"]["valid"]
    assert cut["valid"]
    card = (finished / "card.toml").read_text()
    assert hashlib.sha256((finished.parent / "events.h5").read_bytes()).hexdigest() in card
    # The count against the template is in a workspace of pyhf with the same numbers.
    workspace = json.loads((finished / "pyhf" / "cathode_0.02.json").read_text())
    model = pyhf.Workspace(workspace).model()
    assert model.expected_actualdata([0.0, 1.0])[0] == pytest.approx(cut["template"]["background"])
    report = (finished / "report.html").read_text()
    assert "CATHODE" in report
    assert report.count("<svg") == 5  # three of the method, scores, template
    assert not re.search(r"(src|href)=.?http", report)


def test_a_run_goes_on_where_it_stopped(finished, tmp_path, events):
    import shutil

    again = tmp_path / "run"
    shutil.copytree(finished, again)
    (again / "results.json").unlink()
    before = (again / "checkpoints" / "cathode.npz").stat().st_mtime_ns
    command = ["bumphunt", "run", finished.parent / "events.h5", "--methods", "cathode", *QUICK]
    assert run(*command, "--cuts", "0.02", "--out", again, "--resume", "--no-report") == 0
    assert (again / "checkpoints" / "cathode.npz").stat().st_mtime_ns == before
    old, new = (json.loads((f / "results.json").read_text()) for f in (finished, again))
    for results in (old, new):
        for method in results["methods"].values():
            method.pop("cpu_seconds")
    assert old == new


def test_figures_again(finished, tmp_path, capsys):
    assert (
        run("bumphunt", "plot", finished, "--out", tmp_path / "a", "--format", "png", "--what", "spectrum")
        == 0
    )
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["spectrum_cathode.png"]
    assert run("bumphunt", "plot", finished, "--out", tmp_path / "b", "--methods", "cathode", "-q") == 0
    assert {p.name for p in (tmp_path / "b").iterdir()} == {
        "spectrum_cathode.pdf", "p-values_cathode.pdf", "limits_cathode.pdf", "scores.pdf", "template.pdf",
    }  # fmt: skip
    capsys.readouterr()
    out = ("--out", tmp_path / "c")
    assert "no figures of this kind: improvement" in refused(
        capsys, "bumphunt", "plot", finished, *out, "--what", "improvement"
    )
    assert "no results of anode" in refused(capsys, "bumphunt", "plot", finished, *out, "--methods", "anode")
    assert "no finished run" in refused(capsys, "bumphunt", "plot", tmp_path, *out)


def test_labels_give_curves(tmp_path, events, capsys):
    events.write(tmp_path / "events.h5")
    Toy().sample(4000, 400, seed=2, region=(3.3, 3.7)).write(tmp_path / "test.h5")
    command = [
        "bumphunt",
        "run",
        tmp_path / "events.h5",
        "--methods",
        "supervised",
        *QUICK[:-1],
        "--no-report",
    ]
    assert run(*command, "--test", tmp_path / "test.h5", "--cuts", "0.05", "--out", tmp_path / "run") == 0
    assert "supervised" in capsys.readouterr().out
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    curves = results["improvement"]
    # The toy's optimum is an AUC of 0.98; 0.5 says nothing.
    assert curves["supervised"]["auc"] > 0.9
    assert curves["supervised"]["source"] == "test sample"
    truth = results["methods"]["supervised"]["cuts"][0]["truth"]
    observed = results["methods"]["supervised"]["cuts"][0]["count"]["observed"]
    assert truth["signal"] + truth["background"] == observed
    assert truth["signal_efficiency"] > 0.5


def test_a_scan_finds_the_window_of_the_signal(tmp_path, capsys):
    Toy().sample(40_000, 600, seed=3).write(tmp_path / "events.h5")
    code = run(
        "bumphunt", "scan", tmp_path / "events.h5", "--method", "cwola", "--from", 3.3, "--to", 4.5,
        "--step", 0.4, *QUICK[:-1], "--no-report", "--cuts", "0.05", "--out", tmp_path / "scan",
    )  # fmt: skip
    assert code == 0
    assert "3.3-3.7" in capsys.readouterr().out
    results = json.loads((tmp_path / "scan" / "results.json").read_text())
    assert [w["region"] for w in results["windows"]] == [[3.3, 3.7], [3.7, 4.1], [4.1, 4.5]]
    best = results["best"]
    assert best["region"] == [3.3, 3.7]
    assert best["z_local"] > 4
    assert best["p_local"] < best["p_global"] < 3.1 * best["p_local"]
    assert run("bumphunt", "plot", tmp_path / "scan", "--out", tmp_path / "figures", "-q") == 0
    assert (tmp_path / "figures" / "windows.pdf").is_file()


def test_one_line_for_each_wrong_input(tmp_path, events, capsys):
    file = tmp_path / "events.h5"
    events.write(file)

    def command(*more, name="run"):
        return refused(capsys, "bumphunt", name, file, "--out", tmp_path / "x", *more)

    few = command("--region", 6.5, 6.9, "--fit-range", 3, 7.5, "--methods", "cwola")
    assert "4 events, training needs 125 in 5 folds" in few
    assert "unknown methods magic" in command("--methods", "magic")
    assert "needs --background" in command("--methods", "idealized", "--force")
    assert "low < high" in command("--region", 3.7, 3.3)
    assert "both sides" in command("--region", 2.6, 3.0)
    assert "working point" in command("--cuts", "2")
    assert "numbers with commas" in command("--cuts", "tight")
    assert "no features pt" in command("--features", "pt")
    assert "resolution" in command("--resolution", 3)
    assert "can't be supervised" in command("--method", "supervised", name="scan")
    assert "no window" in command("--from", 4, "--to", 3, name="scan")
    assert "does not exist" in refused(capsys, "bumphunt", "run", tmp_path / "none.h5")

    frame = olympics(events)
    frame.drop(columns=["tau2j1", "mj2"]).to_hdf(file, key="df", mode="w")
    assert "lacks the columns" in command()
    frame.loc[3, "mj1"] = np.nan
    frame.to_hdf(file, key="df", mode="w")
    assert "1 of 20200 values of mj1 are NaN" in command()
    Events(events.features, events.m, events.names, weight=np.full(len(events), 0.5)).write(file)
    assert "weighted events" in command()
    Events(events.features, events.m, events.names).write(file)
    assert "needs labels" in command("--methods", "supervised")
    assert "needs labels" in command("--test", file)
