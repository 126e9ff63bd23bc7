"""Cross sections against analytic results. Statistical tests allow 4.5 standard deviations, seeds fixed."""

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from textbook import D_TYPE, FLAVOURS, U_TYPE, born, dalitz_element, durham_three_jets, jade_three_jets

from lhcflow import InputError
from lhcflow.processes import (
    CrossSection,
    Cuts,
    EnergyScan,
    FixedEnergy,
    GaussianSpread,
    Multichannel,
    Parameters,
    Process,
    gluon_channels,
    optimised_weights,
)

JETS = Process("e+ e- > j j j")


def plain(f, n, seed):
    values = f(np.random.default_rng(seed).random((n, f.dim)))
    return values.mean(), values.std() / np.sqrt(n), values


def assert_cross_section(f, n, seed, expected, precision):
    mean, error, _ = plain(f, n, seed)
    assert abs(mean - expected) < 4.5 * error
    assert error < precision * expected


@pytest.mark.parametrize("y_cut", [0.002, 0.01, 0.1])
def test_jade_formula_is_the_dalitz_integral(y_cut):
    """The closed form used below against two-dimensional quadrature of the QCD matrix element."""
    value, _ = dblquad(
        lambda b, a: dalitz_element(np.exp(a), np.exp(b)) * np.exp(a + b),
        np.log(y_cut),
        np.log(1 - 2 * y_cut),
        np.log(y_cut),
        lambda a: np.log(1 - np.exp(a) - y_cut),
        epsrel=1e-9,
    )
    assert jade_three_jets(y_cut, 0.118) == pytest.approx(4 / 3 * 0.118 / (2 * np.pi) * value, rel=1e-7)


@pytest.mark.parametrize("phase_space", ["channels", "poles"])
@pytest.mark.parametrize("y_cut", [0.002, 0.01, 0.1])
def test_jade_rate(y_cut, phase_space):
    f = CrossSection(JETS, 91.188, Cuts(jade=y_cut), phase_space)
    expected = born(91.188**2, FLAVOURS, Parameters())[0] * jade_three_jets(y_cut, 0.118)
    assert_cross_section(f, 50_000, 1, expected, 5e-4)


@pytest.mark.parametrize(("name", "flavours"), [("u u~ g", [U_TYPE]), ("d d~ g", [D_TYPE])])
@pytest.mark.parametrize("energy", [60.0, 91.188, 200.0])
def test_jade_rate_away_from_the_peak(name, flavours, energy):
    f = CrossSection(Process(f"e+ e- > {name}"), energy, Cuts(jade=0.02), alpha_s=0.13)
    expected = born(energy**2, flavours, Parameters())[0] * jade_three_jets(0.02, 0.13)
    assert_cross_section(f, 50_000, 2, expected, 5e-4)


@pytest.mark.parametrize(("phase_space", "precision"), [("channels", 6e-4), ("poles", 6e-3), ("flat", 2e-2)])
@pytest.mark.parametrize("y_cut", [0.01, 0.05])
def test_durham_rate(y_cut, phase_space, precision):
    expected = born(91.188**2, FLAVOURS, Parameters())[0] * durham_three_jets(y_cut, 0.118)
    assert_cross_section(
        CrossSection(JETS, 91.188, Cuts(durham=y_cut), phase_space), 50_000, 3, expected, precision
    )


def test_mass_cut_is_the_jade_cut():
    expected = born(91.188**2, FLAVOURS, Parameters())[0] * jade_three_jets((9.1188 / 91.188) ** 2, 0.118)
    assert_cross_section(CrossSection(JETS, 91.188, Cuts(min_mass=9.1188)), 50_000, 4, expected, 5e-4)


def test_two_jets_on_flat_phase_space():
    f = CrossSection(Process("e+ e- > j j"), 91.188, phase_space="flat")
    assert_cross_section(f, 50_000, 5, born(91.188**2, FLAVOURS, Parameters())[0], 5e-3)


def test_energy_scan_averages_the_lineshape():
    beams = EnergyScan(80.0, 100.0)
    fraction = jade_three_jets(0.01, 0.118)
    area, _ = quad(lambda e: born(e * e, FLAVOURS, Parameters())[0], 80, 100, points=[91.188], epsrel=1e-9)
    f = CrossSection(JETS, beams, Cuts(jade=0.01))
    assert f.dim == 7
    assert_cross_section(f, 50_000, 6, area / 20 * fraction, 2e-3)
    # The Breit-Wigner map takes the peak out: only the photon and the interference are left.
    values = plain(f, 50_000, 6)[2]
    assert values.std() / values.mean() < 0.25


def test_scan_with_a_mass_cut():
    """A mass cut moves in y with the energy."""

    def at(e):
        return born(e * e, FLAVOURS, Parameters())[0] * jade_three_jets((12 / e) ** 2, 0.118)

    area, _ = quad(at, 60, 120, points=[91.188], epsrel=1e-9)
    f = CrossSection(JETS, EnergyScan(60.0, 120.0), Cuts(min_mass=12.0))
    assert_cross_section(f, 100_000, 7, area / 60, 5e-3)


def test_energy_spread():
    """Both beams' Gaussians by Gauss-Hermite quadrature; momentum is conserved with unequal beams."""
    spread = 0.005
    x, weight = np.polynomial.hermite_e.hermegauss(40)
    first, second = np.meshgrid(x, x)
    s = 91.188**2 * (1 + spread * first) * (1 + spread * second)
    sigma = np.vectorize(lambda s: born(s, FLAVOURS, Parameters())[0])(s)
    expected = weight @ sigma @ weight / (2 * np.pi) * jade_three_jets(0.01, 0.118)
    f = CrossSection(JETS, GaussianSpread(91.188, spread), Cuts(jade=0.01))
    assert f.dim == 8
    assert_cross_section(f, 100_000, 8, expected, 2e-3)
    momenta, values = f.evaluate(np.random.default_rng(9).random((1000, 8)))
    np.testing.assert_allclose(momenta[:, :2].sum(axis=1), momenta[:, 2:].sum(axis=1), atol=1e-10)
    assert np.abs(momenta[:, 0, 0] - momenta[:, 1, 0]).std() > 0.1
    assert (values > 0).mean() > 0.9


def test_forward_backward_asymmetry_of_events():
    """|M|^2 is the sum of a term along the quark and one along the antiquark, with the Born asymmetry each.

    With equal weights and no flat channel every event has the same weight, so its channel's axis shows it.
    """
    cuts = Cuts(jade=0.05)
    process = Process("e+ e- > d d~ g")
    maps = Multichannel(gluon_channels(process, cuts, 80.0).channels, [1, 1, 0])
    f = CrossSection(process, 80.0, cuts, maps)
    u = np.random.default_rng(10).random((200_000, f.dim))
    momenta, weights = f.evaluate(u)
    assert weights.std() < 0.01 * weights.mean()
    axis = maps.channel(u)
    sign = np.sign(momenta[np.arange(len(u)), 2 + axis, 3])
    toward_electron = sign * np.where(axis == 0, -1, 1)  # the first beam is the positron
    expected = born(80.0**2, [D_TYPE], Parameters())[1]
    assert abs(np.average(toward_electron, weights=weights) - expected) < 4.5 / np.sqrt(len(u))
    assert abs(expected) > 0.1


def test_channels_are_nearly_exact():
    """Both terms of the amplitude have their channel: what is left is the 2 % of the flat channel."""
    for cuts in (Cuts(jade=0.01), Cuts(durham=0.01)):
        _, _, values = plain(CrossSection(JETS, 91.188, cuts), 20_000, 11)
        assert values.mean() / values.max() > 0.95
        assert (values > 0).mean() > 0.99


def test_optimised_weights_lower_the_variance():
    cuts = Cuts(jade=0.01)
    good = gluon_channels(JETS, cuts, 91.188)
    bad = CrossSection(JETS, 91.188, cuts, Multichannel(good.channels, [0.1, 0.3, 0.6]))
    weights = optimised_weights(bad, seed=1, iterations=12)
    assert weights.sum() == pytest.approx(1)
    assert weights[2] < 0.05
    better = CrossSection(JETS, 91.188, cuts, Multichannel(good.channels, weights))
    assert plain(better, 20_000, 12)[2].std() < 0.2 * plain(bad, 20_000, 12)[2].std()
    np.testing.assert_array_equal(weights, optimised_weights(bad, seed=1, iterations=12))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CrossSection(JETS), "diverges without cuts"),
        (lambda: CrossSection(JETS, 91.188, Cuts(durham=0.4)), "leave no phase space"),
        (lambda: CrossSection(JETS, 30.0, Cuts(min_mass=18.0)), "min_mass below 17.32 GeV"),
        (lambda: CrossSection(JETS, -91.0, Cuts(durham=0.01)), "energy must be a positive number"),
        (
            lambda: CrossSection(JETS, 91.0, Cuts(durham=0.01), "rambo"),
            "must be 'channels', 'poles' or 'flat'",
        ),
        (lambda: CrossSection(Process("e+ e- > j j")), "for q q~ g"),
        (lambda: CrossSection(Process("u d~ > e+ ve g"), 91.0, Cuts(durham=0.1)), "e\\+ e- beams only"),
        (lambda: CrossSection(JETS, 91.0, Cuts(durham=0.01))(np.zeros((3, 5))), r"shape \(n, 6\)"),
        (lambda: Cuts(durham=-1), "durham must be a positive number"),
        (lambda: Cuts(jade=float("nan")), "jade must be a positive number"),
        (lambda: Cuts.from_card({"ycut": 0.1}), "unknown cut 'ycut'"),
        (lambda: EnergyScan(100.0, 90.0), "scan is empty"),
        (lambda: GaussianSpread(91.0, 0.5), r"spread must be in \(0, 0.1\]"),
        (lambda: FixedEnergy(float("inf")), "energy must be a positive number"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_cuts_card_round_trip():
    cuts = Cuts(durham=0.01, min_mass=3.0)
    assert cuts.card() == {"durham": 0.01, "min_mass": 3.0}
    assert Cuts.from_card(cuts.card()) == cuts
