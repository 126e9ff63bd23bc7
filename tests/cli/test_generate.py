"""`lhcflow generate`: the folder it leaves, and what it refuses."""

import json
import tomllib

import numpy as np
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
        "phase_spaces",
        "warnings",
        "iterations",
        "seconds",
    }
    sigma = results["cross_section"]
    assert sigma["unit"] == "pb"
    # The leading-order rate at y_cut = 0.01, see the tests of processes; 5 sigma.
    assert abs(sigma["mean"] - 12430) < 5 * sigma["sdev"] + 3
    (row,) = results["phase_spaces"]["channels"]
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
        "cross section",
    ):
        assert words in text
    assert text.count("<figure>") == 4
    assert "://" not in text
    assert len(list((folder / "run" / "figures").glob("*.pdf"))) == 4


def call(*arguments):
    """Run the command line in this process; return its exit code."""
    from lhcflow.cli import main

    with pytest.raises(SystemExit) as done:
        main([str(a) for a in arguments])
    return done.value.code


def test_a_finished_run_is_not_overwritten(folder, capsys):
    run = folder / "run"
    before = (run / "results.json").read_bytes()
    assert call(*SMALL, "--out", run) == 2
    assert "--force" in capsys.readouterr().err
    assert (run / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("e+ e- > j j q",), "'q'"),
        (("p p > j j",), "the amplitudes have"),
        (("e+ e- > j j j", "--durham", "0.5"), "no phase space"),
        (("e+ e- > j j j", "--cuts", "cuts.toml"), "for protons"),
        (("e+ e- > j j j", "--pdf", "CT14qed"), "for 'p p > ...'"),
        (("p p > e+ ve j", "--durham", "0.5"), "--durham"),
        (("p p > e+ ve j", "--cuts", "nothing.toml"), "nothing.toml"),
        (("p p > e+ ve j", "--pdf", "nothing"), "no PDF set"),
        (("p p > e+ ve j", "--scale", "mass"), "scale must be"),
        (("p p > e+ ve j", "--phase-space", "flat"), "is for leptons"),
        (("e+ e- > j j j", "--energy", "-3"), "energy"),
        (("e+ e- > j j j", "--energy", "0", "--spread", "0.001"), "energy must be a positive number"),
        (("e+ e- > j j j", "--energy", "0"), "energy must be a positive number"),
        (("e+ e- > j j j", "--durham", "0"), "durham must be a positive number"),
        (("p p > e+ ve", "--energy", "0"), "energy must be a positive number"),
        (("p p > e+ ve j", "--alpha-s", "0"), "alpha_s must be a positive number"),
        (("p p > e+ ve j", "--device", "tpu"), "no device 'tpu'"),
        (("p p > e+ ve j", "--seed", "-1"), "--seed"),
        (("p p~ > e+ ve",), "no antiprotons"),
        (("p p e+ ve j",), "has no '>'"),
        (("p p > w+ j",), "p p > e+ ve j"),
        (("e+ e- > j j j", "-n", "1000000000000000"), "GB are free"),
        (("e+ e- > j j j", "--out", "run", "--force", "--resume"), "--resume"),
    ],
)
def test_wrong_input_leaves_nothing_behind(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert call("generate", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_interrupted_run_is_resumed_and_makes_the_same_events(folder, tmp_path, monkeypatch, capsys):
    from lhcflow.processes import EventGenerator

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    run = tmp_path / "run"
    arguments = (*SMALL, "--seed", "3", "--no-report", "--out", run)
    with monkeypatch.context() as patch:
        patch.setattr(EventGenerator, "write_lhe", stop)
        assert call(*arguments) == 130
    assert not (run / "results.json").exists()
    assert call(*arguments) == 2
    assert "--resume" in capsys.readouterr().err
    assert call(*arguments, "--resume", "--energy", "90") == 2
    assert "energy" in capsys.readouterr().err
    assert call(*arguments, "--resume") == 0
    assert (run / "events.lhe.gz").read_bytes() == (folder / "run" / "events.lhe.gz").read_bytes()
    first, second = (json.loads((path / "results.json").read_text()) for path in (folder / "run", run))
    assert first["cross_section"] == second["cross_section"]


def test_interrupted_integration_goes_on(tmp_path, monkeypatch):
    """Stopped in the middle of the integration; the same numbers and events as without."""
    from lhcflow.processes import EventGenerator

    parts = []

    def stop_in_second_part(generator, *arguments, integrate=EventGenerator.integrate, **options):
        f = generator.cross_section
        call = type(f).__call__

        def counted(self, x):
            parts.append(len(x))
            if len(parts) == 4:
                raise KeyboardInterrupt
            return call(self, x)

        with monkeypatch.context() as inner:
            inner.setattr(type(f), "__call__", counted)
            return integrate(generator, *arguments, **options)

    small = ("--alone", "--no-report", "--calls", "20000", "-n", "200")
    arguments = ("generate", "e+ e- > j j j", "--method", "vegas", *small)
    assert call(*arguments, "--out", tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(EventGenerator, "integrate", stop_in_second_part)
        assert call(*arguments, "--out", tmp_path / "run") == 130
    assert any((tmp_path / "run" / "checkpoints").glob("*.integral/000002.safetensors"))
    assert call(*arguments, "--out", tmp_path / "run", "--resume") == 0
    assert (tmp_path / "run" / "events.lhe.gz").read_bytes() == (
        tmp_path / "whole" / "events.lhe.gz"
    ).read_bytes()
    assert not any((tmp_path / "run" / "checkpoints").glob("*.integral"))


def test_protons(tmp_path):
    """Boson and jet with cuts from a card: what stands in the file, the card and the report."""
    (tmp_path / "cuts.toml").write_text("[cuts]\njet_pt = 40.0\nlepton_eta = 2.5\n")
    arguments = ("p p > e- ve~ j", "--cuts", tmp_path / "cuts.toml", "--scale", "ht/2", "--energy", "13000")
    run, method = tmp_path / "run", ("--method", "vegas", "--alone", "--calls", "20000")
    assert call("generate", *arguments, *method, "-n", "300", "--out", run, "--quiet") == 0
    card = tomllib.loads((run / "card.toml").read_text())
    assert (card["energy"], card["scale"], card["pdf"]) == (13000.0, "ht/2", "NNPDF31_nnlo_as_0118_luxqed")
    assert (card["cuts"]["jet_pt"], card["cuts"]["lepton_eta"], card["cuts"]["jet_eta"]) == (40.0, 2.5, 6.0)
    results = json.loads((run / "results.json").read_text())
    (row,) = results["phase_spaces"]["channels"]
    assert 0 < row["negative"] < 0.01
    assert 0 < row["replica_efficiency"] <= 1
    file = pylhe.LHEFile.fromfile(str(run / "events.lhe.gz"))
    assert (file.init.initInfo.beamA, file.init.initInfo.energyA) == (2212, 6500.0)
    for event in file.events:
        electron, jet = event.particles[3], event.particles[5]
        assert electron.id == 11
        assert jet.px**2 + jet.py**2 > 39.9**2  # 40 GeV before a c quark got its mass
        assert np.abs(np.arcsinh(electron.pz / np.hypot(electron.px, electron.py))) < 2.5
    text = (run / "report.html").read_text()
    for words in ("scale ht/2", "jets with pT", "Observables.", "2001.10028"):
        assert words in text
    assert text.count("<figure>") == 5


def test_no_report_draws_nothing(tmp_path, capsys):
    assert call(*SMALL, "--no-report", "--out", tmp_path / "run") == 0
    assert not (tmp_path / "run" / "report.html").exists()
    assert not any((tmp_path / "run" / "figures").iterdir())
    assert json.loads((tmp_path / "run" / "results.json").read_text())["events"]["n"] == 500
    assert "results.json" in capsys.readouterr().out


def test_a_run_that_failed_at_once_leaves_no_folder(tmp_path, monkeypatch):
    """The corrected command starts, without --force or --resume."""
    from lhcflow.errors import RunError
    from lhcflow.processes import CrossSection

    def fails(*arguments):
        raise RunError("no such luck")

    arguments = (*SMALL, "--no-report", "--quiet", "--out", tmp_path / "runs" / "run")
    with monkeypatch.context() as patch:
        patch.setattr(CrossSection, "__call__", fails)
        assert call(*arguments) == 2
    assert list(tmp_path.iterdir()) == []
    assert call(*arguments) == 0
    assert not any((tmp_path / "runs" / "run" / "checkpoints").glob("block-*"))


def test_resume_notices_another_grid(tmp_path, monkeypatch, capsys):
    """A member of a set by its path: the name and the number are the same, the content is not."""
    from lhcflow.processes import EventGenerator, Pdf

    central = Pdf("NNPDF31_nnlo_as_0118_luxqed").path
    grid = tmp_path / "NNPDF31_nnlo_as_0118_luxqed_0003.dat"
    grid.write_text(central.read_text())
    run = tmp_path / "run"
    arguments = ("generate", "p p > e+ ve", "--pdf", grid, "--method", "bare", "--alone", "--calls", "1000")
    arguments = (*arguments, "-n", "100", "--no-report", "--out", run)

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EventGenerator, "write_lhe", stop)
        assert call(*arguments) == 130
    before = (run / "card.toml").read_bytes()
    grid.write_text(central.read_text().replace("1.0000000E-09", "1.1000000E-09", 1) + "\n")
    assert call(*arguments, "--resume") == 2
    assert "pdf_grid was 'sha256:" in capsys.readouterr().err
    assert (run / "card.toml").read_bytes() == before
    assert not (run / "events.lhe.gz").exists()
    grid.write_text(central.read_text())
    assert call(*arguments, "--resume") == 0


def test_a_log_has_lines_of_progress(tmp_path, monkeypatch, capsys):
    from lhcflow.training import progress

    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    arguments = ("--no-report", "-n", "20000", "--out", tmp_path / "run")
    assert call(*SMALL[:-2], *arguments) == 0
    assert "events: 10000 of 20000" in capsys.readouterr().err
    assert call(*SMALL[:-2], *arguments, "--force", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_many_events_come_with_an_estimate(tmp_path, monkeypatch, capsys):
    """Size and time from the first thousand; no more than the disk has room for."""
    from lhcflow.cli import generate

    monkeypatch.setattr(generate, "MANY", 5000)
    arguments = (*SMALL[:-2], "-n", "5000", "--no-report", "--out", tmp_path / "run")
    assert call(*arguments) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "5,000 events: some" in line]
    size = float(line.split()[-2]) * 1e9
    assert size == pytest.approx((tmp_path / "run" / "events.lhe.gz").stat().st_size, rel=0.1)
    usage = generate.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(generate.shutil, "disk_usage", lambda path: usage._replace(free=600_000))
    assert call(*arguments, "--force") == 2
    assert "5,000 events need" in capsys.readouterr().err


def test_massless(tmp_path):
    arguments = (*SMALL, "--no-report", "--quiet", "--out")
    for name, options in (("with", ()), ("without", ("--massless",))):
        assert call(*arguments, tmp_path / name, *options) == 0
    masses = [
        {
            p.m
            for e in pylhe.LHEFile.fromfile(str(tmp_path / name / "events.lhe.gz")).events
            for p in e.particles
        }
        for name in ("with", "without")
    ]
    assert masses == [{0.0, 1.5, 4.8}, {0.0}]
