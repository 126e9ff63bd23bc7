"""Events: unweighted distributions, flavours, files. Statistical tests allow 4.5 standard deviations."""

import pickle

import numpy as np
import pytest
from scipy.stats import ks_2samp

from lhcflow import InputError
from lhcflow.errors import RunError
from lhcflow.integration.flow_settings import FlowSettings
from lhcflow.processes import (
    CrossSection,
    Cuts,
    EventGenerator,
    Process,
    compare,
    integration_variables,
    three_jet_observables,
)
from lhcflow.processes.events import assign_flavours, colour_flow

CUTS = Cuts(durham=0.02)


def generator(method="bare", phase_space="channels", seed=1, calls=20_000, **options):
    made = EventGenerator("e+ e- > j j j", 91.188, CUTS, phase_space, method, seed, **options)
    made.integrate(calls)
    return made


@pytest.fixture(scope="module")
def bare():
    return generator()


def test_events_are_physical(bare):
    events = bare.generate(2000)
    assert len(events) == 2000
    incoming, outgoing = events.momenta[:, :2].sum(axis=1), events.momenta[:, 2:].sum(axis=1)
    np.testing.assert_allclose(incoming, outgoing, atol=1e-12)
    masses = np.sum(events.momenta**2 * np.array([1.0, -1, -1, -1]), axis=2)
    np.testing.assert_allclose(masses, 0, atol=1e-11)
    assert CUTS(events.momenta[:, 2:]).all()
    np.testing.assert_allclose(events.scale, 91.188)
    assert events.weights.mean() == pytest.approx(bare.result.mean)
    assert (events.pdg[:, :2] == (-11, 11)).all()
    assert (events.pdg[:, 2] == -events.pdg[:, 3]).all()
    assert (events.pdg[:, 4] == 21).all()


@pytest.mark.parametrize("phase_space", ["channels", "poles"])
def test_unweighted_events_follow_weighted_flat_ones(phase_space):
    """Kolmogorov-Smirnov of eight observables against accept-reject on flat phase space; p > 1e-4 each."""
    events = generator(phase_space=phase_space).generate(4000)
    f = CrossSection(Process("e+ e- > j j j"), 91.188, CUTS, "flat")
    rng = np.random.default_rng(3)
    momenta, weights = f.evaluate(rng.random((200_000, 5)))
    kept = weights > rng.random(len(weights)) * weights.max()
    assert kept.sum() > 3000
    found = three_jet_observables(events.momenta)
    expected = three_jet_observables(momenta[kept])
    for name, values in found.items():
        assert ks_2samp(values, expected[name]).pvalue > 1e-4, name
    azimuth = [np.arctan2(m[:, 2, 2], m[:, 2, 1]) for m in (events.momenta, momenta[kept])]
    assert ks_2samp(*azimuth).pvalue > 1e-4


def test_flavours_follow_their_shares(bare):
    """At given momenta flavours are drawn with probability |M_f|^2 / sum |M|^2."""
    process = bare.cross_section.process
    momenta = np.repeat(bare.generate(3).momenta[1:2], 40_000, axis=0)
    events = assign_flavours(process, momenta, np.ones(len(momenta)), np.random.default_rng(4))
    share = process.squared_amplitudes(momenta[:1])[0]
    share /= share.sum()
    for subprocess, p in zip(process.subprocesses, share, strict=True):
        found = np.mean(events.pdg[:, 2] == subprocess.pdg[2])
        assert abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / len(momenta))


def test_colour_flow():
    (subprocess,) = Process("e+ e- > u u~ g").subprocesses
    assert colour_flow(subprocess) == [(0, 0), (0, 0), (501, 0), (0, 502), (502, 501)]
    (subprocess,) = Process("e+ e- > d d~").subprocesses
    assert colour_flow(subprocess) == [(0, 0), (0, 0), (501, 0), (0, 501)]
    (subprocess,) = Process("u g > e+ ve d").subprocesses
    assert colour_flow(subprocess) == [(502, 0), (501, 502), (0, 0), (0, 0), (501, 0)]
    (subprocess,) = Process("g d~ > e+ ve u~").subprocesses
    assert colour_flow(subprocess) == [(501, 502), (0, 501), (0, 0), (0, 0), (0, 502)]


def test_same_seed_same_events():
    first, second = generator(seed=5), generator(seed=5)
    assert first.result.mean == second.result.mean
    np.testing.assert_array_equal(first.generate(500).momenta, second.generate(500).momenta)
    assert (first.generate(500).pdg == second.generate(500).pdg).all()
    assert generator(seed=6).result.mean != first.result.mean


def test_card_is_plain_and_repeats_the_run(bare):
    import json

    card = json.loads(json.dumps(bare.card()))
    again = EventGenerator(
        Process(card["process"], card["parameters"]),
        card["beams"]["energy"],
        Cuts.from_card(card["cuts"]),
        card["phase_space"],
        card["method"],
        card["seed"],
        channel_weights=card["channel_weights"],
    )
    assert again.integrate(20_000).mean == bare.result.mean


def test_integrand_travels_to_other_processes(bare):
    f = bare.cross_section
    u = np.random.default_rng(7).random((50, f.dim))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(f))(u), f(u))


def test_integration_variables():
    flat = generator(phase_space="flat")
    found = integration_variables(flat, 5000)
    assert len(found.names) == 5
    assert found.target.shape == found.before.shape == found.after.shape == (5000, 5)
    np.testing.assert_array_equal(found.target_weights, flat.cross_section(found.target))
    assert abs(found.target_weights.mean() - flat.result.mean) < 4.5 * found.target_weights.std() / np.sqrt(
        4000
    )


def test_three_jet_observables_of_known_events():
    """The symmetric configuration in the transverse plane: x = 2/3, y23 = 1/3 * 1."""
    energy = 30.0
    phi = 2 * np.pi / 3 * np.arange(3)
    momenta = np.zeros((1, 5, 4))
    momenta[0, 0], momenta[0, 1] = (45, 0, 0, 45), (45, 0, 0, -45)
    momenta[0, 2:] = energy * np.stack([np.ones(3), np.cos(phi), np.sin(phi), np.zeros(3)], axis=1)
    found = three_jet_observables(momenta)
    for name, value in {"x1": 2 / 3, "x3": 2 / 3, "thrust": 2 / 3, "y23": 1 / 3, "cos_thrust": 0.0}.items():
        assert found[name][0] == pytest.approx(value, abs=1e-12)


def test_overweight_events_keep_the_cross_section():
    flat = generator(phase_space="flat", calls=100_000)
    events = flat.generate(3000, overweight=0.1)
    assert np.ptp(events.weights) > 0
    assert events.weights.mean() == pytest.approx(flat.result.mean)


@pytest.mark.parametrize("n", [0, -3, 2.5, True])
def test_bad_number_of_events(bare, n):
    with pytest.raises(InputError, match="positive integer"):
        bare.generate(n)


def test_bad_options():
    with pytest.raises(InputError, match="method must be"):
        EventGenerator("e+ e- > j j j", cuts=CUTS, method="foam")
    with pytest.raises(InputError, match="no channels"):
        EventGenerator("e+ e- > j j j", cuts=CUTS, phase_space="flat", channel_weights=[1, 1, 1])
    with pytest.raises(InputError, match="as many weights"):
        EventGenerator("e+ e- > j j j", cuts=CUTS, channel_weights=[1, 1])
    with pytest.raises(InputError, match="seed must be an integer"):
        EventGenerator("e+ e- > j j j", cuts=CUTS, seed=-1)
    with pytest.raises(InputError, match="alpha_s must be a positive number"):
        EventGenerator("e+ e- > j j j", cuts=CUTS, alpha_s=0.0)
    with pytest.raises(InputError, match="energy must be a number"):
        EventGenerator("e+ e- > j j j", "91", CUTS)
    with pytest.raises(RunError, match="call integrate"):
        EventGenerator("e+ e- > j j j", cuts=CUTS).generate(10)
    with pytest.raises(InputError, match="at least 20 calls"):
        EventGenerator("e+ e- > j j j", cuts=CUTS, method="bare").integrate(5)


def test_no_events_within_the_cuts():
    """Cuts so close to the limit that no flat point passes."""
    made = EventGenerator("e+ e- > j j j", cuts=Cuts(jade=0.333), phase_space="flat", method="bare")
    with pytest.raises(RunError, match="none of 1000 points passed"):
        made.integrate(1000)
    exact = EventGenerator("e+ e- > j j j", cuts=Cuts(jade=0.333), method="bare")
    assert exact.integrate(1000).mean > 0


def test_vegas_gives_the_same_cross_section_and_events(bare):
    made = generator("vegas", "flat", calls=60_000)
    error = np.hypot(made.result.sdev, bare.result.sdev)
    assert abs(made.result.mean - bare.result.mean) < 4.5 * error
    found, expected = (three_jet_observables(g.generate(3000).momenta) for g in (made, bare))
    for name in ("x1", "x3", "y23", "cos_thrust", "cos_quark"):
        assert ks_2samp(found[name], expected[name]).pvalue > 1e-4, name


def test_comparison_counts_all_calls():
    rows = compare("e+ e- > j j j", 91.188, CUTS, methods=("vegas", "bare"), calls=20_000)
    assert [row.method for row in rows] == ["vegas", "bare"]
    assert rows[1].calls == 28_000  # with those that fixed the channel weights
    for row in rows:
        assert (
            abs(row.cross_section - rows[0].cross_section) < 4.5 * np.hypot(row.error, rows[0].error) + 1e-9
        )
        assert 0.5 < row.efficiency <= 1
        assert row.seconds > 0


@pytest.mark.slow
def test_flow(bare):
    """A briefly trained flow: the same cross section and the same events as without it."""
    settings = FlowSettings(layers=4, hidden=(32,), stages=3, steps=60)
    made = generator("flow", calls=20_000, settings=settings)
    assert abs(made.result.mean - bare.result.mean) < 4.5 * np.hypot(made.result.sdev, bare.result.sdev)
    found, expected = (three_jet_observables(g.generate(2000).momenta) for g in (made, bare))
    for name in ("x1", "x3", "y23", "cos_thrust", "cos_quark"):
        assert ks_2samp(found[name], expected[name]).pvalue > 1e-4, name
