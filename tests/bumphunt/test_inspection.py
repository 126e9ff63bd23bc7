"""Repeated events, useless features and placeholders."""

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.bumphunt import Events, Toy
from lhcflow.bumphunt.inspection import common, constant_features, dependent_features, repeated
from lhcflow.bumphunt.placeholders import check_features, check_jets, placeholder


def test_repeated_events_are_counted():
    events = Toy().sample(3000, 20, seed=1)
    assert repeated(events) == 0
    assert repeated(Events.concatenate([events, events])) == len(events)
    assert repeated(Events.concatenate([events, events[:7], events[:7]])) == 14
    assert common(events[:1000], events[400:2000]) == 600
    assert common(events[:1000], events[1000:]) == 0


def test_rounded_events_agree_by_chance():
    rng = np.random.default_rng(2)
    # 50 x 50 different events: nearly all of 10,000 repeat another one.
    coarse = Events(rng.integers(0, 50, (10_000, 1)), rng.integers(1, 51, 10_000))
    assert repeated(coarse) == 0
    # Three digits each: 5e7 pairs and a chance of 1e-9 per pair.
    fine = Events(np.round(rng.random((10_000, 2)), 3), 1 + np.round(rng.random(10_000), 3))
    assert repeated(fine) == 0
    # The first 3000 twice, and 0.05 by chance.
    assert repeated(Events.concatenate([fine, fine[:3000]])) == pytest.approx(3000, abs=3)


def test_features_that_say_nothing_have_names():
    rng = np.random.default_rng(3)
    x = np.c_[rng.random(50), np.full(50, 0.3), rng.random(50)]
    assert constant_features(Events(x, np.ones(50), ("a", "b", "c"))) == ["b"]
    assert dependent_features(Toy().sample(500, 0, seed=1)) == []
    both = Events(np.c_[x[:, 0], 2 * x[:, 0] + 1, x[:, 2]], np.ones(50), ("a", "double", "c"))
    assert dependent_features(both) == ["a", "double"]


@pytest.mark.parametrize("value", [-1, -999, -9999, 999, 1e9, -1e10])
@pytest.mark.parametrize("count", [1, 5])
def test_placeholders_stand_out(value, count):
    column = np.random.default_rng(4).random(1000)
    column[:count] = value
    # One -1 beside numbers between 0 and 1 could be one of them; two can't.
    found = placeholder(column)
    assert found == (value, count) or (value == -1 and count == 1 and found in (None, (value, count)))


def test_numbers_that_are_no_placeholders():
    rng = np.random.default_rng(5)
    assert placeholder(rng.normal(size=10_000)) is None
    assert placeholder(rng.normal(0, 500, 10_000)) is None
    assert placeholder(rng.choice([-1.0, 1.0], 1000)) is None  # charges
    assert placeholder(rng.integers(-1, 40, 1000).astype(float)) is None  # numbers of something
    assert placeholder(np.full(10, -999.0)) is None  # a constant; said elsewhere
    assert placeholder(np.array([-1.0])) is None


def test_jets_that_are_not_there():
    rng = np.random.default_rng(6)
    jets = {f"{q}j{j}": rng.uniform(100, 1000, 40) for j in (1, 2) for q in ("px", "py", "pz", "m")}
    jets |= {f"tau{k}j{j}": rng.random(40) for k in (1, 2) for j in (1, 2)}
    check_jets(jets, "f")

    def changed(name, value, match):
        with pytest.raises(InputError, match=match):
            check_jets({**jets, name: np.append(jets[name][:-1], value)}, "f.h5")

    changed("tau1j1", -1, "f.h5: 1 of 40 .* tau1j1 .*-1")
    changed("tau2j2", -0.01, r"1 of 40 events have a negative tau2j2 \(down to -0.01\)")
    changed("mj1", -5, "negative mj1")
    changed("pxj2", 1e9, "1 of 40 values of pxj2 are 1e.09, a placeholder")
    check_jets({**jets, "mj1": np.append(jets["mj1"][:-1], -0.1)}, "f")  # rounding
    gone = {n: np.append(c[:-1], 0.0) if n.endswith("j1") else c for n, c in jets.items()}
    with pytest.raises(InputError, match="1 of 40 events have no jet 1"):
        check_jets(gone, "f")
    with pytest.raises(InputError, match="tau21J1"):
        check_features({"tau21J1": np.array([0.5, -0.2])}, np.array([3.0, 4.0]), "f")
    with pytest.raises(InputError, match="not positive"):
        check_features({"a": np.array([0.5, 0.2])}, np.array([3.0, 0.0]), "f")
