"""W + jet against Pythia's matrix elements, phase space and densities; 4.5 standard deviations."""

import numpy as np
import pytest

from lhcflow.processes import HadronicCrossSection, Parameters

pythia8mc = pytest.importorskip("pythia8mc")

PDF = "NNPDF31_nnlo_as_0118_luxqed"
SETTINGS = """
Beams:eCM = 14000
Print:quiet = on
PDF:pSet = LHAGrid1:{pdf}_0000.dat
WeakBosonAndParton:qqbar2Wg = on
WeakBosonAndParton:qg2Wq = on
PhaseSpace:pTHatMin = 20
PartonLevel:all = off
HadronLevel:all = off
SigmaProcess:alphaSorder = 0
SigmaProcess:alphaSvalue = 0.118
SigmaProcess:alphaEMorder = -1
SigmaProcess:renormScale2 = 5
SigmaProcess:renormFixScale = {mw2}
SigmaProcess:factorScale2 = 5
SigmaProcess:factorFixScale = {mw2}
24:m0 = {mw}
24:mWidth = {width}
24:doForceWidth = on
24:mMin = 66
24:mMax = 116
24:onMode = off
24:onPosIfAny = 11
"""


def pythia_cross_section(p, events):
    """sigma and its error in pb for |eta| < 6, with the branching ratio alpha mw / (12 sw^2) / ww."""
    pythia = pythia8mc.Pythia("", False)
    for line in SETTINGS.format(pdf=PDF, mw2=p.mw**2, mw=p.mw, width=p.ww).strip().splitlines():
        assert pythia.readString(line), line
    # beyond the ranges that Pythia admits: it takes sin^2 and CKM as inputs of their own
    matrix = {"Vud": 1, "Vus": 0, "Vub": 0, "Vcd": 0, "Vcs": 1, "Vcb": 0}
    weak = {"alphaEMmZ": p.alpha, "sin2thetaW": p.sin2thetaw, "sin2thetaWbar": p.sin2thetaw}
    for name, value in (matrix | weak).items():
        pythia.settings.parm(f"StandardModel:{name}", float(value), True)
    assert pythia.init()
    kept = tried = 0
    for _ in range(events):
        if not pythia.next():
            continue
        final = [q for q in pythia.process if q.isFinal()]
        (jet,) = [q for q in final if q.isGluon() or q.isQuark()]
        tried += 1
        kept += abs(jet.eta()) < 6
    entry = pythia.particleData.particleDataEntryPtr(24)
    channels = [entry.channel(i) for i in range(entry.sizeChannels())]
    (branching,) = [c.bRatio() for c in channels if 11 in (abs(c.product(0)), abs(c.product(1)))]
    info = pythia.infoPython()
    factor = 1e9 * kept / tried * p.alpha * p.mw / (12 * p.sin2thetaw) / p.ww / branching
    return info.sigmaGen() * factor, info.sigmaErr() * factor


@pytest.mark.parametrize("events", [20_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_w_and_a_jet(events):
    p = Parameters()
    f = HadronicCrossSection("p p > e+ ve j", 14000, PDF, scale=p.mw, alpha_s=0.118)
    w = np.concatenate(
        [f(np.random.default_rng(s).random((100_000, f.dim))) for s in range(events // 10_000)]
    )
    mean, error = w.mean(), w.std() / len(w) ** 0.5
    other, other_error = pythia_cross_section(p, events)
    assert abs(mean - other) < 4.5 * np.hypot(error, other_error)
    # what the running width in Pythia's resonance makes is below a percent
    assert mean == pytest.approx(other, rel=0.01 + 2 * other_error / other)
