import json
from pathlib import Path

import numpy as np
import pytest
from dirac import squared_amplitude as by_dirac_matrices
from scattering import scattering
from textbook import D_TYPE, FLAVOURS, U_TYPE, born

from lhcflow import InputError
from lhcflow.processes import Parameters, Process

FILES = sorted((Path(__file__).parent / "data").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reference_amplitudes(path):
    """Two independent generators; the q q~ > e+ e- g files are crossings of e+ e- > q q~ g."""
    reference = json.loads(path.read_text())
    given = reference["parameters"]
    names = ("alpha", "alpha_s", "mz", "wz", "mw", "ww")
    process = Process(reference["process"], {name: given[name] for name in names})
    momenta = np.array([point["momenta"] for point in reference["points"]])
    expected = np.array([point["me2"] for point in reference["points"]])
    found = process.squared_amplitude(momenta, alpha_s=given["alpha_s"])
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_has_points(path):
    assert len(json.loads(path.read_text())["points"]) == 3


@pytest.mark.parametrize(("quark", "numbers"), [("u", U_TYPE), ("d", D_TYPE), ("b", D_TYPE)])
@pytest.mark.parametrize("energy", [30.0, 89.0, 91.188, 200.0])
def test_against_dirac_matrices(quark, numbers, energy):
    parameters = Parameters()
    momenta = scattering(3, energy, 5, seed=1)
    found = Process(f"e+ e- > {quark} {quark}~ g").squared_amplitude(momenta, alpha_s=0.2)
    expected = [by_dirac_matrices(p, *numbers, parameters, 0.2) for p in momenta]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_coupling_for_each_point():
    process, momenta = Process("u d~ > e+ ve g g"), scattering(4, 300.0, 3, seed=1)
    running = np.array([0.1, 0.11, 0.12])
    expected = process.squared_amplitude(momenta, alpha_s=0.1) * (running / 0.1) ** 2
    np.testing.assert_allclose(process.squared_amplitude(momenta, running), expected, rtol=1e-12)
    with pytest.raises(InputError, match="a number or 3 of them"):
        process.squared_amplitude(momenta, running[:2])


@pytest.mark.parametrize("name", ["d d~", "u u~"])
def test_crossing_with_dirac_matrices(name):
    """q q~ > e+ e- g is e+ e- > q q~ g with signs of momenta changed: checked at new points."""
    quark = name[0]
    charge, isospin = U_TYPE if quark == "u" else D_TYPE
    momenta = scattering(3, 300.0, 5, seed=2)  # q q~ > e+ e- g
    found = Process(f"{name} > e+ e- g").squared_amplitude(momenta)
    # As e+ e- > q q~ g: the incoming e+ is the outgoing e- reversed, and so on; 4 spins, 9 colours.
    for p, value in zip(momenta, found, strict=True):
        crossed = np.array([-p[3], -p[2], -p[1], -p[0], p[4]])
        # the lepton tensor and the spin average are even, the quark line changes its sign twice
        expected = by_dirac_matrices(crossed, charge, isospin, Parameters(), 0.118) / 9
        assert value == pytest.approx(expected, rel=1e-10)


def test_jets_sum_over_five_flavours():
    momenta = scattering(3, 91.188, 20, seed=3)
    jets = Process("e+ e- > j j j")
    single = [Process(f"e+ e- > {q} {q}~ g").squared_amplitude(momenta) for q in "udscb"]
    assert [s.pdg for s in jets.subprocesses] == [(-11, 11, q, -q, 21) for q in (2, 1, 3, 4, 5)]
    np.testing.assert_allclose(jets.squared_amplitude(momenta), np.sum(single, axis=0), rtol=1e-13)


def test_lorentz_and_order_of_legs():
    """The value does not change under rotations, boosts and another order of the particles."""
    from lhcflow.processes.kinematics import boost

    momenta = scattering(3, 91.188, 10, seed=4)
    expected = Process("e+ e- > u u~ g").squared_amplitude(momenta)
    boosted = boost(momenta, np.array([5.0, 1.0, -2.0, 3.0]))
    np.testing.assert_allclose(Process("e+ e- > u u~ g").squared_amplitude(boosted), expected, rtol=1e-10)
    swapped = momenta[:, [1, 0, 4, 3, 2]]
    np.testing.assert_allclose(Process("e- e+ > g u~ u").squared_amplitude(swapped), expected, rtol=1e-13)


def test_soft_gluon():
    """A soft gluon factorises: |M|^2 -> 4 C_F g^2 s_12 / (s_1k s_2k) |M_0|^2."""
    born_momenta = scattering(2, 100.0, 20, seed=5)
    direction = np.random.default_rng(6).normal(size=(20, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    gluon = 1e-6 * np.concatenate([np.ones((20, 1)), direction], axis=1)
    momenta = np.concatenate([born_momenta, gluon[:, None]], axis=1)
    metric = np.array([1.0, -1, -1, -1])
    eikonal = np.sum(born_momenta[:, 2] * born_momenta[:, 3] * metric, axis=1) * 2
    for i in (2, 3):
        eikonal /= np.sum(born_momenta[:, i] * gluon * metric, axis=1) * 2
    expected = Process("e+ e- > d d~").squared_amplitude(born_momenta) * eikonal * 16 / 3 * 4 * np.pi * 0.1
    found = Process("e+ e- > d d~ g").squared_amplitude(momenta, alpha_s=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("energy", [20.0, 88.0, 91.188, 94.0, 200.0])
@pytest.mark.parametrize(("name", "flavours"), [("u u~", [U_TYPE]), ("d d~", [D_TYPE]), ("j j", FLAVOURS)])
def test_born_cross_section_and_asymmetry(energy, name, flavours):
    """Integral over cos(theta) by Gauss-Legendre against the formula with vector and axial couplings."""
    cos, weight = np.polynomial.legendre.leggauss(8)
    sin = np.sqrt(1 - cos**2)
    half, zero, one = energy / 2, np.zeros(8), np.ones(8)
    momenta = half * np.stack(
        [
            np.stack([one, zero, zero, -one], axis=1),  # e+ along -z, so that cos is measured to the e-
            np.stack([one, zero, zero, one], axis=1),
            np.stack([one, sin, zero, cos], axis=1),
            np.stack([one, -sin, zero, -cos], axis=1),
        ],
        axis=1,
    )
    squared = Process(f"e+ e- > {name}").squared_amplitude(momenta)
    density = squared / (32 * np.pi * energy**2) * 0.3893793721e9  # d sigma / d cos
    forward_half = np.polynomial.legendre.leggauss(8)[0] / 2 + 0.5
    polynomial = np.polynomial.polynomial.polyfit(cos, density, 2)
    forward = np.sum(weight / 2 * np.polynomial.polynomial.polyval(forward_half, polynomial))
    sigma = np.sum(weight * density)
    expected, asymmetry = born(energy**2, flavours, Parameters())
    assert sigma == pytest.approx(expected, rel=1e-10)
    assert (2 * forward - sigma) / sigma == pytest.approx(asymmetry, abs=1e-10)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("e+ e- > u x g", "unknown particle 'x'"),
        ("e+ e- > u u g", "charge is not conserved"),
        ("e+ e- > u c~ g", "quark number of generation 1"),
        ("u d~ > mu+ ve g", "lepton number of generation 1"),
        ("e+ e- u u~ g", "has no '>'"),
        ("e+ > u u~ g", "is not a process"),
        ("e+ e- >", "is not a process"),
        ("p p > e+ ve j", "has protons"),
        ("e+ e- > u u~ g g g g", "not there yet"),
        ("u u~ > e+ e- d d~ g g", "not there yet"),
        ("e+ e- > e+ e- u u~", "not there yet"),
        ("u u~ > g g", "not there yet"),
        ("e+ e- > mu+ mu-", "not there yet"),
        ("e+ e- > t t~ g", "not there yet"),
        ("e+ e- > g g g", "gluons do not couple to leptons"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(InputError, match=message) as error:
        Process(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alphas": 0.1}, "unknown parameter 'alphas'"),
        ({"mw": 100.0}, "must be below mz"),
        ({"mz": -1.0}, "mz must be a positive number"),
        ({"alpha_s": float("nan")}, "alpha_s must be a positive number"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(InputError, match=message):
        Process("e+ e- > u u~ g", parameters)


def test_bad_momenta():
    process = Process("e+ e- > u u~ g")
    momenta = scattering(3, 91.188, 2, seed=7)
    with pytest.raises(InputError, match=r"shape \(n, 5, 4\)"):
        process.squared_amplitude(momenta[:, :4])
    with pytest.raises(InputError, match="not finite"):
        process.squared_amplitude(np.where(momenta > 45, np.nan, momenta))
    with pytest.raises(InputError, match="negative energies"):
        process.squared_amplitude(-momenta)
    assert process.squared_amplitude(momenta[:0]).shape == (0,)
