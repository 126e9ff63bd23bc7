"""Figures of bump hunts: the data reach the axes, and wrong input is refused."""

import numpy as np
import pytest
from scipy import stats

from lhcflow import InputError, plotting

EDGES = np.arange(2.6, 4.61, 0.1)


def test_spectra_and_their_pulls():
    background = np.geomspace(1000, 10, 20)
    counts = background.copy()
    counts[8] += 5 * np.sqrt(background[8])
    spectra = [
        plotting.FittedSpectrum(EDGES, counts / k, background / k, 0 * background, f"1/{k}") for k in (1, 10)
    ]
    figure = plotting.fitted_spectra(spectra, (3.3, 3.7))
    main, first, second = figure.axes
    assert main.get_yscale() == "log"
    assert [t.get_text() for t in main.get_legend().get_texts()] == ["1/1", "1/10"]
    pulls = first.patches[0].get_data().values
    mu, n = background[8], counts[8]
    assert pulls[8] == pytest.approx(np.sqrt(2 * (n * np.log(n / mu) - (n - mu))))
    assert pulls[8] == pytest.approx(5, rel=0.1)
    assert np.abs(np.delete(pulls, 8)).max() < 1e-9
    assert second.patches[0].get_data().values[8] == pytest.approx(pulls[8] / np.sqrt(10))
    assert second.get_xlabel()


def test_improvement_and_rejection_are_the_same_curve():
    tpr = np.linspace(0.1, 1, 10)
    sic = 3 * np.ones(10)
    figure = plotting.improvement_curves({"CATHODE": plotting.ImprovementCurve(tpr, sic, sic - 1, sic + 1)})
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), 3)
    np.testing.assert_allclose(right.lines[0].get_ydata(), (3 / tpr) ** 2)


def test_scores_are_normalised_and_the_template_falls_by_one_per_decade():
    edges = np.linspace(0, 3, 7)
    counts = {"template": 1e6 * (10 ** -edges[:-1] - 10 ** -edges[1:]), "signal": np.ones(6)}
    figure = plotting.score_distributions([plotting.ScorePanel("CATHODE", edges, counts)])
    values = figure.axes[0].patches[0].get_data().values
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)
    np.testing.assert_allclose(values[2:] / values[:-2], 0.1)


def test_p_values_have_lines_at_whole_standard_deviations():
    figure = plotting.p_values({"no cut": ([3.0, 3.5, 4.0], stats.norm.sf([0, 5.2, 1]))}, (3.3, 3.7))
    (axes,) = figure.axes
    heights = [line.get_ydata()[0] for line in axes.lines[1:]]
    np.testing.assert_allclose(heights[:5], stats.norm.sf([1, 2, 3, 4, 5]))
    assert axes.get_ylim()[0] < stats.norm.sf(5.2)


def test_limits_and_toys():
    points = [
        plotting.LimitPoint("no cut", 30.0, [10, 14, 20, 28, 38]),
        plotting.LimitPoint("1 %", 5.0, [2, 3, 4, 6, 8]),
    ]
    (axes,) = plotting.limit_bands(points).axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["no cut", "1 %"]
    toys = np.random.default_rng(1).standard_normal((500, 3)).max(1)
    (axes,) = plotting.largest_significance(toys, 4.0).axes
    assert axes.lines[0].get_xdata()[0] == 4.0
    assert sum(p.get_height() for p in axes.patches) == pytest.approx(500, abs=2)


def test_templates_are_compared_with_data():
    edges = np.linspace(0, 1, 6)
    template, data = np.array([100, 400, 300, 150, 50]), np.array([110, 400, 300, 150, 50])
    panel = plotting.TemplatePanel(
        "x", edges, {"template": template, "data": data, "signal": [0, 0, 1, 0, 0]}
    )
    main, ratio, *_ = plotting.template_histograms([panel]).axes
    assert main.get_xlim() == (0, 1)
    points = ratio.lines[0].get_ydata()
    np.testing.assert_allclose(points[:2], [1.1 * 1000 / 1010, 1000 / 1010], rtol=1e-6)


def test_nothing_to_draw():
    for function, empty in (
        (plotting.fitted_spectra, []),
        (plotting.improvement_curves, {}),
        (plotting.score_distributions, []),
        (plotting.p_values, {}),
        (plotting.limit_bands, []),
        (plotting.template_histograms, []),
    ):
        with pytest.raises(InputError, match="at least one"):
            function(empty)
    with pytest.raises(InputError, match="shape"):
        plotting.largest_significance([], 1.0)


def test_what_is_missing_is_said_and_not_drawn():
    band = [1.0, 2, 3, 4, 5]
    points = [plotting.LimitPoint("a", np.nan, band), plotting.LimitPoint("b", 3.0, band)]
    figure = plotting.limit_bands(points)
    assert "no limit" in [text.get_text() for text in figure.axes[0].texts]
    with pytest.raises(InputError, match="none of 1 limits"):
        plotting.limit_bands([plotting.LimitPoint("a", np.nan, [np.nan] * 5)])
    axes = plotting.p_values({"x": ([3.0, 3.5, 4.0], [1e-90, np.nan, 0.3])}).axes[0]
    (below,) = (line for line in axes.lines if line.get_marker() == "v")
    assert below.get_xdata().tolist() == [3.0]
    assert axes.get_ylim()[0] < 1e-60
    with pytest.raises(InputError, match="no p-value of x"):
        plotting.p_values({"x": ([3.0], [np.nan])})
    with pytest.raises(InputError, match="1 of 2 significances"):
        plotting.largest_significance([1.0, np.nan], 2.0)
    edges = np.linspace(2, 6, 9)
    empty = plotting.FittedSpectrum(edges, np.zeros(8), np.full(8, 0.1), np.full(8, 0.1), "empty")
    assert plotting.fitted_spectra([empty]).axes[0].get_xlim() == (2.0, 6.0)
