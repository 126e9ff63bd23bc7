"""Published tables and figures, with few calls, and the command that makes them."""

import json

import numpy as np
import pytest
import torch
from scipy import stats
from small_entry import run as small

from lhcflow import InputError
from lhcflow.cli import main
from lhcflow.flows import coupling_spline
from lhcflow.integration import FlowProposal
from lhcflow.integration.testfunctions import by_name
from lhcflow.plotting import Picture, Table
from lhcflow.reproduce import ENTRIES, Entry, find, integrals, layers, registry, three_jets


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder, where "small" can be reproduced: exit code, stdout, stderr."""
    monkeypatch.setitem(registry.ENTRIES, "small", Entry("A small one", "nowhere", "small_entry:run"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["reproduce", *arguments])
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_can_be_imported(name):
    module, _, function = find(name).function.partition(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_unknown_names():
    with pytest.raises(InputError, match="called 'x' to reproduce; there are calo-noise, calo-time"):
        find("x")


def test_the_list(command):
    code, out, _ = command()
    assert code == 0
    for name, entry in ENTRIES.items():
        assert name in out
        assert entry.source in out


def test_a_run(command, tmp_path):
    code, out, _ = command("small", "--seed", "3", "--json", "all.json")
    assert code == 0
    assert "a [b]" in out
    assert "WARNING take care" in out
    folder = tmp_path / "runs" / "small"
    expected = {"seed": 3, "full": False}
    assert json.loads((folder / "results.json").read_text()) == expected
    assert json.loads((tmp_path / "all.json").read_text()) == expected
    assert [f.name for f in (folder / "figures").iterdir()] == ["1_the_history.pdf"]
    report = (folder / "report.html").read_text()
    assert "A small one" in report
    assert "take care" in report
    code, _, err = command("small")
    assert code == 2
    assert "--force" in err
    code, out, err = command("small", "--force", "--full", "--quiet")
    assert (code, out, err) == (0, "", "")
    assert json.loads((folder / "results.json").read_text())["full"] is True
    assert small(1, True, True).results == {"seed": 1, "full": True}


@pytest.mark.parametrize("methods", [["VEGAS+"], pytest.param(["VEGAS+", "flow"], marks=pytest.mark.slow)])
def test_integrals(methods, monkeypatch):
    for other in set(integrals._METHODS) - set(methods):
        monkeypatch.delitem(integrals._METHODS, other)
    monkeypatch.setitem(integrals.PUBLISHED, "camel2", (5e-3, 3e4))
    outcome = integrals.run(0, True, True, problems=["camel2", "box3"], calls=4_000)
    values, calls = (section.content[0] for section in outcome.sections)
    assert isinstance(values, Table)
    assert [row[0] for row in values.rows] == ["camel2", "box3"]
    assert isinstance(calls, Table)
    assert [row[0] for row in calls.rows] == ["camel2"]  # no published number for box3
    for name, found in outcome.results["integrals"].items():
        assert list(found) == methods
        for one in found.values():  # false alarms below 1e-5 for four pulls
            assert abs(one["mean"] - by_name(name).exact) < 5 * one["sdev"]
            assert one["calls"] <= 4_000
    for one in outcome.results["to_tolerance"]["camel2"].values():
        assert one["sdev"] <= 5.0005e-3 * one["mean"]


def test_stages_of_a_flow():
    flow = coupling_spline(2, layers=4, hidden=(8,), bins=4, domain="real", permutation="soft", seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    flow = FlowProposal(flow)
    points, titles = layers.stages(flow, 2000, seed=1)
    assert len(points) == len(titles) == len(flow.flow.bijections) + 2
    np.testing.assert_allclose(points[-1], flow.map(points[0])[0], atol=1e-4)
    assert all(((p >= 0) & (p <= 1)).all() for p in points)
    for i in range(2):  # even at the base, not after the layers
        assert stats.kstest(points[0][:, i], "uniform").pvalue > 1e-5
        assert stats.kstest(points[-1][:, i], "uniform").pvalue < 1e-5


@pytest.mark.slow
def test_figures():
    for outcome in (
        layers.run(0, False, True, calls=10_000),
        three_jets.run(0, False, True, calls=20_000, points=20_000),
    ):
        (section,) = outcome.sections
        assert all(isinstance(item, Picture) for item in section.content)
    cross_section = outcome.results["cross_section"]
    # From 2,000,000 calls of VEGAS on the channels map: 12428.0(1.4) pb; false alarms below 1e-5.
    assert abs(cross_section["mean"] - 12428.0) < 5 * cross_section["sdev"]
