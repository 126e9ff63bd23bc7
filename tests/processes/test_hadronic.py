"""Cross sections of proton-proton collisions. Statistical tests allow 4.5 standard deviations."""

import numpy as np
import pylhe
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, uniform

from lhcflow import InputError
from lhcflow.processes import (
    CallableAmplitude,
    EventGenerator,
    HadronicCrossSection,
    JetCuts,
    Parameters,
    Pdf,
    write_lhe,
)

HBARC2 = 0.3893793721e9  # pb GeV^2
WIDE = JetCuts(min_mass=20.0, max_mass=2000.0)
LO = "NNPDF31_lo_as_0130"


def estimate(f, n, seed=1):
    w = f(np.random.default_rng(seed).random((n, f.dim)))
    return w.mean(), w.std() / n**0.5


def textbook_w(energy, pdf, p, low, high):
    """sigma(W+ -> e+ ve) in pb, from sigma_hat = pi alpha^2 s / (36 sw^4 |s - mw^2 + i mw ww|^2)."""

    def luminosity(tau):  # int dx/x f f, u d~ + c s~ from both sides
        y = np.linspace(0, -np.log(tau) / 2, 201)
        q = np.full_like(y, energy * tau**0.5)
        a, b = (pdf.xfx(tau**0.5 * np.exp(sign * y) * (1 - 1e-12), q) for sign in (1, -1))
        total = 0.0
        for up, down in ((2, -1), (4, -3)):
            i, j = pdf.column(up), pdf.column(down)
            total = total + a[:, i] * b[:, j] + a[:, j] * b[:, i]
        return 2 * np.trapezoid(total, y) / tau

    def integrand(t):  # s = m^2 + m w tan t
        s = p.mw**2 + p.mw * p.ww * np.tan(t)
        sigma = np.pi * p.alpha**2 * s / (36 * p.sin2thetaw**2) / (p.mw * p.ww)
        return sigma * luminosity(s / energy**2) / energy**2

    ends = [np.arctan((m * m - p.mw**2) / (p.mw * p.ww)) for m in (low, high)]
    return HBARC2 * quad(integrand, *ends, limit=100, epsrel=1e-4)[0]


def test_w_production_against_quadrature_and_another_generator():
    """The textbook formula, and 10458.6 +- 7.0 pb of an independent generator."""
    f = HadronicCrossSection("p p > e+ ve", 14000, LO, WIDE, "m_ll")
    mean, error = estimate(f, 200_000)
    exact = textbook_w(14000.0, f.pdf, f.parameters, 20, 2000)
    assert exact == pytest.approx(10458.6, abs=3 * 7.0)
    assert abs(mean - exact) < 4.5 * error
    assert error < 0.005 * exact


@pytest.mark.slow
def test_w_production_to_a_permille():
    f = HadronicCrossSection("p p > e+ ve", 14000, LO, WIDE, "m_ll")
    mean, error = estimate(f, 3_000_000)
    assert abs(mean - 10458.6) < 3 * np.hypot(error, 7.0)
    assert mean == pytest.approx(10458.6, rel=0.01)


def test_charge_conjugates_differ_as_the_densities_do():
    """More u than d in protons: more W+ than W-."""
    plus, minus = (HadronicCrossSection(f"p p > {v}") for v in ("e+ ve", "e- ve~"))
    assert plus.boson == 24
    assert minus.boson == -24
    assert 1.2 < estimate(plus, 40_000)[0] / estimate(minus, 40_000)[0] < 1.5


def test_values_are_symmetric_under_reflection():
    """The sum over channels does not tell the two protons apart."""
    f = HadronicCrossSection("p p > e+ ve j")
    momenta, good, _ = f.momenta(np.random.default_rng(3).random((500, f.dim)))
    momenta = momenta[good]
    mirror = momenta * np.array([1.0, 1.0, 1.0, -1.0])
    mirror[:, :2] = mirror[:, 1::-1]
    np.testing.assert_allclose(
        f.contributions(mirror).sum(axis=1), f.contributions(momenta).sum(axis=1), rtol=1e-9
    )


@pytest.mark.parametrize(("process", "same"), [("p p > e+ ve j j", True), ("p p > e+ e- j j", False)])
def test_images_with_opposite_py(process, same):
    """Chosen by the place in the category's interval; equal but for a Z and two lines of quarks."""
    f = HadronicCrossSection(process)
    u = np.random.default_rng(8).random((2000, f.dim))
    other = u.copy()
    first = f.first_coordinate
    number = first.number(u[:, 0])
    other[:, 0] = first.place(number, 1 - first.inside(u[:, 0], number))
    (a, good, _), (b, _, _) = f.momenta(u), f.momenta(other)
    np.testing.assert_allclose(b[good], a[good] * np.array([1.0, 1.0, -1.0, 1.0]))
    difference = np.abs(f(u) / np.maximum(f(other), 1e-300) - 1)[f(u) > 0]
    assert (difference.max() < 1e-9) == same
    assert difference.mean() < 2e-3


@pytest.mark.parametrize("process", ["p p > e+ ve", "p p > e+ e- j", "p p > e+ ve j j"])
def test_events_have_all_azimuths(process):
    """Even azimuths (10 tests at 1e-5), both signs of py relative to the first jet, unchanged values."""
    f = HadronicCrossSection(process)
    rng = np.random.default_rng(9)
    u = rng.random((4000, f.dim))
    u = u[f(u) > 0]
    momenta = f.events(u, np.ones(len(u)), rng).momenta
    np.testing.assert_allclose(
        f.contributions(momenta).sum(axis=1), f.contributions(f.momenta(u)[0]).sum(axis=1), rtol=1e-6
    )
    for i in (2, 3, *f.jets):
        assert (
            kstest(np.arctan2(momenta[:, i, 2], momenta[:, i, 1]), uniform(-np.pi, 2 * np.pi).cdf)[1] > 1e-5
        )
    if f.jets:
        lepton, jet = momenta[:, 2], momenta[:, f.jets[0]]
        side = lepton[:, 1] * jet[:, 2] - lepton[:, 2] * jet[:, 1] > 0
        assert abs(side.mean() - 0.5) < 4.5 * 0.5 / len(u) ** 0.5


def test_order_of_the_particles_does_not_matter():
    first, second = (HadronicCrossSection(f"p p > {v}", alpha_s=0.12) for v in ("e+ ve j", "j ve e+"))
    u = np.random.default_rng(4).random((2000, 6))
    assert second.leptons == [3, 4]
    a, b = estimate(first, 20_000), estimate(second, 20_000)
    assert abs(a[0] - b[0]) < 4.5 * np.hypot(a[1], b[1])
    np.testing.assert_array_equal(first.scales(first.momenta(u)[0]), second.scales(second.momenta(u)[0]))


def test_events_are_physical():
    f = HadronicCrossSection("p p > e+ ve j")
    rng = np.random.default_rng(5)
    events = f.events(rng.random((3000, f.dim)), np.ones(3000), rng)
    p, pdg, colours = events.momenta, events.pdg, events.colours
    np.testing.assert_allclose(p[:, :2].sum(axis=1), p[:, 2:].sum(axis=1), atol=1e-8)
    assert (p[:, 0, 3] > 0).all()
    assert (p[:, 1, 3] < 0).all()
    assert ((pdg[:, 2] == -11) & (pdg[:, 3] == 12)).all()
    charge = np.zeros(len(pdg))
    for i in range(5):
        q = pdg[:, i]
        quark = np.where(q % 2 == 0, 2, -1) * np.sign(q) * (abs(q) < 7)
        charge += (quark + 3 * (q == -11)) * (-1 if i < 2 else 1)
    assert (charge == 0).all()
    for i in range(5):  # colour to colour carriers only
        carries = np.stack(
            [
                (pdg[:, i] == 21) | ((pdg[:, i] > 0) & (pdg[:, i] < 7)),
                (pdg[:, i] == 21) | ((pdg[:, i] < 0) & (pdg[:, i] > -7)),
            ],
            axis=1,
        )
        np.testing.assert_array_equal(colours[:, i] > 0, carries)
    forward = np.mean((p[:, 2] + p[:, 3])[:, 3] > 0)
    assert abs(forward - 0.5) < 4.5 * 0.5 / len(p) ** 0.5
    np.testing.assert_allclose(events.alpha_s, f.pdf.alpha_s(events.scale))


@pytest.fixture(scope="module")
def two_jets():
    """W+ and two jets, partonic channels sampled, with optimised shares of the categories."""
    return HadronicCrossSection("p p > e+ ve j j", partons="sampled").optimised(np.random.SeedSequence(1))[0]


def test_categories_of_equal_jets_are_one(two_jets):
    """Of five histories of two jets three are left for two gluons; the integral is that of all five."""
    f = two_jets
    gluons = next(g for g, group in enumerate(f.groups) if group.pdg[4:] == (21, 21))
    mixed = next(g for g, group in enumerate(f.groups) if sorted(group.pdg[4:]) == [1, 21])
    count = [sum(g == wanted for g, _ in f.categories) for wanted in (gluons, mixed)]
    assert count == [3, 5]
    assert f.shares().sum() == pytest.approx(1)
    shares = np.zeros(len(f.groups))
    np.add.at(shares, [g for g, _ in f.categories], f.weights)
    np.testing.assert_allclose(f.shares().sum(axis=1), shares)

    class Labelled(HadronicCrossSection):
        def _representatives(self, group):
            return list(range(len(self.phase_space.channels)))

    def only(f, row):
        """Even shares of the channels of one group, almost nothing for the others."""
        return f.with_weights(np.array([1.0 if g == row else 1e-9 for g, _ in f.categories]))

    both = []
    for one in (f, Labelled("p p > e+ ve j j", partons="sampled")):
        one = only(one, gluons)
        u = np.random.default_rng(2).random((60_000, f.dim))
        w = one(u) * (np.array([g for g, _ in one.categories])[one.category(u)] == gluons)
        both.append((w.mean(), w.std() / len(w) ** 0.5))
    (a, a_error), (b, b_error) = both
    assert abs(a - b) < 4.5 * np.hypot(a_error, b_error)
    assert a_error < 0.03 * a


def test_optimised_shares(two_jets):
    """A third of the variance that even shares have, or less; no category is closed."""
    f = two_jets
    u = np.random.default_rng(3).random((60_000, f.dim))
    even = f.with_weights(np.ones(len(f.categories)))
    w, other = f(u), even(u)
    assert abs(w.mean() - other.mean()) < 4.5 * np.hypot(w.std(), other.std()) / len(u) ** 0.5
    assert w.var() < 0.3 * other.var()
    assert w.max() < 400 * w.mean()  # thousands, before there was a channel for soft bosons
    assert f.weights.min() > 0
    np.testing.assert_array_equal(f.first_coordinate.number(u[:, 0]), f.category(u))


def test_summed_and_sampled_partons_agree(two_jets):
    """The same cross section, with smaller weights where all are summed; the sum is that of the groups."""
    summed, calls = HadronicCrossSection("p p > e+ ve j j").optimised(np.random.SeedSequence(1))
    assert calls == 10_000
    assert [group for group, _ in summed.categories] == [None] * 5
    u = np.random.default_rng(4).random((40_000, summed.dim))
    momenta, w = summed.evaluate(u)
    other = two_jets(u)
    assert abs(w.mean() - other.mean()) < 4.5 * np.hypot(w.std(), other.std()) / len(u) ** 0.5
    assert w.std() < 0.7 * other.std()
    inside = momenta[w != 0][:500]
    f1, f2, alpha_s, flux = summed._partons(inside)
    expected = np.zeros((500, len(summed.groups)))
    for g, group in enumerate(summed.groups):
        squared = group.squared_amplitude(inside, alpha_s)
        for a, b in group.members[:, :2]:  # one at a time
            expected[:, g] += flux * f1[:, summed.pdf.column(a)] * f2[:, summed.pdf.column(b)] * squared
    np.testing.assert_allclose(summed.contributions(inside), expected, rtol=1e-9)


def test_amplitudes_from_elsewhere():
    """The formula of the textbook in the place of both amplitudes of W+."""
    p = Parameters()

    def amplitude(incoming):  # e^4 (2 p(u).p(nu))^2 / (12 sw^4 |s - mW^2|^2)
        def squared(momenta, alpha_s):
            def invariant(i, j):
                product = momenta[:, i] * momenta[:, j] * np.array([1.0, -1.0, -1.0, -1.0])
                return 2 * product.sum(axis=1)

            s, t = invariant(0, 1), invariant(incoming, 2)
            propagator = (s - p.mw**2) ** 2 + (p.mw * p.ww) ** 2
            return (4 * np.pi * p.alpha) ** 2 * t**2 / (12 * p.sin2thetaw**2 * propagator)

        return CallableAmplitude(squared, 4)

    providers = {"u d~ > e+ ve": amplitude(0), "d~ u > e+ ve": amplitude(1)}
    f, own = (HadronicCrossSection("p p > e+ ve", providers=given) for given in (providers, None))
    u = np.random.default_rng(7).random((200, f.dim))
    np.testing.assert_allclose(f(u), own(u), rtol=1e-9)
    with pytest.raises(InputError, match="is needed: those needed are u d~"):
        HadronicCrossSection("p p > e+ ve", providers={"u u > e+ ve": amplitude(0)})


@pytest.mark.parametrize("partons", ["summed", "sampled"])
def test_pythia_showers_two_jets(partons, tmp_path):
    """Colours of all kinds of subprocesses, from the generator's own file."""
    import pythia8mc

    generator = EventGenerator(HadronicCrossSection("p p > e+ ve j j", partons=partons), method="vegas")
    result = generator.integrate(30_000)
    assert abs(result.mean - 1021) < 4.5 * result.sdev + 5
    path = tmp_path / "w.lhe.gz"
    assert generator.write_lhe(path, 300, overweight=0.02) == 300
    events = list(pylhe.LHEFile.fromfile(str(path)).events)
    assert all([p.status for p in e.particles] == [-1, -1, 2, 1, 1, 1, 1] for e in events)
    assert len({tuple(p.id for p in e.particles if p.status == 1)[2:] for e in events}) > 5
    pythia = pythia8mc.Pythia("", False)
    for line in ("Beams:frameType = 4", f"Beams:LHEF = {path}", "Print:quiet = on"):
        assert pythia.readString(line)
    assert pythia.init()
    good = 0
    for _ in range(60):
        if pythia.next():
            good += 1
            energy = sum(p.e() for p in pythia.event if p.isFinal())
            assert energy == pytest.approx(14000, rel=1e-5)  # what Pythia's remnants keep to
    assert good >= 58


def test_wrong_input():
    with pytest.raises(InputError, match="starts with 'p p >'"):
        HadronicCrossSection("e+ e- > j j")
    with pytest.raises(InputError, match="energy must be"):
        HadronicCrossSection("p p > e+ ve", -1.0)
    with pytest.raises(InputError, match="no PDF set"):
        HadronicCrossSection("p p > e+ ve", pdf="nothing")
    with pytest.raises(InputError, match="partons must be 'summed' or 'sampled'"):
        HadronicCrossSection("p p > e+ ve", partons="some")
    with pytest.raises(InputError, match="1 categories need"):
        HadronicCrossSection("p p > e+ ve", weights=[1.0, 1.0])
    f = HadronicCrossSection("p p > e+ ve", pdf=Pdf(LO), parameters=Parameters(alpha=0.007))
    assert f.card()["pdf"] == LO
    assert f.card()["parameters"]["alpha"] == 0.007
    with pytest.raises(InputError, match=r"shape \(n, 3\)"):
        f(np.zeros((3, 5)))


def test_pythia_showers_events_with_a_resonance(tmp_path):
    """W + jet with running alpha_s and the W in the event: read by Pythia, momentum conserved."""
    import pythia8mc

    f = HadronicCrossSection("p p > e+ ve j")
    rng = np.random.default_rng(6)
    events = f.events(rng.random((60, f.dim)), np.ones(60), rng)
    common = {
        "cross_section": 1.0,
        "error": 0.1,
        "max_weight": 1.0,
        "alpha": f.parameters.alpha,
        "alpha_s": 0.118,
    }
    path = tmp_path / "w.lhe"
    write_lhe(path, [events], beams=((2212, 7000.0), (2212, 7000.0)), **common)
    first, *_ = pylhe.LHEFile.fromfile(str(path)).events
    assert first.eventinfo.aqcd == pytest.approx(events.alpha_s[0])
    assert [p.id for p in first.particles[2:5]] == [24, -11, 12]
    assert [p.mother1 for p in first.particles[2:]] == [1, 3, 3, 1]
    pythia = pythia8mc.Pythia("", False)
    for line in ("Beams:frameType = 4", f"Beams:LHEF = {path}", "Print:quiet = on"):
        assert pythia.readString(line)
    assert pythia.init()
    for _ in range(30):
        assert pythia.next()
        final = [p for p in pythia.event if p.isFinal()]
        assert abs(sum(p.e() for p in final) - 14000) < 1e-2
        assert any(p.id() == -11 for p in final)
