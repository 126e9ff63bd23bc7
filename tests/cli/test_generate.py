"""`lhcflow generate`: the folder it leaves, and what it refuses."""

import json
import tomllib

import pylhe
import pytest

SMALL = ("generate", "e+ e- > j j j", "--method", "bare", "--alone", "--calls", "20000", "-n", "500")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One run for all tests that only look."""
    from lhcflow.cli import main

    path = tmp_path_factory.mktemp("generate")
    with pytest.raises(SystemExit) as done:
        main([*SMALL, "--seed", "3", "--out", str(path / "run"), "--json", str(path / "r.json"), "--quiet"])
    assert done.value.code == 0
    return path


def test_results_have_the_documented_entries(folder):
    results = json.loads((folder / "run" / "results.json").read_text())
    assert results == json.loads((folder / "r.json").read_text())
    assert set(results) == {
        "process",
        "cross_section",
        "events",
        "methods",
        "warnings",
        "iterations",
        "seconds",
    }
    sigma = results["cross_section"]
    assert sigma["unit"] == "pb"
    # The leading-order rate at y_cut = 0.01, see the tests of processes; 5 sigma.
    assert abs(sigma["mean"] - 12430) < 5 * sigma["sdev"] + 3
    (row,) = results["methods"]
    assert row["method"] == "bare"
    assert 0 < row["efficiency"] <= 1
    assert len(results["iterations"]["bare"]) == 10


def test_events_file_and_card(folder):
    events = list(pylhe.LHEFile.fromfile(str(folder / "run" / "events.lhe.gz")).events)
    assert len(events) == 500
    card = tomllib.loads((folder / "run" / "card.toml").read_text())
    assert card["cuts"] == {"durham": 0.01}
    assert (card["seed"], card["calls"], card["events"]) == (3, 20000, 500)


def test_report_has_its_figures_and_stands_alone(folder):
    text = (folder / "run" / "report.html").read_text()
    for words in (
        "Convergence.",
        "Weights.",
        "Observables.",
        "Dalitz plot.",
        "durham = 0.01",
        "cross section [pb]",
    ):
        assert words in text
    assert text.count("<figure>") == 4
    assert "://" not in text
    assert len(list((folder / "run" / "figures").glob("*.pdf"))) == 4


def test_the_same_seed_gives_the_same_events(lhcflow, folder, tmp_path):
    lhcflow(*SMALL, "--seed", "3", "--out", "again")
    first, second = (
        json.loads((path / "results.json").read_text()) for path in (folder / "run", tmp_path / "again")
    )
    assert first["cross_section"] == second["cross_section"]
    lhe = [(path / "events.lhe.gz").read_bytes() for path in (folder / "run", tmp_path / "again")]
    assert lhe[0] == lhe[1]


def test_a_finished_run_is_not_overwritten(lhcflow, folder):
    run = folder / "run"
    before = (run / "results.json").read_bytes()
    done = lhcflow(*SMALL, "--out", run, check=False)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (run / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "e+ e- > j j q"), "q"),
        (("generate", "p p > j j"), "e+ e-"),
        (("generate", "e+ e- > j j j", "--durham", "0.5"), "no phase space"),
        (("generate", "e+ e- > j j j", "--energy", "-3"), "energy"),
        (("generate", "e+ e- > j j j", "--out", "run", "--force", "--resume"), "--resume"),
    ],
)
def test_wrong_input_leaves_nothing_behind(lhcflow, tmp_path, arguments, words):
    done = lhcflow(*arguments, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_interrupted_run_is_resumed(lhcflow, tmp_path, folder):
    stop = """
import lhcflow.processes as p
from lhcflow.cli import main
def stop(*arguments, **options): raise KeyboardInterrupt
p.EventGenerator.write_lhe = stop
main()
"""
    arguments = (*SMALL, "--seed", "3", "--out", "run")
    assert lhcflow(*arguments, code=stop, check=False).returncode == 130
    assert not (tmp_path / "run" / "results.json").exists()
    assert "--resume" in lhcflow(*arguments, check=False).stderr
    other = lhcflow(*arguments, "--resume", "--energy", "90", check=False)
    assert (other.returncode, "energy" in other.stderr) == (2, True)
    lhcflow(*arguments, "--resume")
    events = [(path / "events.lhe.gz").read_bytes() for path in (tmp_path / "run", folder / "run")]
    assert events[0] == events[1]
