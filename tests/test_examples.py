"""The scripts in examples/ run as they stand."""

import runpy
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))
# What each script prints last, as evidence that it came to its end.
LAST = {
    "amplitudes": "|M|^2",
    "bump_hunt": "after the cut",
    "flows": "median mass",
    "generation": "pb",
    "integration": "efficiency",
    "showers": "HitFlow",
}


SLOW = {"showers", "bump_hunt"}  # the README has a smaller bump hunt


@pytest.mark.parametrize(
    "script",
    [pytest.param(s, id=s.stem, marks=[pytest.mark.slow] if s.stem in SLOW else []) for s in SCRIPTS],
)
def test_example(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert LAST[script.stem] in capsys.readouterr().out.strip().splitlines()[-1]
