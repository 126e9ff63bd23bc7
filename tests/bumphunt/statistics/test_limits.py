"""CLs limits against pyhf and exact formulas."""

import json

import numpy as np
import pyhf
import pytest

from lhcflow.bumphunt import SignalRegion, Toy
from lhcflow.bumphunt.statistics import (
    Spectrum,
    count_model,
    counting_data,
    counting_model,
    counting_workspace,
    dijet_model,
    mass_bins,
    sideband_fit,
    spectrum_workspace,
    toy_limit,
    upper_limit,
)
from lhcflow.bumphunt.statistics.limits import test_statistic as q_tilde
from lhcflow.errors import InputError

# pyhf calls a part of jsonschema that goes away.
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")

REGION = SignalRegion(3.3, 3.7)
EDGES = mass_bins(REGION, 2.6, 7.0)


def pyhf_limits(workspace, guess):
    """Observed and expected limits of pyhf, interpolated as its users do it."""
    workspace = pyhf.Workspace(json.loads(json.dumps(workspace)))  # validates the schema
    model = workspace.model()
    data = workspace.data(model)
    observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(
        data, model, scan=np.linspace(0.2 * guess, 2.5 * guess, 60)
    )
    return float(observed), [float(e) for e in expected]


@pytest.mark.parametrize(
    ("observed", "background", "error"), [(10, 9.0, 2.0), (120, 100.0, 12.0), (45, 60.0, 4.0)]
)
def test_one_bin_has_the_limit_of_pyhf(observed, background, error):
    found = upper_limit(counting_model(background, error), counting_data(observed, background, error))
    theirs, bands = pyhf_limits(counting_workspace(observed, background, error), found.expected[2])
    assert found.observed == pytest.approx(theirs, rel=0.01)
    np.testing.assert_allclose(found.expected[1:], bands[1:], rtol=0.01)


def test_the_spectrum_in_pyhf_has_the_limit_of_the_full_fit():
    spectrum = Spectrum.of(Toy().sample(20_000, 60, seed=1).m, EDGES)
    merged, place = spectrum.merged(REGION)
    model = count_model(EDGES, REGION, 3)
    found = upper_limit(model, merged.counts)
    fits = sideband_fit(spectrum, REGION, 3)
    bins = np.arange(len(merged.counts)) == place
    # The parameters of the merged bins' model are other combinations; its own sideband fit gives them.
    merged_fits = sideband_fit(merged, REGION, 3)
    np.testing.assert_allclose(fits.deviance, merged_fits.deviance, rtol=1e-6)
    theirs, bands = pyhf_limits(
        spectrum_workspace(model, merged.counts, merged_fits, bins), found.expected[2]
    )
    # A Gaussian constraint in place of the sidebands' Poisson counts.
    assert found.observed == pytest.approx(theirs, rel=0.03)
    assert found.expected[2] == pytest.approx(bands[2], rel=0.03)


def test_a_workspace_of_several_bins_is_valid():
    spectrum = Spectrum.of(Toy().sample(20_000, 0, seed=2).m, EDGES)
    inside = spectrum.inside(REGION)
    model = dijet_model(EDGES, 3).with_signal(inside / inside.sum())
    workspace = spectrum_workspace(model, spectrum.counts, sideband_fit(spectrum, REGION, 3), inside)
    model = pyhf.Workspace(workspace).model()
    assert model.config.poi_name == "signal"
    assert len(model.config.channels) == 1
    data = pyhf.Workspace(workspace).data(model)
    assert np.isfinite(pyhf.infer.hypotest(50.0, data, model))


def test_toys_without_events_have_the_classic_limit():
    # CLs of no observed event is exp(-s), whatever the (known) background.
    found = toy_limit(counting_model(1.0, 0.0), counting_data(0, 1.0, 0.0), toys=5000, seed=1)
    assert found.observed == pytest.approx(-np.log(0.05), rel=0.05)


def test_toys_agree_with_the_asymptotic_limit_where_there_are_many_events():
    model, data = counting_model(200.0, 10.0), counting_data(215, 200.0, 10.0)
    asymptotic, toys = upper_limit(model, data), toy_limit(model, data, toys=4000, seed=2)
    assert toys.observed == pytest.approx(asymptotic.observed, rel=0.05)
    # The lowest one rests on the few toys with the largest deficits.
    np.testing.assert_allclose(toys.expected[1:], asymptotic.expected[1:], rtol=0.08)


def test_q_tilde_is_zero_above_the_tested_signal():
    model = counting_model(50.0, 5.0)
    q = q_tilde(model, counting_data(80, 50.0, 5.0), [10.0, 30.0, 60.0])
    assert q[0] == 0.0
    assert q[2] > 1.0
    assert q[1] < 1e-3


def test_an_excess_raises_the_limit_and_a_deficit_lowers_it():
    model = counting_model(100.0, 5.0)
    low, middle, high = (upper_limit(model, counting_data(n, 100.0, 5.0)).observed for n in (80, 100, 125))
    assert low < middle < high
    expected = upper_limit(model, counting_data(100, 100.0, 5.0)).expected
    assert middle == pytest.approx(expected[2], rel=0.02)
    assert list(expected) == sorted(expected)


def test_wrong_questions():
    model = counting_model(10.0, 1.0)
    with pytest.raises(InputError, match="confidence level"):
        upper_limit(model, counting_data(10, 10.0, 1.0), level=1.0)
    with pytest.raises(InputError, match="one spectrum of 2 bins"):
        upper_limit(model, [[1.0, 2.0]])
    with pytest.raises(InputError, match="not negative"):
        upper_limit(model.with_signal([-1.0, 0.0]), counting_data(10, 10.0, 1.0))
    with pytest.raises(InputError, match="must be positive"):
        counting_model(0.0, 1.0)
    with pytest.raises(InputError, match="mask of 44 bins"):
        spectrum_workspace(
            dijet_model(EDGES, 3),
            np.ones(44),
            sideband_fit(Spectrum(EDGES, np.full(44, 5.0)), None, 3),
            np.zeros(44, bool),
        )
