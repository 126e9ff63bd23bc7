"""Fits of many spectra against iminuit, scipy and numerical integrals, one at a time."""

from itertools import pairwise

import numpy as np
import pytest
from iminuit import Minuit
from scipy import integrate, stats

from lhcflow.bumphunt.statistics import (
    dijet_model,
    dijet_parameters,
    draw_toys,
    fit,
    gaussian_peak,
    template_peak,
)
from lhcflow.errors import InputError

EDGES = np.arange(2.6, 7.01, 0.1)
TRUE = (3e4, 9.0, 4.5, 0.3)


def dijet(m, p1, p2, p3, p4=0.0, p5=0.0):
    y = m / 13
    return p1 * (1 - y) ** p2 * y ** -(p3 + p4 * np.log(y) + p5 * np.log(y) ** 2)


def expectation(scale=1.0, parameters=TRUE):
    pairs = pairwise(EDGES)
    return scale * np.array([integrate.quad(dijet, a, b, args=parameters)[0] for a, b in pairs])


def test_bins_hold_the_integral_of_the_dijet_function():
    mu = expectation()
    result = fit(dijet_model(EDGES, 4), mu)
    np.testing.assert_allclose(result.expected[0], mu, rtol=1e-7)
    np.testing.assert_allclose(dijet_parameters(result.parameters, EDGES, 4)[0], TRUE, rtol=1e-4)
    assert result.deviance[0] < 1e-6


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-3])
def test_toys_have_the_minimum_that_iminuit_finds(scale):
    counts = draw_toys(expectation(scale), 3, seed=1)
    peak = gaussian_peak(EDGES, 3.5, 0.03)
    model = dijet_model(EDGES, 4).with_signal(peak)
    found = fit(model, counts)
    assert found.converged.all()
    for i, n in enumerate(counts):

        def minus_two_log_l(*p, n=n):
            mu = model.background(np.array(p[:-1])) + p[-1] * peak
            if np.any(mu <= 0):
                return 1e30
            saturated = stats.poisson.logpmf(n, np.where(n > 0, n, 1e-300))
            return -2 * np.sum(stats.poisson.logpmf(n, mu) - saturated)

        # iminuit starts elsewhere, so that it has to find the minimum itself.
        minuit = Minuit(minus_two_log_l, *(found.parameters[i] + 0.02), 0.0)
        minuit.strategy = 2
        minuit.migrad(ncall=20_000)
        minuit.hesse()
        assert found.deviance[i] <= minuit.fval + 1e-4
        assert found.deviance[i] == pytest.approx(minuit.fval, abs=0.01)
        # The curvature at the minimum and Fisher's expected one differ where bins hold few events.
        tolerance = 0.03 if scale == 1.0 else 0.35
        assert found.yield_error[i] == pytest.approx(minuit.errors[-1], rel=tolerance)
        assert found.yields[i] == pytest.approx(minuit.values[-1], abs=0.05 * minuit.errors[-1])


def test_pulls_of_the_yield_are_standard_normal():
    mu = expectation() + 500 * gaussian_peak(EDGES, 3.5, 0.03)
    model = dijet_model(EDGES, 4).with_signal(gaussian_peak(EDGES, 3.5, 0.03))
    found = fit(model, draw_toys(mu, 4000, seed=3))
    pulls = (found.yields - 500) / found.yield_error
    # False alarm 1e-3.
    assert stats.kstest(pulls, "norm").pvalue > 1e-3


def test_many_spectra_are_fitted_like_one_at_a_time():
    counts = draw_toys(expectation(0.01), 2005, seed=4)
    model = dijet_model(EDGES, 3)
    together = fit(model, counts)
    for i in (0, 1999, 2000, 2004):
        assert together.deviance[i] == pytest.approx(fit(model, counts[i]).deviance[0], abs=1e-5)
    # A goodness that is distributed like chi2 in the mean.
    full = fit(model, draw_toys(expectation(parameters=TRUE[:3]), 500, seed=5))
    ndf = len(EDGES) - 1 - 3
    assert full.deviance.mean() == pytest.approx(ndf, abs=5 * np.sqrt(2 * ndf / 500) + 0.5)


def test_fixed_yields_are_kept():
    peak = gaussian_peak(EDGES, 3.5, 0.03)
    model = dijet_model(EDGES, 4).with_signal(peak)
    counts = draw_toys(expectation(), 1, seed=6)[0]
    free = fit(model, counts)
    grid = free.yields[0] + free.yield_error[0] * np.array([-1.0, 0.0, 1.0])
    profile = fit(model, np.tile(counts, (3, 1)), yields=grid)
    np.testing.assert_array_equal(profile.yields, grid)
    np.testing.assert_allclose(profile.deviance - free.deviance[0], [1, 0, 1], atol=0.05)


def test_signal_shapes():
    shape = gaussian_peak(EDGES, [3.5, 5.0], 0.03)
    expected = np.diff(stats.norm(5.0, 0.15).cdf(EDGES))
    np.testing.assert_allclose(shape[1], expected)
    m = np.random.default_rng(7).normal(3.5, 0.105, 400_000)
    np.testing.assert_allclose(template_peak(EDGES, m), shape[0], atol=5 * np.sqrt(0.3 / 400_000))


def test_wrong_models_and_data():
    with pytest.raises(InputError, match="44 bins, the spectrum 3"):
        fit(dijet_model(EDGES, 3), [1, 2, 3])
    with pytest.raises(InputError, match="empty spectrum"):
        fit(dijet_model(EDGES, 3), np.zeros(44))
    with pytest.raises(InputError, match="2 to 6 parameters"):
        dijet_model(EDGES, 7)
    with pytest.raises(InputError, match="above the energy"):
        dijet_model([3, 6, 9, 15], 2)
    with pytest.raises(InputError, match="more than 3 bins"):
        dijet_model([3, 4, 5, 6], 3)
    with pytest.raises(InputError, match="no signal events"):
        template_peak(EDGES, [1.0])
    with pytest.raises(InputError, match="positive mass"):
        gaussian_peak(EDGES, 3.5, 0.0)
