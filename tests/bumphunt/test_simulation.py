"""Dijets from Pythia and FastJet."""

from __future__ import annotations

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.bumphunt import read_events
from lhcflow.bumphunt.simulation import Simulation
from lhcflow.cli import main


def simulate(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["bumphunt", "simulate", "--quiet", *map(str, arguments)])
    return stop.value.code


@pytest.mark.slow
def test_sample_depends_on_the_seed_alone_and_shows_the_resonance(tmp_path):
    for name, workers, seed in (("a", 1, 3), ("b", 2, 3), ("c", 2, 4)):
        options = ("--block", 20, "--workers", workers, "--seed", seed, "--out", tmp_path / name)
        assert simulate("--background", 40, "--signal", 20, *options) in (0, None)
    a, b, c = (read_events(tmp_path / name / "events.h5") for name in "abc")
    np.testing.assert_array_equal(a.features, b.features)
    np.testing.assert_array_equal(a.m, b.m)
    assert not np.array_equal(a.m, c.m)
    assert a.label is not None
    signal = a.label == 1
    assert signal.sum() == 20
    # 72 % of the signal lie between 3.3 and 3.7 TeV: fewer than 6 of 20 has a chance below 1e-4.
    assert ((a.m[signal] > 3.3) & (a.m[signal] < 3.7)).sum() >= 6
    # A leading jet above 1.2 TeV has a partner: no pair is lighter than some 2 TeV by much.
    assert (a.m > 1.5).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"background": 0, "signal": 0}, "some background or signal"),
        ({"x_mass": 3400.0}, "must be heavier than X and Y"),
        ({"w_mass": 20_000.0}, "below the energy"),
        ({"min_pt": 600.0}, "min_pt_hat"),
        ({"block": 0}, "at least one event"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        Simulation(**settings)


def test_blocks_hold_all_events():
    plan = Simulation(background=2500, signal=10, block=1000).blocks()
    assert [(kind, n) for kind, _, n in plan] == [
        ("background", 1000),
        ("background", 1000),
        ("background", 500),
        ("signal", 10),
    ]
