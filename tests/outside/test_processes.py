"""Cases from outside: event files in Pythia, cards, the edges of parton densities, words about processes."""

import shutil
import sys
import warnings

import numpy as np
import pylhe
import pytest

from lhcflow import InputError
from lhcflow.files import content_hash
from lhcflow.processes import (
    CallableAmplitude,
    Cuts,
    EventGenerator,
    FixedEnergy,
    GaussianSpread,
    HadronicCrossSection,
    JetCuts,
    Pdf,
    Process,
    UmamiAmplitude,
    export_umami,
)
from lhcflow.processes.kinematics import mass_squared
from lhcflow.processes.masses import MASSES, with_masses

NNLO = "NNPDF31_nnlo_as_0118_luxqed"


def generated(process="e+ e- > j j j", calls=5000, **options):
    if process.startswith("e+"):
        options.setdefault("cuts", Cuts(durham=0.01))
    made = EventGenerator(process, method="vegas", seed=1, **options)
    made.integrate(calls)
    return made


@pytest.fixture(scope="module")
def leptons():
    return generated()


@pytest.fixture(scope="module")
def taus():
    """A pair of taus and two jets: b and c among the outgoing, and of the incoming."""
    return generated("p p > ta+ ta- j j", 10_000)


def read_by_pythia(path, *settings):
    """Worst imbalance over the energy, rejected events, cross section in pb, and weights."""
    pythia8mc = pytest.importorskip("pythia8mc")
    pythia = pythia8mc.Pythia("", False)
    # Multiparton interactions at 14 TeV are balanced to 1e-6 only, in Pythia's own events too.
    lines = ["Beams:frameType = 4", f"Beams:LHEF = {path}", "Print:quiet = on", "PartonLevel:MPI = off"]
    for line in (*lines, "HadronLevel:all = off", "Random:setSeed = on", "Random:seed = 1", *settings):
        assert pythia.readString(line)
    assert pythia.init()
    worst, rejected, weights = 0.0, 0, []
    while True:
        if not pythia.next():
            if pythia.infoPython().atEndOfFile():
                break
            rejected += 1
            continue
        final = [p for p in pythia.event if p.isFinal()]
        sums = [sum(getattr(p, name)() for p in final) for name in ("px", "py", "pz")]
        energy = pythia.event[0].e()
        worst = max(worst, *(abs(s) / energy for s in (*sums, sum(p.e() for p in final) - energy)))
        weights.append(pythia.infoPython().weight())
    return worst, rejected, pythia.infoPython().sigmaGen() * 1e9, np.array(weights)


@pytest.mark.parametrize("which", ["leptons", "taus"])
def test_pythia_keeps_balance_and_cross_section_with_its_defaults(which, tmp_path, request):
    made = request.getfixturevalue(which)
    made.write_lhe(tmp_path / "a.lhe", 500)
    worst, rejected, sigma, weights = read_by_pythia(tmp_path / "a.lhe")
    assert rejected == 0
    assert worst < 1e-8
    assert sigma == pytest.approx(made.result.mean, rel=1e-6)
    assert len(weights) == 500
    file = pylhe.LHEFile.fromfile(str(tmp_path / "a.lhe"))
    assert np.mean([e.eventinfo.weight for e in file.events]) == pytest.approx(sigma, rel=1e-6)
    if which == "taus":  # the fault is there to be found: without masses events lose their balance
        made.write_lhe(tmp_path / "b.lhe", 500, masses=False)
        assert read_by_pythia(tmp_path / "b.lhe")[0] > 1e-6


def test_pythia_finds_the_cross_section_of_overweight_events(tmp_path):
    """A fifth of it in events of larger weights: the mean is what is in the file's head."""
    made = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), phase_space="flat", method="bare", seed=2)
    made.integrate(20_000)
    made.write_lhe(tmp_path / "a.lhe", 400, overweight=0.2)
    _, rejected, sigma, weights = read_by_pythia(tmp_path / "a.lhe")
    assert rejected == 0
    assert weights.max() > 1.5 * weights.min()
    assert sigma == pytest.approx(made.result.mean, rel=1e-6)
    assert weights.mean() == pytest.approx(made.result.mean, rel=1e-6)  # pb, as the accord has it


def test_pythia_changes_no_mass_and_no_momentum(taus, tmp_path):
    """Its hard process is what stands in the file."""
    pythia8mc = pytest.importorskip("pythia8mc")
    taus.write_lhe(tmp_path / "a.lhe", 300)
    pythia = pythia8mc.Pythia("", False)
    for line in (
        "Beams:frameType = 4",
        f"Beams:LHEF = {tmp_path}/a.lhe",
        "Print:quiet = on",
        "PartonLevel:all = off",
    ):
        assert pythia.readString(line)
    assert pythia.init()
    for pdg, mass in MASSES.items():
        assert pythia.particleData.m0(pdg) == pytest.approx(mass, rel=1e-12)
    seen = set()
    for event in pylhe.LHEFile.fromfile(str(tmp_path / "a.lhe")).events:
        assert pythia.next()
        theirs = [p for p in pythia.process if p.isFinal()]
        ours = {(p.id, p.px, p.py, p.pz, p.e, p.m) for p in event.particles if p.status == 1}
        for p in theirs:
            nearest = min(ours, key=lambda o: abs(o[1] - p.px()) + abs(o[2] - p.py()) + (o[0] != p.id()))
            found = (p.px(), p.py(), p.pz(), p.e(), p.m())
            np.testing.assert_allclose(found, nearest[1:], atol=1e-6)
            seen.add(abs(p.id()))
    assert {4, 5, 15} <= seen


def test_masses_move_momenta_no_more_than_they_must(taus):
    """On shell and balanced; the pair of leptons keeps its mass, light events stay as they are."""
    before = taus.generate(2000)
    after, left = with_masses(before)
    assert left == 0
    p, m = after.momenta, after.masses
    np.testing.assert_allclose(mass_squared(p), m**2, atol=1e-9 * p[..., 0].max() ** 2 * 1e-3)
    np.testing.assert_allclose(p[:, 2:].sum(axis=1), p[:, :2].sum(axis=1), rtol=0, atol=1e-11 * 14000)
    np.testing.assert_array_equal(p[:, :2], before.momenta[:, :2])
    pairs = [mass_squared(e.momenta[:, 2:4].sum(axis=1)) for e in (before, after)]
    np.testing.assert_allclose(pairs[1], pairs[0], rtol=1e-7)
    light = ~np.isin(np.abs(before.pdg[:, 4:]), (4, 5)).any(axis=1)
    assert 100 < light.sum() < 1900
    np.testing.assert_allclose(p[light, 4:], before.momenta[light, 4:], rtol=1e-9, atol=1e-6)
    for pdg, mass in MASSES.items():
        assert (m[:, 2:][np.abs(after.pdg[:, 2:]) == pdg] == mass).all()


def test_masses_of_three_jets_by_the_equation():
    """e+ e- -> b b~ g in the symmetric configuration: the factor solves 2 sqrt(m^2 + x^2 E^2) + x E = 3 E."""
    from scipy.optimize import brentq

    from lhcflow.processes import Events

    energy, phi = 30.0, 2 * np.pi / 3 * np.arange(3)
    momenta = np.zeros((1, 5, 4))
    momenta[0, 0], momenta[0, 1] = (45, 0, 0, 45), (45, 0, 0, -45)
    momenta[0, 2:] = energy * np.stack([np.ones(3), np.cos(phi), np.sin(phi), np.zeros(3)], axis=1)
    pdg = np.array([[-11, 11, 5, -5, 21]])
    events = Events(momenta, pdg, np.zeros((1, 5, 2), int), np.ones(1), np.ones(1))
    found, left = with_masses(events)
    factor = brentq(lambda x: 2 * np.hypot(4.8, x * energy) + x * energy - 3 * energy, 0.5, 1, xtol=1e-15)
    np.testing.assert_allclose(found.momenta[0, 2:, 1:], factor * momenta[0, 2:, 1:], atol=1e-12)
    assert left == 0
    few = Events(momenta / 10, pdg, events.colours, events.weights, events.scale)  # 9 GeV: less than 2 * 4.8
    found, left = with_masses(few)
    assert left == 1
    np.testing.assert_array_equal(found.momenta, few.momenta)
    assert not found.masses.any()


def test_too_little_energy_for_masses_is_said(tmp_path):
    made = generated(energy=9.0)
    with pytest.warns(RuntimeWarning, match="too little energy for the masses"):
        made.write_lhe(tmp_path / "a.lhe", 100)


def init(path):
    file = pylhe.LHEFile.fromfile(str(path))
    list(file.events)  # to its end, where it is closed
    return file.init.initInfo


def test_init_block(leptons, tmp_path):
    """PDFSUP is LHAPDF's number (pdfsets.index), IDWTUP always the same; -1 where there are no densities."""
    leptons.write_lhe(tmp_path / "e.lhe", 10)
    info = init(tmp_path / "e.lhe")
    assert (info.PDFgroupA, info.PDFgroupB, info.PDFsetA, info.PDFsetB) == (-1, -1, -1, -1)
    assert info.weightingStrategy == -4
    made = generated("p p > e+ ve")
    made.write_lhe(tmp_path / "p.lhe", 10)
    info = init(tmp_path / "p.lhe")
    assert (info.PDFgroupA, info.PDFgroupB, info.PDFsetA, info.PDFsetB) == (0, 0, 325100, 325100)
    assert info.weightingStrategy == -4


def test_numbers_of_sets(tmp_path):
    source = Pdf(NNLO).path
    for name in (f"{NNLO}_0003.dat", "unheard_0000.dat"):
        shutil.copy(source, tmp_path / name)
    assert Pdf(tmp_path / f"{NNLO}_0003.dat").lhapdf_id == 325103
    unheard = {"alpha_s": 0.118, "order": 2}
    assert Pdf(tmp_path / "unheard_0000.dat", **unheard).lhapdf_id is None
    (tmp_path / "unheard.info").write_text("SetDesc: a set\nSetIndex: 4711000\n")
    assert Pdf(tmp_path / "unheard_0000.dat", **unheard).lhapdf_id == 4711000
    with pytest.raises(InputError, match="grid of one member"):
        Pdf(tmp_path / f"{NNLO}_0003.dat", member=5)


# Events depend on the seed alone


@pytest.mark.parametrize("process", ["e+ e- > j j j", "p p > e+ e- j"])
def test_events_depend_on_the_seed_alone(process, tmp_path, leptons):
    """Not on how many are asked for, nor on what was asked for before."""
    made = leptons if process.startswith("e+") else generated(process)
    few, more = made.generate(10), made.generate(1100)
    made.sample(100)
    rest = made.generate(600, first=500)
    for name in ("momenta", "pdg", "colours", "scale"):
        np.testing.assert_array_equal(getattr(more, name)[:10], getattr(few, name), name)
        np.testing.assert_array_equal(getattr(rest, name), getattr(more, name)[500:], name)
    assert len(np.unique(more.momenta[:, -1, 1])) == 1100  # no group repeats another
    for name, n in (("a", 10), ("b", 20), ("c", 10)):
        made.write_lhe(tmp_path / f"{name}.lhe", n, masses=False)
    assert (tmp_path / "a.lhe").read_bytes() == (tmp_path / "c.lhe").read_bytes()
    first, second = (
        [
            [(p.id, p.px, p.e) for p in e.particles]
            for e in pylhe.LHEFile.fromfile(str(tmp_path / name)).events
        ]
        for name in ("a.lhe", "b.lhe")
    )
    assert second[:10] == first
    assert [p[1] for p in first[0]][2:] != [p[1] for p in first[1]][2:]
    written = np.array([[p[2] for p in e if p[0] != 23] for e in first])
    np.testing.assert_array_equal(written, few.momenta[..., 0])


# What stands in the card


def test_card_tells_grids_apart(tmp_path):
    """A grid by path: its content; alpha_s by the .info file or by hand likewise."""
    name = f"{NNLO}_0003.dat"
    text = Pdf(NNLO).path.read_text()
    (tmp_path / name).write_text(text)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name).write_text(text.replace("E-01", "E-02", 1))

    def card(*arguments, **options):
        return HadronicCrossSection("p p > e+ ve j", pdf=Pdf(*arguments, **options)).card()

    first, second, central = card(tmp_path / name), card(tmp_path / "other" / name), card(NNLO)
    assert first["pdf"] == second["pdf"] == central["pdf"] == NNLO
    assert first["pdf_grid"] == central["pdf_grid"] == content_hash(tmp_path / name)
    assert second["pdf_grid"] == content_hash(tmp_path / "other" / name) != first["pdf_grid"]
    assert card(NNLO, alpha_s=0.12) != central != card(NNLO, order=2)
    (tmp_path / f"{NNLO}.info").write_text("AlphaS_MZ: 0.119\n")
    with_info = card(tmp_path / name)
    assert with_info != first
    (tmp_path / f"{NNLO}.info").write_text("AlphaS_MZ: 0.117\n")
    assert card(tmp_path / name) != with_info


def test_card_tells_amplitudes_apart(tmp_path):
    def once(momenta, alpha_s):
        return np.ones(len(momenta))

    def twice(momenta, alpha_s):
        return 2 * np.ones(len(momenta))

    def card(amplitude):
        return HadronicCrossSection("p p > e+ ve", providers={"u d~ > e+ ve": amplitude}).card()["providers"]

    one, two = (card(CallableAmplitude(f, 4)) for f in (once, twice))
    assert one != two
    assert one == card(CallableAmplitude(once, 4))
    try:
        export_umami("u d~ > e+ ve", tmp_path / "w.so")
    except InputError:
        return  # without native kernels
    export_umami(Process("u d~ > e+ ve", {"mw": 80.0}), tmp_path / "w80.so")
    libraries = [card(UmamiAmplitude(tmp_path / name)) for name in ("w.so", "w80.so")]
    assert libraries[0] != libraries[1]
    assert content_hash(tmp_path / "w.so") in str(libraries[0])


class Column:
    """An amplitude that returns a column: against (n,) it would become (n, n)."""

    def squared_amplitude(self, momenta, alpha_s):
        return np.ones((len(momenta), 1))


def broken(momenta, alpha_s):
    raise RuntimeError("my amplitude broke")


def test_amplitudes_from_elsewhere_fail_in_their_own_words():
    for amplitude, words in (
        (Column(), r"must return 2000 real numbers, got float64 \(2000, 1\)"),
        (CallableAmplitude(lambda p, a: np.ones(len(p)) * 1j, 4), "real numbers, got complex128"),
        (CallableAmplitude(broken, 4), "my amplitude broke"),
    ):
        f = HadronicCrossSection("p p > e+ ve", providers={"u d~ > e+ ve": amplitude})
        with pytest.raises(Exception, match=words.replace("2000", r"\d+")):
            EventGenerator(f, method="vegas").integrate(2000)


def test_card_has_the_flow_and_the_device():
    made = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), method="flow", device="auto")
    flow = made.card()["flow"]
    assert flow["device"] in ("cpu", "cuda")
    assert flow["hidden"] == [64, 64]
    assert "flow" not in made.with_method("vegas").card()


def test_a_saved_result_belongs_to_its_card(tmp_path, leptons):
    leptons.save(tmp_path / "result.json")
    same = EventGenerator("e+ e- > j j j", method="vegas", seed=1, cuts=Cuts(durham=0.01))
    assert same.load(tmp_path / "result.json").mean == leptons.result.mean
    np.testing.assert_array_equal(same.generate(20).momenta, leptons.generate(20).momenta)
    for changed in ({"cuts": Cuts(durham=0.02)}, {"alpha_s": 0.12}, {"seed": 2}):
        options = {"cuts": Cuts(durham=0.01), "seed": 1} | changed
        with pytest.raises(InputError, match="with another"):
            EventGenerator("e+ e- > j j j", method="vegas", **options).load(tmp_path / "result.json")


def test_protons_are_not_compared_at_the_energy_of_leptons():
    from lhcflow.processes import compare

    (row,) = compare("p p > e+ ve", methods=("bare",), calls=2000)
    assert 8000 < row.cross_section < 13_000  # 10.7 nb at 14 TeV; 0 at 91 GeV


# Outside the grid of the densities


def test_points_outside_the_grid_are_said():
    """Protons of 10^9 GeV need x below 1e-9; a scale of 0.1 GeV is below the first knot."""
    inside = generated("p p > e+ ve")
    assert inside.result.warnings == ()
    high = generated("p p > e+ ve", energy=1e9)
    (warning,) = [w for w in high.result.warnings if "outside the grid" in w]
    assert "x < 1e-09" in warning
    share = float(warning.split(" %")[0])
    x, w = high.sample(20_000)
    momenta = high.cross_section.momenta(x)[0]
    beyond = (2 * momenta[:, :2, 0] / 1e9 < 1e-9).any(axis=1)
    assert share == pytest.approx(100 * w[beyond].sum() / w.sum(), abs=2)  # 0.5 % is the spread of each
    low = generated("p p > e+ ve j", scale=0.1)
    words = " ".join(low.result.warnings)
    assert "100 % of the cross section come from Q < " in words
    assert "where alpha_s is known" in words


def test_densities_are_frozen_outside():
    pdf = Pdf(NNLO)
    (low, _), (lowest, highest) = pdf.x_range, pdf.q_range
    np.testing.assert_allclose(
        pdf.xfx(np.array([low / 10]), 100.0), pdf.xfx(np.array([low]), 100.0), rtol=1e-9
    )
    for inner, outer in ((lowest, lowest / 10), (highest, 10 * highest)):
        np.testing.assert_allclose(
            pdf.xfx(np.array([0.1]), outer), pdf.xfx(np.array([0.1]), inner), rtol=1e-9
        )


# Input with one meaning, and one line where there is none


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ("p p~ > e+ ve", "no antiprotons"),
        ("p e- > e- j", "write 'p p > ...'"),
        ("e+ e- j j j", "has no '>'"),
        ("p p e+ ve j", "has no '>'"),
        ("p p > w+ > e+ ve", "2 times '>'"),
        ("p p > w+ j", "'p p > e\\+ ve j'"),
        ("p p > z j j", "'p p > e\\+ e- j j'"),
        ("p p >", "write two incoming"),
    ],
)
def test_words_about_processes(process, words):
    for make in (EventGenerator, HadronicCrossSection, Process):
        with pytest.raises(InputError, match=words):
            make(process)


def test_arguments_with_one_meaning():
    first = EventGenerator("e+ e- > j j j", cuts={"durham": 0.01}, method="bare", seed=np.int64(3))
    second = EventGenerator("e+ e- > j j j", np.float64(91.188), Cuts(durham=0.01), method="bare", seed=3)
    assert first.card() == second.card()
    made = EventGenerator("p p > e+ ve", cuts={"lepton_pt": 20}, pdf=Pdf(NNLO).path, method="bare")
    assert made.cross_section.cuts == JetCuts(lepton_pt=20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cuts": {"durhan": 0.01}}, "unknown cut 'durhan'"),
        ({"cuts": 0.01}, "as a dict, got float"),
        ({"seed": -1}, "integer >= 0, got -1"),
        ({"seed": 1.5}, "integer >= 0"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"device": "gpu:99"}, "no device 'cuda:99'"),
        ({"energy": 0}, "energy must be a positive number"),
        ({"alpha_s": 0}, "alpha_s must be a positive number"),
    ],
)
def test_one_line_for_leptons(options, words):
    with pytest.raises(InputError, match=words):
        EventGenerator("e+ e- > j j j", **({"cuts": Cuts(durham=0.01)} | options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pdf": 3}, "by the name of a set or the path of a grid, got 3"),
        ({"alpha_s": 0}, "alpha_s must be a positive number"),
        ({"energy": 0}, "energy must be a positive number"),
        ({"energy": True}, "energy must be a positive number"),
        ({"cuts": {"durham": 0.01}}, "unknown cut 'durham'"),
        ({"cuts": {"jet_pt": True}}, "jet_pt must be a positive number"),
        ({"scale": 0}, "scale must be a number"),
    ],
)
def test_one_line_for_protons(options, words):
    with pytest.raises(InputError, match=words):
        EventGenerator("p p > e+ ve j", **options)


@pytest.mark.parametrize(
    "options",
    [{"alpha_s": 0.0}, {"alpha_s": "0.118"}, {"alpha_s": True}, {"order": 0}, {"order": 5}, {"member": -1}],
)
def test_one_line_for_densities(options):
    with pytest.raises(InputError):
        Pdf(NNLO, **options)


def test_zero_energy_is_not_the_default():
    for beams in (lambda: FixedEnergy(0), lambda: GaussianSpread(0, 0.001), lambda: GaussianSpread(91.0, 0)):
        with pytest.raises(InputError):
            beams()


# A full disk


def test_full_disk_leaves_no_event_file(tmp_path, leptons):
    """One line, and nothing half-written: as much as fits, then no more (RLIMIT_FSIZE)."""
    resource = pytest.importorskip("resource")
    import signal

    from lhcflow.errors import RunError

    for name in ("a.lhe", "a.lhe.gz"):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            with pytest.raises(RunError, match=f"no space left for .*{name}"):
                leptons.write_lhe(tmp_path / name, 1000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert list(tmp_path.iterdir()) == []


def test_no_warning_where_all_is_well(tmp_path, leptons):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leptons.write_lhe(tmp_path / "a.lhe", 10)
    assert sys.getsizeof((tmp_path / "a.lhe").read_bytes()) > 1000
