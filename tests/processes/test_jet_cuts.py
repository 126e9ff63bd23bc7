"""Cuts and scales of hadron colliders, against fastjet's anti-kT and by hand."""

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.processes import JetCuts, Scale
from lhcflow.processes.boson_jets import BosonJets, Resonance

ALL = {"jets": [4, 5, 6], "charged": [2], "neutral": [3]}


def events(n=3000):
    """Three loose jets and a lepton pair."""
    loose = JetCuts(jet_pt=5.0, jet_radius=0.05, jet_eta=8.0, min_mass=20, max_mass=200)
    maps = BosonJets(3, 14000.0, Resonance(80.4, 20.0), loose)
    found = [maps.generate(np.random.default_rng(c).random((n, maps.dim)), c) for c in (0, 1, 5)]
    return np.concatenate([momenta[good] for momenta, good in found])


def test_partons_are_anti_kt_jets():
    fastjet = pytest.importorskip("fastjet")
    cuts = JetCuts(min_mass=20, max_mass=200)
    momenta = events()
    passed = cuts(momenta, **ALL)
    assert 0.05 < passed.mean() < 0.95
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
    for p, good in zip(momenta[:1500], passed, strict=False):
        partons = [fastjet.PseudoJet(*(float(v) for v in (*q[1:], q[0]))) for q in p[4:]]
        clusters = fastjet.ClusterSequence(partons, definition)
        found = [j for j in clusters.inclusive_jets(20.0) if abs(j.eta()) < 6]
        assert good == (len(found) == 3)


def test_lepton_cuts_by_hand():
    momenta = np.zeros((1, 5, 4))
    momenta[0, 2] = 50, 30, 40, 0  # pT 50, eta 0
    momenta[0, 3] = 50 * np.cosh(1.0), -50, 0, 50 * np.sinh(1.0)  # pT 50, eta 1
    momenta[0, 4] = 40 * np.cosh(-2.0), 0, 40, 40 * np.sinh(-2.0)  # pT 40, eta -2
    where = {"jets": [4], "charged": [2], "neutral": [3]}
    assert JetCuts(max_mass=500)(momenta, **where)
    for name, good, bad in (
        ("jet_pt", 39.9, 40.1),
        ("jet_eta", 2.01, 1.99),
        ("lepton_pt", 49.9, 50.1),
        ("missing_pt", 49.9, 50.1),
        ("lepton_jet", 2.05, 2.2),  # hypot(2, atan(3/4)) = 2.101
    ):
        assert JetCuts(max_mass=500, **{name: good})(momenta, **where)
        assert not JetCuts(max_mass=500, **{name: bad})(momenta, **where)
    both = {"jets": [4], "charged": [2, 3], "neutral": []}
    assert JetCuts(max_mass=500, lepton_eta=1.01)(momenta, **both)
    assert not JetCuts(max_mass=500, lepton_eta=0.99)(momenta, **both)
    mass = np.sqrt(2 * 50 * 50 * (np.cosh(1.0) + 0.6))
    assert JetCuts(min_mass=mass - 0.1, max_mass=mass + 0.1)(momenta, **both)
    assert not JetCuts(min_mass=mass + 0.1, max_mass=500)(momenta, **both)


def test_scales_by_hand():
    momenta = np.zeros((1, 6, 4))
    momenta[0, 2], momenta[0, 3] = (50, 30, 40, 0), (50, -30, 0, 40)
    momenta[0, 4], momenta[0, 5] = (20, 0, -20, 0), (20, 0, -20, 0)
    mass2, pt2 = 100**2 - 40**2 - 40**2, 40**2
    mt = np.sqrt(mass2 + pt2)
    expected = {"m_ll": np.sqrt(mass2), "m_t": mt, "ht": mt + 40, "ht/2": mt / 2 + 20, 91.0: 91.0, "80": 80.0}
    for choice, value in expected.items():
        assert Scale(choice)(momenta, [2, 3], [4, 5])[0] == pytest.approx(value)
    for bad in ("mt2", -1.0, True, "nan"):
        with pytest.raises(InputError, match="the scale must be"):
            Scale(bad)


def test_cards(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text("[cuts]\njet_pt = 30.0\nlepton_pt = 25\n")
    cuts = JetCuts.from_file(path)
    assert cuts == JetCuts(jet_pt=30.0, lepton_pt=25)
    assert JetCuts.from_card(cuts.card()) == cuts
    path.write_text("jet_pT = 30.0\n")
    with pytest.raises(InputError, match=r"unknown cut 'jet_pT': known are jet_pt"):
        JetCuts.from_file(path)
    for bad in (
        {"jet_pt": -1.0},
        {"jet_pt": 0.0},
        {"min_mass": 120.0},
        {"max_mass": np.inf},
        {"jet_eta": "3"},
    ):
        with pytest.raises(InputError, match=r"must be a positive number|range of masses"):
            JetCuts(**bad)
