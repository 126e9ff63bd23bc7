"""Phase space of a boson and jets. Statistical tests allow 4.5 standard deviations."""

from itertools import permutations

import numpy as np
import pytest
from scipy.integrate import quad

from lhcflow import InputError
from lhcflow.processes.boson_jets import BosonJets, Resonance
from lhcflow.processes.histories import History, histories
from lhcflow.processes.jet_cuts import JetCuts
from lhcflow.processes.kinematics import boost, delta_r, mass_squared, pseudorapidity, transverse_momentum
from lhcflow.processes.phase_space import Rambo, volume

ENERGY = 2000.0
CUTS = JetCuts(jet_pt=50.0, jet_eta=2.0, min_mass=60.0, max_mass=200.0)
WIDE = Resonance(80.4, 60.0)  # so that even points of phase space have a chance
MAPS = [BosonJets(n, ENERGY, WIDE, CUTS) for n in range(4)]


def shapes(n):
    """One history of each kind, all others being the same with jets relabelled."""
    seen, first = set(), []
    for c, history in enumerate(MAPS[n].channels):
        if history not in seen:
            first.append(c)
            seen |= {history.relabelled(p) for p in permutations(range(n))}
    return first


CASES = [(n, c) for n in range(4) for c in shapes(n)]


def points(maps, channel, n, seed=1):
    momenta, good = maps.generate(np.random.default_rng(seed).random((n, maps.dim)), channel)
    assert good.mean() > 0.4
    return momenta, good


def jets(n):
    return list(range(4, 4 + n))


def function(momenta):
    """A test integrand: the cuts, and falling so fast with the energy that weights are even."""
    n = momenta.shape[1] - 4
    s = mass_squared(momenta[:, 0] + momenta[:, 1])
    passed = CUTS(momenta, jets(n), [2], [3])
    return passed * np.exp(-np.sqrt(s) / 150) * s ** (2 - n)


def even_points(n_jets, n, seed=2):
    """Events even in x1 x2 phase space by RAMBO, and their weights: nothing shared with the channels."""
    rng = np.random.default_rng(seed)
    lowest = (60 / ENERGY) ** 2
    x = lowest ** rng.random((n, 2))
    weight = np.log(lowest) ** 2 * x.prod(axis=1)
    energy = np.sqrt(x.prod(axis=1)) * ENERGY
    rambo = Rambo(2 + n_jets)
    total = np.zeros((n, 1, 4))
    total[:, 0, 0], total[:, 0, 3] = x.sum(axis=1) * ENERGY / 2, (x[:, 0] - x[:, 1]) * ENERGY / 2
    momenta = np.zeros((n, 4 + n_jets, 4))
    momenta[:, 0, 0] = momenta[:, 0, 3] = x[:, 0] * ENERGY / 2
    momenta[:, 1, 0], momenta[:, 1, 3] = x[:, 1] * ENERGY / 2, -x[:, 1] * ENERGY / 2
    momenta[:, 2:] = boost(rambo.generate(rng.random((n, rambo.dim)), energy), total)
    return momenta, weight * volume(2 + n_jets, energy)


def test_histories_are_the_rooted_forests():
    """Cayley: (n + 1)^(n - 1); besides, those in which a jet recoils."""
    found = [histories(n) for n in range(4)]
    assert [sum(h.recoil is None for h in of) for of in found] == [1, 1, 3, 16]
    assert [len(set(of)) for of in found] == [len(of) for of in found] == [1, 1, 5, 25]


def test_histories_relabelled():
    """Under the permutations of three jets histories go to each other; jets keep their roles."""
    for h in histories(3):
        for p in permutations(range(3)):
            moved = h.relabelled(p)
            assert moved in histories(3)
            assert sorted(moved.order()) == [0, 1, 2]
    assert History((-1, 0), None).relabelled((1, 0)) == History((1, -1), None)
    assert History((-1, -1, 0), 1).relabelled((2, 0, 1)) == History((-1, 2, -1), 0)


@pytest.mark.parametrize("n", [2, 3])
def test_relabelled_jets_have_the_densities_of_relabelled_histories(n):
    maps = MAPS[n]
    momenta, good = points(maps, 0, 300)
    momenta = momenta[good]
    densities = maps.densities(momenta)
    for p in permutations(range(n)):
        moved = momenta.copy()
        moved[:, [4 + i for i in p]] = momenta[:, 4:]
        to = [maps.channels.index(h.relabelled(p)) for h in maps.channels]
        # the rapidities of jets are drawn in turn: where energy runs short their order counts
        close = np.isclose(maps.densities(moved)[:, to], densities, rtol=0.2)
        assert close.mean() > 0.95


@pytest.mark.parametrize(("n", "channel"), CASES)
def test_momenta_are_physical_and_come_back(n, channel):
    maps = MAPS[n]
    u = np.random.default_rng(3).random((2000, maps.dim))
    momenta, good = maps.generate(u, channel)
    p, u = momenta[good], u[good]
    np.testing.assert_allclose(p[:, :2].sum(axis=1), p[:, 2:].sum(axis=1), atol=1e-10 * ENERGY)
    np.testing.assert_allclose(mass_squared(p), 0, atol=1e-10 * ENERGY**2)
    assert (p[..., 0] > 0).all()
    assert (p[:, :2, 0] < ENERGY / 2).all()
    assert ((p[:, 2] + p[:, 3])[:, 3] >= 0).all()
    for i in jets(n):
        assert (transverse_momentum(p[:, i]) > CUTS.jet_pt * (1 - 1e-9)).all()
        assert (np.abs(pseudorapidity(p[:, i])) < CUTS.jet_eta * (1 + 1e-9)).all()
    for i, parent in enumerate(maps.channels[channel].parents):
        if parent >= 0:
            assert (delta_r(p[:, 4 + i], p[:, 4 + parent]) > CUTS.jet_radius * (1 - 1e-9)).all()
    assert (maps.densities(p)[:, channel] > 0).all()
    difference = np.abs(maps.inverse(p, channel) - u)
    assert np.minimum(difference, 1 - difference).max() < 1e-8  # azimuths wind around
    mirror = p * np.array([1.0, 1.0, 1.0, -1.0])
    mirror[:, :2] = mirror[:, 1::-1]
    angle = 2.0
    turned = p.copy()
    turned[..., 1] = np.cos(angle) * p[..., 1] - np.sin(angle) * p[..., 2]
    turned[..., 2] = np.sin(angle) * p[..., 1] + np.cos(angle) * p[..., 2]
    for image in (mirror, p * np.array([1.0, 1.0, -1.0, 1.0]), turned):
        difference = np.abs(maps.inverse(image, channel) - maps.inverse(p, channel))
        assert np.minimum(difference, 1 - difference).max() < 1e-8
        np.testing.assert_allclose(maps.densities(image), maps.densities(p), rtol=1e-8)


def test_no_jets_against_the_exact_integral():
    """int dx1 dx2 dPhi h(s) = int dtau ln(1 / tau) h(tau s) / (8 pi)."""
    momenta, good = points(MAPS[0], 0, 200_000)
    assert good.all()
    weight = np.exp(-mass_squared(momenta[:, 0] + momenta[:, 1]) / 100**2) / MAPS[0].densities(momenta)[:, 0]
    low, high = (60 / ENERGY) ** 2, (200 / ENERGY) ** 2
    exact = quad(lambda t: -np.log(t) * np.exp(-t * (ENERGY / 100) ** 2) / (8 * np.pi), low, high)[0]
    assert abs(weight.mean() - exact) < 4.5 * weight.std() / len(weight) ** 0.5
    assert weight.std() / len(weight) ** 0.5 < 0.01 * exact


@pytest.mark.parametrize("n", range(4))
def test_integral_agrees_with_even_phase_space(n):
    """All channels together against RAMBO, whose volume is exact."""
    maps = MAPS[n]
    size = 60_000 // len(maps.channels)
    values = []
    for c in range(len(maps.channels)):
        momenta, good = points(maps, c, size, seed=c)
        value = np.zeros(size)
        value[good] = function(momenta[good]) / maps.densities(momenta[good]).mean(axis=1)
        values.append(value)
    values = np.array(values)
    mean, error = values.mean(), np.sqrt(values.var(axis=1).mean() / values.size)
    momenta, weight = even_points(n, 150_000)
    other = function(momenta) * weight
    assert abs(mean - other.mean()) < 4.5 * np.hypot(error, other.std() / len(other) ** 0.5)
    assert error < 0.2 * mean


@pytest.mark.parametrize(
    ("n", "channel"), [(n, c) for n, c in CASES if n > 1 and MAPS[n].channels[c].recoil is None]
)
def test_every_channel_gives_the_same_integral_where_it_is(n, channel):
    """A function within Delta R < 2 of parent and child, against the channel of jets from the beams."""
    maps = MAPS[n]

    def near(momenta):
        s = mass_squared(momenta[:, 0] + momenta[:, 1])
        value = CUTS(momenta, jets(n), [2], [3]) * np.exp(-np.sqrt(s) / 60)
        for i in jets(n):
            value = value * transverse_momentum(momenta[:, i]) ** -2.0
            for j in range(4, i):
                value = value * (delta_r(momenta[:, i], momenta[:, j]) < 2)
        return value

    def estimate(c, size):
        momenta, good = points(maps, c, size, seed=7 + c)
        value = np.zeros(size)
        value[good] = near(momenta[good]) / maps.densities(momenta[good])[:, c]
        return value.mean(), value.std() / size**0.5

    (mean, error), (expected, other) = estimate(channel, 40_000), estimate(0, 40_000)
    assert abs(mean - expected) < 4.5 * np.hypot(error, other)
    assert error < 0.2 * mean


@pytest.mark.parametrize(
    ("n", "channel"), [(n, c) for n, c in CASES if MAPS[n].channels[c].recoil is not None]
)
def test_channels_with_a_soft_boson_give_the_same_integral_where_it_is(n, channel):
    """A function of small pT of the boson, against the channel in which the boson recoils."""
    maps = MAPS[n]

    def soft(momenta):
        s = mass_squared(momenta[:, 0] + momenta[:, 1])
        pt = transverse_momentum(momenta[:, 2] + momenta[:, 3])
        value = CUTS(momenta, jets(n), [2], [3]) * np.exp(-np.sqrt(s) / 200 - (pt / 40) ** 2)
        for i in jets(n):
            value = value * transverse_momentum(momenta[:, i]) ** -2.0
        for i, parent in enumerate(maps.channels[channel].parents):
            if parent >= 0:
                value = value * (delta_r(momenta[:, 4 + i], momenta[:, 4 + parent]) < 2)
        return value

    estimates = []
    for c, size in ((channel, 40_000), (0, 200_000)):
        momenta, good = points(maps, c, size, seed=21 + c)
        value = np.zeros(size)
        value[good] = soft(momenta[good]) / maps.densities(momenta[good])[:, c]
        estimates.append((value.mean(), value.std() / size**0.5))
    (mean, error), (expected, other) = estimates
    assert abs(mean - expected) < 4.5 * np.hypot(error, other)
    assert np.hypot(error, other) < 0.15 * mean


@pytest.mark.parametrize(("n", "channel"), CASES)
def test_densities_are_normalised(n, channel):
    """Integral of a channel's density over phase space: the share of its points that exist."""
    maps = MAPS[n]
    size = 20_000 if n < 3 else 40_000
    _, good = points(maps, channel, size, seed=11)
    parts = []
    for c in {0, channel}:  # from both, so that no weight is large; the first channel is everywhere
        momenta, there = points(maps, c, size, seed=12 + c)
        densities = maps.densities(momenta[there])
        value = np.zeros(size)
        value[there] = densities[:, channel] / densities[:, [0, channel]].mean(axis=1)
        parts.append(value)
    values = np.array(parts)
    error = np.sqrt(values.var(axis=1).mean() / values.size) + good.std() / size**0.5
    assert abs(values.mean() - good.mean()) < 4.5 * error + 1e-12
    if all(p < 0 for p in maps.channels[channel].parents):
        assert good.mean() > 0.9


def test_resonance_is_sampled():
    """Masses follow the Breit-Wigner: its weight is even, for a narrow Z and far into the tails."""
    z = Resonance(91.188, 2.44, photon=True)
    maps = BosonJets(0, 14000.0, z, JetCuts(min_mass=40.0, max_mass=1000.0))
    momenta, _ = points(maps, 0, 50_000)
    s = mass_squared(momenta[:, 2] + momenta[:, 3])
    shape = 1 / ((s - z.mass**2) ** 2 + (z.mass * z.width) ** 2) + 1 / s**2
    y_range = np.log(14000.0**2 / s)
    weight = shape * s**-0.5 / maps.densities(momenta)[:, 0] / y_range
    assert weight.std() < 0.02 * weight.mean()
    assert 40 < np.sqrt(s.min()) < 41
    assert 300 < np.sqrt(s.max()) < 1000


def test_wrong_input():
    with pytest.raises(InputError, match="0 to 3 jets"):
        BosonJets(4, ENERGY, WIDE, CUTS)
    with pytest.raises(InputError, match="no phase space"):
        BosonJets(2, 200.0, WIDE, CUTS)
    assert MAPS[2].variables[4:] == ("p_{T,1}", "y_1", "p_{T,2}", "y_2", r"\phi_2")
    assert [len(maps.variables) for maps in MAPS] == [maps.dim for maps in MAPS] == [3, 6, 9, 12]
