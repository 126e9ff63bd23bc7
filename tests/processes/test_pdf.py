"""Parton densities and alpha_s: published values, Pythia's own reader, sum rules, damaged files."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from lhcflow import InputError
from lhcflow.processes import Pdf
from lhcflow.processes.pdf_kernels import Interpolation
from lhcflow.processes.running_coupling import (
    RunningCoupling,
    TabulatedCoupling,
    beta_coefficients,
    decoupling,
)

NNLO = "NNPDF31_nnlo_as_0118_luxqed"


@pytest.fixture(scope="module")
def nnlo():
    return Pdf(NNLO)


def points(n, seed=1, x=(1e-6, 0.7), q=(10.0, 1e4)):
    rng = np.random.default_rng(seed)
    return np.exp(rng.uniform(*np.log(x), n)), np.exp(rng.uniform(*np.log(q), n))


def test_reference_values(nnlo):
    """x f(x, 100 GeV) of LHAPDF; x = 0.1 and 0.001."""
    found = nnlo.xfx(np.array([0.1, 0.001]), 100.0)
    at = {21: 0.8696666, 1: 0.3613237, 2: 0.5965131, -1: 0.1201735, -2: 0.0897264}
    for pdg, value in at.items():
        assert found[0, nnlo.column(pdg)] == pytest.approx(value, rel=1e-6)
    assert found[1, nnlo.column(21)] == pytest.approx(29.525546, rel=1e-6)
    assert found[1, nnlo.column(2)] == pytest.approx(1.6121593, rel=1e-6)


@pytest.mark.parametrize("name", [NNLO, "NNPDF31_lo_as_0130"])
def test_pythia_reads_the_same(name):
    """Pythia has a reader of its own; it rounds logarithms and clips negative densities."""
    import pythia8mc

    pdf = Pdf(name)
    pythia = pythia8mc.Pythia("", False)
    for line in (f"PDF:pSet = LHAGrid1:{pdf.path.name}", "Print:quiet = on", "WeakSingleBoson:ffbar2W = on"):
        assert pythia.readString(line)
    assert pythia.init()
    other = pythia.getPDFPtr(2212)
    x, q = points(400, x=(1e-6, 0.3))
    found = pdf.xfx(x, q)
    for pdg in (21, 1, 2, 3, 4, 5, -1, -2):
        expected = np.array([other.xf(pdg, *v) for v in zip(x.tolist(), (q * q).tolist(), strict=True)])
        good = expected > 1e-4
        np.testing.assert_allclose(found[good, pdf.column(pdg)], expected[good], rtol=2e-3)
        assert np.median(np.abs(found[good, pdf.column(pdg)] / expected[good] - 1)) < 1e-4


@pytest.mark.parametrize("q", [2.0, 100.0, 5000.0])
def test_sum_rules(nnlo, q):
    """Momentum adds up to 1, valence to two u and one d; NNPDF imposes both to 1e-3."""

    def integral(columns, power):
        def f(t):  # in ln x
            return np.exp(power * t) * (nnlo.xfx(np.array([np.exp(t)]), q)[0] @ columns)

        return quad(f, np.log(1e-9), 0, limit=200, epsabs=1e-5, points=[np.log(0.01), np.log(0.1)])[0]

    def unit(*pairs):
        row = np.zeros(14)
        for pdg, value in pairs:
            row[nnlo.column(pdg)] = value
        return row

    assert integral(np.ones(14), 1) == pytest.approx(1, abs=2e-3)
    assert integral(unit((2, 1.0), (-2, -1.0)), 0) == pytest.approx(2, abs=0.01)
    assert integral(unit((1, 1.0), (-1, -1.0)), 0) == pytest.approx(1, abs=0.01)
    assert integral(unit((3, 1.0), (-3, -1.0)), 0) == pytest.approx(0, abs=0.01)


def test_native_and_numpy_twin_agree(nnlo):
    x, q = points(5000, x=(1e-10, 1.2), q=(1.0, 3e5))
    at = nnlo._interpolation
    native, twin = at(x, q), np.empty((len(x), 14))
    at._numpy(x, q, twin)
    np.testing.assert_allclose(native, twin, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(at(x, q, threads=3), native)


def test_knots_are_reproduced_and_thresholds_kept_apart(nnlo):
    """At knots the grid's own numbers; b quarks are absent below their threshold and present at it."""
    from lhcflow.processes.pdf_files import read_grid

    grid = read_grid(nnlo.path)
    i, j = np.meshgrid(np.arange(0, len(grid.x) - 1, 7), np.arange(0, len(grid.q), 5))
    keep = ~np.isin(j, np.array(grid.starts[1:]) - 1)  # the lower of the two threshold knots
    i, j = i[keep], j[keep]
    np.testing.assert_allclose(nnlo.xfx(grid.x[i], grid.q[j]), grid.values[j, i], rtol=1e-9, atol=1e-12)
    mass = grid.q[grid.starts[1]]
    below, at = nnlo.xfx(np.array([0.01, 0.01]), np.array([mass * (1 - 1e-9), mass]))
    b = nnlo.column(5)
    assert below[b] == pytest.approx(
        grid.values[grid.starts[1] - 1, :, b][np.searchsorted(grid.x, 0.01)], abs=2e-3
    )
    assert abs(at[b] - below[b]) < 1e-2


def test_outside_the_grid(nnlo):
    x = np.array([1e-12, 1e-9, 0.1, 0.1, 0.1, 0.1, 1.0, 2.0])
    q = np.array([50.0, 50.0, 0.1, 1.65, 1e5, 1e7, 50.0, 50.0])
    found = nnlo.xfx(x, q)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    np.testing.assert_allclose(found[2], found[3], rtol=1e-12)
    np.testing.assert_allclose(found[5], found[4], rtol=1e-12)
    assert (found[6:] == 0).all()
    for bad in (np.array([0.0]), np.array([np.nan]), np.array([[0.1]])):
        with pytest.raises(InputError, match="densities"):
            nnlo.xfx(bad, 10.0)


def write_set(folder, name="toy", text=None, info=None):
    """A set whose densities are linear in ln x and ln Q^2, which cubic interpolation keeps exactly."""
    x, q = np.geomspace(1e-3, 1, 6), [np.geomspace(1, 4, 4), np.geomspace(4, 100, 5)]
    lines = ["PdfType: central", "Format: lhagrid1", "---"]
    for i, knots in enumerate(q):
        lines += [" ".join(f"{v:.17g}" for v in row) for row in (x, knots)] + ["21 2"]
        for a in x:
            for b in knots:
                gluon, up = 1 + np.log(a) * (i + 1) + 2 * np.log(b), np.log(a) * np.log(b)
                lines.append(f"{gluon:.17g} {up:.17g}")
        lines.append("---")
    (folder / name).mkdir()
    path = folder / name / f"{name}_0000.dat"
    path.write_text("\n".join(lines) + "\n" if text is None else text)
    if info:
        (folder / name / f"{name}.info").write_text(info)
    return path


def test_linear_functions_are_exact_and_subgrids_do_not_mix(tmp_path, monkeypatch):
    write_set(tmp_path)
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(tmp_path))
    pdf = Pdf("toy")
    assert pdf.flavours == (21, 2)
    x, q = points(300, x=(1e-3, 0.999), q=(1.0, 100.0))
    found = pdf.xfx(x, q)
    slope = np.where(q < 4, 1, 2)
    np.testing.assert_allclose(found[:, pdf.column(21)], 1 + np.log(x) * slope + 2 * np.log(q), atol=1e-12)
    np.testing.assert_allclose(found[:, pdf.column(2)], np.log(x) * np.log(q), atol=1e-12)
    assert (found[:, pdf.column(1)] == 0).all()
    with pytest.raises(InputError, match="give alpha_s and order"):
        pdf.alpha_s(np.array([10.0]))
    assert Pdf("toy", alpha_s=0.12, order=1).alpha_s(np.array([91.1876]))[0] == pytest.approx(0.12)


def test_alpha_s_of_the_info_file(tmp_path):
    info = (
        "AlphaS_MZ: 0.118\nAlphaS_Qs: [1.0, 2.0, 4.0, 4.0, 10, 100]\nAlphaS_Vals: [.5, .4, .3, .29, .2, .1]\n"
    )
    pdf = Pdf(write_set(tmp_path, info=info))
    knots = np.array([1.0, 2.0, 4.0, 10.0, 100.0, 0.5, 200.0])
    np.testing.assert_allclose(pdf.alpha_s(knots), [0.5, 0.4, 0.29, 0.2, 0.1, 0.5, 0.1])
    assert pdf.alpha_s(np.array([4 * (1 - 1e-9)]))[0] == pytest.approx(0.3, abs=1e-6)
    running = "AlphaS_MZ: 0.12\nMZ: 90\nAlphaS_OrderQCD: 1\nMCharm: 1.3\nMBottom: 4.5\n"
    coupling = Pdf(write_set(tmp_path, "other", info=running)).coupling
    assert (coupling.value, coupling.scale, coupling.order) == (0.12, 90.0, 2)


def test_damaged_files(tmp_path, nnlo):
    whole = nnlo.path.read_text()
    for i, text in enumerate(
        (whole[: len(whole) // 2], whole.replace("lhagrid1", "other"), "", whole[:-200] + "---\n")
    ):
        path = write_set(tmp_path, f"bad{i}", text)
        with pytest.raises(InputError, match=r"not a complete|damaged"):
            Pdf(path)
    with pytest.raises(InputError, match=f"found: .*{NNLO}"):
        Pdf("NNPDF99")
    with pytest.raises(InputError, match="member 3"):
        Pdf(NNLO, member=3)


def test_coefficients_are_the_published_ones():
    """Beta function of hep-ph/9701390, eq. 9, and decoupling of hep-ph/9708255, in numbers."""
    four_pi = (4 * np.pi) ** np.arange(1, 5)
    for flavours, b3 in ((3, 12090.378), (4, 8035.1865), (5, 4826.1563)):
        assert beta_coefficients(flavours, 4)[3] * four_pi[3] == pytest.approx(b3, rel=1e-7)
    np.testing.assert_allclose(
        beta_coefficients(5, 3) * four_pi[:3], [23 / 3, 116 / 3, 180.90740741], rtol=1e-9
    )
    a = 0.3 / np.pi
    expected = 1 - 0.291667 * a**2 + (-5.32389 + 0.26247 * 4) * a**3
    assert decoupling(0.3, 4, 4) / 0.3 == pytest.approx(expected, rel=1e-6)
    assert decoupling(0.3, 4, 2) == 0.3


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_running_solves_its_equation(order):
    """Against scipy's integrator from threshold to threshold, down to 1 GeV and up to 10 TeV."""
    coupling = RunningCoupling(0.118, 91.2, order, {4: 1.5, 5: 4.8, 6: 173.0}, 6)

    def solve(flavours, start, low, high):
        b = beta_coefficients(flavours, order)
        t = 2 * np.log([low, high])
        f = solve_ivp(lambda _, a: -a * a * np.polyval(b[::-1], a), t, [start], rtol=1e-11, atol=1e-13)
        return f.y[0, -1]

    b = solve(5, 0.118, 91.2, 4.8)
    below = decoupling(b, 4, order)
    c = decoupling(solve(4, below, 4.8, 1.5), 3, order)
    assert coupling(np.array([4.8]))[0] == pytest.approx(b, rel=1e-7)
    assert coupling(np.array([4.8 * (1 - 1e-12)]))[0] == pytest.approx(below, rel=1e-7)
    assert coupling(np.array([1.0]))[0] == pytest.approx(solve(3, c, 1.5, 1.0), rel=1e-6)
    top = solve(5, 0.118, 91.2, 173.0)
    above = coupling(np.array([173.0]))[0]
    assert decoupling(above, 5, order) == pytest.approx(top, rel=1e-7)
    assert coupling(np.array([1e4]))[0] == pytest.approx(solve(6, above, 173.0, 1e4), rel=1e-7)


def test_running_against_pythia():
    """First order is exact there, second an expansion in 1 / ln(Q^2 / Lambda^2)."""
    import pythia8mc

    q = np.array([10.0, 30.0, 91.188, 1000.0])
    for order, rtol in ((1, 1e-6), (2, 5e-3)):
        other = pythia8mc.AlphaStrong()
        other.init(0.118, order, 5, False)
        thresholds = {4: other.muThres(4), 5: other.muThres(5)}
        expected = [other.alphaS(v * v) for v in q]
        np.testing.assert_allclose(RunningCoupling(0.118, 91.188, order, thresholds)(q), expected, rtol=rtol)


def test_coupling_of_sets_without_info():
    for name, order, value in (
        (NNLO, 3, 0.118),
        ("NNPDF31_lo_as_0130", 1, 0.13),
        ("NNPDF23_nlo_as_0119_qed", 2, 0.119),
    ):
        coupling = Pdf(name).coupling
        assert (coupling.order, coupling.value, coupling.scale) == (order, value, 91.2)
        assert coupling(np.array([91.2]))[0] == pytest.approx(value, rel=1e-12)
    assert Pdf(NNLO).coupling.thresholds[5] == pytest.approx(4.92)


def test_wrong_couplings():
    with pytest.raises(InputError, match="1, 2, 3 or 4 loops"):
        RunningCoupling(order=5)
    with pytest.raises(InputError, match="between 0 and"):
        RunningCoupling(0.0)
    with pytest.raises(InputError, match="must increase"):
        RunningCoupling(thresholds={4: 5.0, 5: 4.0})
    with pytest.raises(InputError, match="as many values"):
        TabulatedCoupling([1.0, 2.0], [0.1])


def test_interpolation_of_another_grid_is_independent(nnlo):
    """Two sets in one process do not share anything; the other has merged knots and glued numbers."""
    other = Pdf("CT14qed_proton")
    x, q = points(50)
    before = nnlo.xfx(x, q)
    assert not np.allclose(other.xfx(x, q), before)
    np.testing.assert_array_equal(nnlo.xfx(x, q), before)
    assert isinstance(other._interpolation, Interpolation)
