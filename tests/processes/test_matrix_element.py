"""Amplitudes of a boson and jets: native against numpy, symmetries, limits."""

import os
import pickle
import subprocess
import sys
from itertools import permutations, product

import numpy as np
import pytest
from scattering import metric, scattering

from lhcflow import InputError, _native
from lhcflow.processes import Process, colour
from lhcflow.processes.kinematics import boost, to_rest_frame
from lhcflow.processes.matrix_element import MatrixElement
from lhcflow.processes.partonic import partonic_channels

native = pytest.mark.skipif(_native.core is None, reason="no native kernels")

CF, CA, TR = 4 / 3, 3.0, 1 / 2


def elements(process):
    return [group.matrix_element for group in partonic_channels(process)]


@native
@pytest.mark.parametrize(
    ("boson", "jets"),
    [
        *product(("e+ ve", "e- ve~", "e+ e-"), (0, 1, 2, 3)),
        *product(("ve ve~",), (0, 1, 2)),
        pytest.param("ve ve~", 3, marks=pytest.mark.slow),
    ],
)
def test_native_kernels_agree_with_numpy(boson, jets):
    """All partonic channels; squares, colour flows, and one polarisation instead of all."""
    momenta = scattering(2 + jets, 800.0, 3, seed=jets, hardness=1e-3)
    angles = np.random.default_rng(jets).uniform(0, 7, (len(momenta), jets))
    for element in elements(f"p p > {boson}" + " j" * jets):
        gluons = len(element.structure.gluons)
        for given in (None, angles[:, :gluons])[: 1 if jets == 3 and boson != "e+ ve" else 2]:
            total, flows = element._sums(momenta, given, flows=True)
            expected, expected_flows = element._numpy(momenta, given)
            np.testing.assert_allclose(total, expected, rtol=1e-10)
            np.testing.assert_allclose(flows, expected_flows, rtol=1e-10, atol=1e-12 * expected_flows.max())


LEPTON_BEAMS = (
    "e+ e- > u u~",
    "e+ e- > b b~ g g",
    "e+ e- > u u~ g g g",
    "e+ e- > d d~ s s~ g",
    "e- g > e- g u u~",
)


@native
@pytest.mark.parametrize(
    "name", [*LEPTON_BEAMS, "ve~ u > e+ d g g", "e+ e- > d d~ d d~", "e- u > e- u s s~ g"]
)
def test_native_kernels_agree_with_numpy_for_lepton_beams(name):
    (subprocess_,) = Process(name).subprocesses
    (element,) = Process(name).elements
    momenta = scattering(len(subprocess_.outgoing), 300.0, 5, seed=4, hardness=1e-3)
    np.testing.assert_allclose(element._sums(momenta)[0], element._numpy(momenta)[0], rtol=1e-10)


NARROWER = """
import pickle, sys
import numpy as np
from lhcflow._native import core
results = []
for table, momenta in pickle.load(open(sys.argv[1], "rb")):
    results.append(np.empty(len(momenta)))
    core.amplitude_squares(*table, momenta, None, results[-1], None, 1)
assert core.instruction_set() == sys.argv[2]
sys.stdout.buffer.write(pickle.dumps(results))
"""


@native
def test_every_instruction_set_gives_the_same(tmp_path):
    """The builds that this processor can run but does not use, for each kind of process."""
    assert _native.core is not None
    elements = [
        Process(f"u u~ > e+ e- {jets}").elements[0] for jets in ("", "g", "g g", "g g g", "u u~", "u u~ g")
    ]
    jobs = [
        (e.native.table, scattering(e.structure.particles - 2, 500.0, 11, seed=9, hardness=1e-3))
        for e in elements
    ]
    (tmp_path / "jobs").write_bytes(pickle.dumps(jobs))
    expected = [e._sums(momenta)[0] for e, (_, momenta) in zip(elements, jobs, strict=True)]
    names = ["baseline", "avx2", "avx512"]
    for isa in names[: names.index(_native.core.instruction_set())]:
        command = [sys.executable, "-c", NARROWER, tmp_path / "jobs", isa]
        done = subprocess.run(
            command, env={**os.environ, "LHCFLOW_ISA": isa}, check=True, capture_output=True
        )
        for found, value in zip(pickle.loads(done.stdout), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-11, err_msg=isa)


@native
def test_forward_jets_lose_no_digits():
    """A boost along the beam by six units of rapidity: sums E +- pz are taken without cancellation."""
    process = Process("u d~ > e+ ve g g g")
    momenta = scattering(5, 500.0, 50, seed=18, hardness=1e-3)
    y = np.exp(6.0)
    plus, minus = (momenta[..., 0] + momenta[..., 3]) * y, (momenta[..., 0] - momenta[..., 3]) / y
    boosted = np.stack([(plus + minus) / 2, momenta[..., 1], momenta[..., 2], (plus - minus) / 2], axis=-1)
    boosted[:, 0] = boosted[:, 0, :1] * np.array([1, 0, 0, 1])
    boosted[:, 1] = boosted[:, 1, :1] * np.array([1, 0, 0, -1])
    np.testing.assert_allclose(
        process.squared_amplitude(boosted), process.squared_amplitude(momenta), rtol=1e-10
    )


@native
def test_values_depend_neither_on_the_batch_nor_on_threads():
    (element,) = Process("u u~ > e+ e- d d~ g").elements
    momenta = scattering(5, 500.0, 1203, seed=8)
    whole, flows = element.native.squares(momenta, flows=True, threads=1)
    again, more = element.native.squares(momenta, flows=True, threads=3)
    np.testing.assert_array_equal(whole, again)
    np.testing.assert_array_equal(flows, more)
    for n in (1, 3, 9):
        np.testing.assert_array_equal(element.native.squares(momenta[-n:])[0], whole[-n:])


@pytest.mark.parametrize("name", ["u d~ > e+ ve g g g", "g g > e+ e- b b~", "u u > e+ ve u d g"])
def test_polarisations_average_to_their_sum(name):
    """Squares are quadratic in cos and sin of the angle: eight even angles average them exactly."""
    (element,) = Process(name).elements
    momenta = scattering(Process(name).n_final, 500.0, 3, seed=5, hardness=1e-3)
    gluons = len(element.structure.gluons)
    grid = np.stack(np.meshgrid(*[np.arange(4) / 8] * gluons, indexing="ij"), axis=-1).reshape(-1, gluons)
    grid = grid + 0.0371  # anywhere
    each = [element.squared(momenta, 0.118, np.tile(row, (len(momenta), 1))) for row in grid]
    np.testing.assert_allclose(np.mean(each, axis=0), element.squared(momenta, 0.118), rtol=1e-12)
    assert (np.std(each, axis=0) / np.mean(each, axis=0)).min() > 0.01


@pytest.mark.parametrize(
    "name", ["u d~ > e+ ve g g g", "g g > e+ e- u u~", "d d~ > e+ e- u u~ g", "u u > e+ ve d u g"]
)
def test_gauge_invariance(name):
    """With a gluon's momentum for its polarisation the square vanishes, to rounding squared."""
    (element,) = Process(name).elements
    momenta = scattering(Process(name).n_final, 500.0, 5, seed=6, hardness=1e-3)
    good, _ = element._numpy(momenta)
    for gluon in range(len(element.structure.gluons)):
        zero, flows = element._numpy(momenta, gauge=gluon)
        assert (zero / good).max() < 1e-20
        assert (flows / good[:, None]).max() < 1e-20


CONJUGATE = {
    "e+ ve": "e- ve~",
    "u": "u~",
    "d": "d~",
    "s": "s~",
    "u~": "u",
    "d~": "d",
    "s~": "s",
    "g": "g",
    "e+ e-": "e- e+",
}


@pytest.mark.parametrize(
    "name",
    [
        "u d~ > e+ ve g",
        "g d~ > e+ ve u~ g",
        "g g > e+ ve d u~ g",
        "u d~ > e+ ve g g g",
        "u u > e+ ve d u",
        "s u > e+ ve s d",
        "s u > e+ ve s d g",
        "d~ d~ > e+ ve d~ u~ g",
        "u d~ > e+ ve s~ s",
        "u d~ > e+ ve u u~ g",
    ],
)
def test_charge_conjugation_with_parity(name):
    """CP holds with a diagonal CKM matrix: conjugate all particles and reflect all momenta."""
    incoming, jets = name.split(" > e+ ve ")
    process = Process(name)
    conjugate = " ".join(CONJUGATE[p] for p in incoming.split())
    other = Process(f"{conjugate} > e- ve~ " + " ".join(CONJUGATE[p] for p in jets.split()))
    momenta = scattering(process.n_final, 400.0, 4, seed=7, hardness=1e-3)
    mirrored = momenta * np.array([1.0, -1, -1, -1])
    np.testing.assert_allclose(
        other.squared_amplitude(mirrored), process.squared_amplitude(momenta), rtol=1e-9
    )


@pytest.mark.parametrize("name", ["u d~ > e+ ve g g g", "d g > e+ e- d u u~", "u u~ > e+ e- g g"])
def test_lorentz_invariance_and_order(name):
    process = Process(name)
    momenta = scattering(process.n_final, 400.0, 5, seed=8, hardness=1e-3)
    expected = process.squared_amplitude(momenta)
    boosted = boost(momenta, np.array([5.0, 1.0, -2.0, 3.0]))
    np.testing.assert_allclose(process.squared_amplitude(boosted), expected, rtol=1e-9)
    turned = momenta[..., [0, 2, 3, 1]]  # a rotation
    np.testing.assert_allclose(process.squared_amplitude(turned), expected, rtol=1e-9)
    before, after = name.split(" > ")
    swapped = Process(f"{' '.join(before.split()[::-1])} > {' '.join(after.split()[::-1])}")
    order = [1, 0, *range(process.n_final + 1, 1, -1)]
    np.testing.assert_allclose(swapped.squared_amplitude(momenta[:, order]), expected, rtol=1e-9)


@native
@pytest.mark.parametrize("gluon", [False, True])
def test_all_crossings_are_one_function(gluon):
    """Any two of the legs incoming, against the formula in invariants, which knows signs only."""
    outgoing = ["u", "u~", "e-", "e+", "g"][: 5 if gluon else 4]
    anti = {"u": "u~", "u~": "u", "e-": "e+", "e+": "e-", "g": "g"}
    for pair in permutations(range(len(outgoing)), 2):
        others = [p for i, p in enumerate(outgoing) if i not in pair]
        process = Process(f"{' '.join(anti[outgoing[i]] for i in pair)} > {' '.join(others)}")
        (element,) = process.elements
        momenta = scattering(process.n_final, 200.0, 5, seed=2, hardness=1e-3)
        np.testing.assert_allclose(element._sums(momenta)[0], element._closed(momenta), rtol=1e-11)
        np.testing.assert_allclose(element._numpy(momenta)[0], element._closed(momenta), rtol=1e-11)


def with_soft_gluon(momenta, size, seed):
    """Adds a gluon; all others recoil."""
    n = len(momenta)
    direction = np.random.default_rng(seed).normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    gluon = size * np.concatenate([np.ones((n, 1)), direction], axis=1)
    final = np.concatenate([momenta[:, 2:], gluon[:, None]], axis=1)
    total = final.sum(axis=1)
    half = np.sqrt(metric(total, total))[:, None, None] / 2
    incoming = half * np.array([[1.0, 0, 0, 1], [1.0, 0, 0, -1]])
    return np.concatenate([incoming, to_rest_frame(final, total[:, None])], axis=1)


def eikonal(p, i, j, k):
    """s_ij / (s_ik s_jk), positive."""
    s = {pair: 2 * metric(p[:, pair[0]], p[:, pair[1]]) for pair in ((i, j), (i, k), (j, k))}
    return s[i, j] / (s[i, k] * s[j, k])


@pytest.mark.parametrize(
    ("name", "with_gluon", "identical", "coloured"),
    [
        ("u d~ > e+ ve g", "u d~ > e+ ve g g", 2, {(0, 1): CF - CA / 2, (0, 4): CA / 2, (1, 4): CA / 2}),
        ("g d~ > e+ e- d~", "g d~ > e+ e- d~ g", 1, {(1, 4): CF - CA / 2, (0, 4): CA / 2, (0, 1): CA / 2}),
    ],
)
def test_soft_gluon(name, with_gluon, identical, coloured):
    """|M|^2 -> sum over pairs of -T_i.T_j 4 g^2 s_ij / (s_ik s_jk) |M_0|^2 for three coloured legs."""
    born = scattering(3, 300.0, 20, seed=9, hardness=1e-2)
    momenta = with_soft_gluon(born, 1e-6, seed=10)
    factor = sum(c * eikonal(momenta, i, j, 5) for (i, j), c in coloured.items())
    expected = Process(name).squared_amplitude(born, 0.1) * factor * 4 * (4 * np.pi * 0.1) / identical
    found = Process(with_gluon).squared_amplitude(momenta, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_soft_gluon_of_two_quark_lines():
    """As above with four coloured legs: T_i.T_j from the tensor T^a T^a of the Born amplitude.

    Source: Catani, Seymour, hep-ph/9605323 (section 3.2).
    """
    born = scattering(4, 300.0, 20, seed=11, hardness=1e-2)
    momenta = with_soft_gluon(born, 1e-6, seed=12)
    generators = colour._generators() / np.sqrt(2)
    amplitude = np.einsum("aij,akl->ijkl", generators, generators)  # end d~, start u, end s, start s~

    def act(x, leg):
        if leg in (0, 2):  # ends
            return np.einsum("cij,j...->ci...", generators, np.moveaxis(x, leg, 0))
        return -np.einsum("cji,j...->ci...", generators, np.moveaxis(x, leg, 0))

    norm = np.sum(np.abs(amplitude) ** 2)
    legs = {0: 1, 1: 0, 2: 4, 3: 5}
    factor = 0
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = act(amplitude, i), act(amplitude, j)
            a, b = np.moveaxis(a, 1, 1 + i), np.moveaxis(b, 1, 1 + j)
            correlator = np.real(np.sum(a.conj() * b)) / norm
            factor = factor - correlator * eikonal(momenta, legs[i], legs[j], 6)
    expected = Process("u d~ > e+ ve s s~").squared_amplitude(born, 0.1) * factor * 4 * 4 * np.pi * 0.1
    found = Process("u d~ > e+ ve s s~ g").squared_amplitude(momenta, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def split(momenta, leg, z, scale, angle):
    """Leg `leg` becomes two at the end, almost collinear; the first beam gives the energy for it."""
    p, beam = momenta[:, leg], momenta[:, 0]
    pb = metric(p, beam)[:, None]
    axes = np.zeros((2, len(p), 4))
    for axis, start in zip(axes, np.eye(4)[[1, 2]], strict=True):
        axis[:] = start - (metric(start, p)[:, None] * beam + metric(start, beam)[:, None] * p) / pb
    axes[1] -= axes[0] * (metric(axes[0], axes[1]) / metric(axes[0], axes[0]))[:, None]
    unit = [a / np.sqrt(-metric(a, a))[:, None] for a in axes]
    kt = scale * (np.cos(angle) * unit[0] + np.sin(angle) * unit[1])
    first = z * p + kt + scale**2 / z * beam / (2 * pb)
    second = (1 - z) * p - kt + scale**2 / (1 - z) * beam / (2 * pb)
    result = np.concatenate([np.delete(momenta, leg, axis=1), first[:, None], second[:, None]], axis=1)
    result[:, 0] += first + second - p
    return result


def p_qq(z):
    return CF * (1 + z**2) / (1 - z)


def p_gg(z):
    return 2 * CA * (z / (1 - z) + (1 - z) / z + z * (1 - z))


def p_qg(z):
    return TR * (1 - 2 * z * (1 - z))


@pytest.mark.parametrize(
    ("name", "split_name", "kernel", "identical"),
    [
        ("g u > e+ ve d", "g u > e+ ve d g", p_qq, 1),
        ("u g > e+ e- g u", "u g > e+ e- g u g", p_qq, 2),
        ("u s > e+ ve s d", "u s > e+ ve s d g", p_qq, 1),
        ("u d~ > e+ ve g", "u d~ > e+ ve g g", p_gg, 2),
        ("u d~ > e+ ve g g", "u d~ > e+ ve g g g", p_gg, 3),
        ("d d~ > e+ e- g", "d d~ > e+ e- s s~", p_qg, 1),
        ("d d~ > e+ e- g g", "d d~ > e+ e- g d d~", p_qg, 1 / 2),
        ("g g > e+ e- u u~ ", "g g > e+ e- u u~ g", p_qq, 1),
    ],
)
@pytest.mark.parametrize("z", [0.3, 0.8])
def test_collinear_partons(name, split_name, kernel, identical, z):
    """The last leg splits: |M|^2 -> 2 g^2 / s P(z) |M_0|^2 after an average over the azimuth.

    Source: Altarelli, Parisi, Nucl. Phys. B126 (1977) 298. Identical gluons have 1 / n! of their own.
    """
    before, after = Process(name), Process(split_name)
    born = scattering(before.n_final, 300.0, 10, seed=13, hardness=1e-2)
    last = 1 + before.n_final
    values, s = [], None
    for angle in np.arange(8) * np.pi / 4:
        momenta = split(born, last, z, 1e-3, angle)
        s = 2 * metric(momenta[:, -1], momenta[:, -2])
        values.append(after.squared_amplitude(momenta, 0.1))
    expected = before.squared_amplitude(born, 0.1) * 2 * (4 * np.pi * 0.1) / s * kernel(z) / identical
    np.testing.assert_allclose(np.mean(values, axis=0), expected, rtol=1e-4)


def test_leading_colour_flows_carry_the_event():
    """Flows are drawn in proportion to squared partial amplitudes; each is a valid set of lines."""
    (group,) = partonic_channels("u d~ > e+ ve g g g")
    momenta = scattering(5, 500.0, 4000, seed=14)
    weights = group.matrix_element.flow_weights(momenta)
    assert weights.shape == (4000, 6)
    lines = group.colour_flows(momenta, np.random.default_rng(15).random(4000))
    orders, counts = np.unique(lines.reshape(4000, -1), axis=0, return_counts=True)
    assert len(orders) == 6
    shares = np.sort((weights / weights.sum(axis=1, keepdims=True)).mean(axis=0))
    sd = np.sqrt(shares * (1 - shares) / 4000)
    # six shares at 4.5 sd: false alarm 4e-5
    assert (np.abs(np.sort(counts / 4000) - shares) < 4.5 * sd + 1e-3).all()


def test_random_polarisations_need_as_many_numbers_as_gluons():
    process = Process("u d~ > e+ ve g g")
    momenta = scattering(4, 200.0, 4, seed=16)
    for shape in ((4, 1), (3, 2), (4,)):
        with pytest.raises(InputError, match=r"random numbers must have shape \(4, 2\)"):
            process.squared_amplitude(momenta, random=np.full(shape, 0.5))


def test_matrix_element_is_what_process_gives():
    process = Process("u d~ > e+ ve g g")
    (structure,) = process._groups
    momenta = scattering(4, 200.0, 4, seed=17)
    alone = MatrixElement(structure, process.parameters).squared(momenta, 0.118)
    np.testing.assert_array_equal(process.squared_amplitude(momenta, 0.118), alone)
