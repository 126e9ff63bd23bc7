"""Event files: read back by pylhe, showered by Pythia, whole or absent."""

import gzip
import json
import re

import numpy as np
import pylhe
import pytest

from lhcflow import InputError
from lhcflow.processes import Cuts, EnergyScan, EventGenerator, Events, GaussianSpread, write_lhe
from lhcflow.processes.masses import MASSES


@pytest.fixture(scope="module")
def generator():
    made = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), method="bare", seed=3)
    made.integrate(20_000)
    return made


@pytest.fixture(scope="module")
def path(generator, tmp_path_factory):
    file = tmp_path_factory.mktemp("lhe") / "events.lhe.gz"
    assert generator.write_lhe(file, 500) == 500
    return file


def test_pylhe_reads_back(generator, path):
    file = pylhe.LHEFile.fromfile(str(path))
    info, (process,) = file.init.initInfo, file.init.procInfo
    assert (info.beamA, info.beamB, info.energyA, info.energyB) == (-11, 11, 45.594, 45.594)
    assert process.xSection == pytest.approx(generator.result.mean, rel=1e-9)
    assert process.error == pytest.approx(generator.result.sdev, rel=1e-9)
    events = list(file.events)
    assert len(events) == 500
    total = 0.0
    for event in events:
        assert event.eventinfo.nparticles == len(event.particles) == 5
        assert event.eventinfo.scale == pytest.approx(91.188, rel=1e-9)
        assert event.eventinfo.aqcd == pytest.approx(0.118)
        assert event.eventinfo.aqed == pytest.approx(generator.cross_section.couplings[0], rel=1e-9)
        total += event.eventinfo.weight
        incoming, outgoing = event.particles[:2], event.particles[2:]
        assert [p.status for p in event.particles] == [-1, -1, 1, 1, 1]
        assert all((p.mother1, p.mother2) == (0, 0) for p in incoming)
        assert all((p.mother1, p.mother2) == (1, 2) for p in outgoing)
        quark, antiquark, gluon = outgoing
        assert quark.id == -antiquark.id
        assert gluon.id == 21
        assert (quark.color1, antiquark.color2) == (gluon.color2, gluon.color1) == (501, 502)
        for component in ("e", "px", "py", "pz"):
            before = sum(getattr(p, component) for p in incoming)
            assert sum(getattr(p, component) for p in outgoing) == pytest.approx(before, abs=1e-12)
        for p in event.particles:
            assert p.m == (MASSES.get(abs(p.id), 0) if p.status == 1 else 0)
            assert p.e**2 - p.px**2 - p.py**2 - p.pz**2 == pytest.approx(p.m**2, abs=1e-11)
    assert total / 500 == pytest.approx(generator.result.mean, rel=1e-9)


def test_numbers_are_exact_and_the_card_is_there(generator, path):
    text = gzip.decompress(path.read_bytes()).decode()
    assert text.startswith('<LesHouchesEvents version="3.0">')
    card = json.loads(re.search(r"CDATA\[(.*?)\]\]>", text, re.S).group(1))
    assert card == json.loads(json.dumps(generator.card()))


def test_round_trip_of_doubles(tmp_path):
    """Momenta printed in the file are the double-precision numbers themselves."""
    rng = np.random.default_rng(1)
    momenta = rng.normal(size=(3, 5, 4)) * 10.0 ** rng.integers(-3, 4, (3, 5, 4))
    events = Events(momenta, np.full((3, 5), 21), np.zeros((3, 5, 2), int), np.ones(3), np.ones(3))
    common = {"beams": ((11, 1.0), (-11, 1.0)), "cross_section": 1.0, "error": 0.1, "max_weight": 1.0}
    write_lhe(tmp_path / "a.lhe", [events], **common, alpha=0.1, alpha_s=0.1)
    read = list(pylhe.LHEFile.fromfile(str(tmp_path / "a.lhe")).events)
    back = np.array([[[p.e, p.px, p.py, p.pz] for p in event.particles] for event in read])
    np.testing.assert_array_equal(back, momenta)


def test_same_seed_same_bytes(generator, tmp_path):
    for name in ("a.lhe.gz", "b.lhe.gz"):
        made = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), method="bare", seed=9)
        made.integrate(2000)
        made.write_lhe(tmp_path / name, 20)
    assert (tmp_path / "a.lhe.gz").read_bytes() == (tmp_path / "b.lhe.gz").read_bytes()


def test_overweight_events_are_announced(tmp_path):
    made = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), phase_space="flat", method="bare", seed=2)
    made.integrate(50_000)
    made.write_lhe(tmp_path / "a.lhe", 500, overweight=0.2)
    file = pylhe.LHEFile.fromfile(str(tmp_path / "a.lhe"))
    assert file.init.initInfo.weightingStrategy == -4
    weights = [event.eventinfo.weight for event in file.events]
    assert np.mean(weights) == pytest.approx(made.result.mean, rel=1e-9)
    assert max(weights) == pytest.approx(file.init.procInfo[0].unitWeight, rel=1e-9)


def test_interrupted_file_is_absent(generator, tmp_path):
    (tmp_path / "old.lhe").write_text("<LesHouchesEvents>")

    def stop(done, n):
        raise KeyboardInterrupt

    for name in ("new.lhe.gz", "old.lhe"):
        with pytest.raises(KeyboardInterrupt):
            generator.write_lhe(tmp_path / name, 30, progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["old.lhe"]
    assert (tmp_path / "old.lhe").read_text() == "<LesHouchesEvents>"


def test_bad_paths(generator, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.lhe or \.lhe\.gz"):
        generator.write_lhe(tmp_path / "events.txt", 10)
    with pytest.raises(InputError, match="does not exist"):
        generator.write_lhe(tmp_path / "nowhere" / "events.lhe", 10)


def shower(path, n, energy, leptons="off"):
    """Pythia's final states: worst energy-momentum sum, charged multiplicities, cross section in pb."""
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    settings = ["Beams:frameType = 4", f"Beams:LHEF = {path}", f"PDF:lepton = {leptons}", "Print:quiet = on"]
    for setting in [*settings, "Random:setSeed = on", "Random:seed = 1"]:
        pythia.readString(setting)
    assert pythia.init()
    worst, charged, hadrons = 0.0, [], 0
    for _ in range(n):
        assert pythia.next()
        final = [p for p in pythia.event if p.isFinal()]
        sums = [sum(getattr(p, name)() for p in final) for name in ("px", "py", "pz")]
        worst = max(worst, abs(sum(p.e() for p in final) - energy), *map(abs, sums))
        charged.append(sum(p.isCharged() for p in final))
        hadrons += sum(p.isHadron() for p in final)
        assert not any(p.isQuark() or p.isGluon() for p in final)
    assert hadrons > 10 * n
    assert not pythia.next()  # the file is at its end
    assert pythia.infoPython().atEndOfFile()
    return worst, np.array(charged), pythia.infoPython().sigmaGen() * 1e9


def test_pythia_showers_the_file(generator, path):
    """No aborts, energy conserved, a little above the 20.9 charged particles of all Z decays (PDG)."""
    worst, charged, sigma = shower(path, 500, 91.188)
    assert worst < 1e-8
    assert 20 < charged.mean() < 30
    assert (charged % 2 == 0).all()
    assert sigma == pytest.approx(generator.result.mean, rel=1e-6)


@pytest.mark.parametrize("beams", [GaussianSpread(91.188, 0.002), EnergyScan(85.0, 97.0)], ids=repr)
def test_pythia_showers_varying_energies(beams, tmp_path):
    made = EventGenerator("e+ e- > j j j", beams, Cuts(durham=0.01), method="bare", seed=4)
    made.integrate(5000)
    made.write_lhe(tmp_path / "a.lhe.gz", 100)
    worst, charged, _ = shower(tmp_path / "a.lhe.gz", 100, beams.highest, leptons="on")
    assert worst < 1e-8
    assert 20 < charged.mean() < 30
