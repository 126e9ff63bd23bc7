"""What the figures show: that the data reach the axes, that axes are named, that wrong input is refused."""

import matplotlib
import numpy as np
import pytest
from matplotlib.patches import StepPatch

from lhcflow import InputError, plotting


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def steps(axes):
    return [p for p in axes.patches if isinstance(p, StepPatch) and not p.get_fill()]


def test_weight_distribution_is_normalised_and_names_efficiencies(rng):
    weights = {"flow": rng.lognormal(0, 0.3, 5000), "VEGAS": 7 * rng.lognormal(0, 1, 5000)}
    figure = plotting.weight_distribution(weights, {"flow": 0.5})
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    for curve in steps(axes):
        values, edges, _ = curve.get_data()
        # Empty bins are drawn far below the axis, so the area is the share of points in the window.
        assert np.sum(values * np.diff(np.log(edges))) == pytest.approx(1, abs=0.01)
        # Drawn relative to the mean, whatever the normalisation of the weights.
        centres = np.sqrt(edges[1:] * edges[:-1])
        assert np.sum(values * centres * np.diff(np.log(edges))) == pytest.approx(1, abs=0.05)
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels[0].startswith("flow")
    assert "0.5" in labels[0]
    assert labels[1] == "VEGAS"
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_weight_distribution_refuses_what_has_no_mean():
    with pytest.raises(InputError, match="'flow'"):
        plotting.weight_distribution({"flow": [0.0, 0.0]})
    with pytest.raises(InputError, match="at least one"):
        plotting.weight_distribution({})


def test_convergence_runs_to_the_weighted_mean(rng):
    sdev = np.array([1.0, 0.5, 0.25])
    mean = 10 + rng.normal(size=3) * sdev
    iterations = plotting.Iterations(mean, sdev, np.array([100, 200, 400]))
    main, lower = plotting.convergence({"flow": iterations}, (10.0, 0.1), r"$\sigma$", "pb").axes
    running = next(
        line for line in main.lines if len(line.get_xdata()) == 3 and line.get_marker() in ("None", "")
    )
    np.testing.assert_array_equal(running.get_xdata(), [100, 300, 700])
    expected = np.average(mean, weights=sdev**-2)
    assert running.get_ydata()[-1] == pytest.approx(expected)
    chi2 = lower.lines[0].get_ydata()[-1] * 2
    assert chi2 == pytest.approx(np.sum(((mean - expected) / sdev) ** 2))
    assert main.get_ylabel() == r"$\sigma$ [pb]"
    assert lower.get_xlabel() == "calls"


def test_convergence_refuses_unequal_lengths():
    with pytest.raises(InputError, match="equal lengths"):
        plotting.convergence({"flow": plotting.Iterations([1, 2], [1], [1])})


def test_training_history_draws_every_curve_and_the_learning_rate():
    loss = np.linspace(2, 1, 50)
    validation = np.where(np.arange(50) % 10 == 0, loss, np.nan)
    figure = plotting.training_history(
        {"training": loss, "validation": validation}, learning_rate=np.full(50, 1e-3), loss_name="KL"
    )
    axes, rate = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), loss)
    assert len(axes.lines[1].get_ydata()) == 5
    assert axes.get_ylabel() == "KL"
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), np.full(50, 1e-3))
    with pytest.raises(InputError, match="one length"):
        plotting.training_history({"a": [1, 2], "b": [1]})


def test_marginals_show_each_variable_with_its_ratio(rng):
    target, learned = rng.random((4000, 5)), rng.random((4000, 5)) ** 2
    weights = 2 * target[:, 0]
    figure = plotting.marginals(target, {"before": target, "learned": learned}, weights, bins=10)
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 10
    main, ratio = panels[:2]
    curve = steps(main)[0].get_data()
    # The weight 2x makes the target's first marginal the density 2x: 400 entries per bin and weights
    # with a relative spread below 1 give errors of at most 6 %; 5 sigma.
    np.testing.assert_allclose(curve.values, 2 * (curve.edges[:-1] + 0.05), rtol=0.3)
    assert ratio.get_xlabel() == "$x_{1}$"
    labels = {t.get_text() for t in figure.axes[-1].get_legend().get_texts()}
    assert labels == {"target", "before", "learned"}


def test_corner_mirrors_target_and_learned(rng):
    points = rng.random((2000, 3))
    figure = plotting.corner(points, points, bins=8)
    grid = np.array(figure.axes).reshape(3, 3)
    for row in range(3):
        for column in range(row):
            below = grid[row, column].collections[0].get_array()
            above = grid[column, row].collections[0].get_array()
            np.testing.assert_allclose(np.reshape(below, (8, 8)), np.reshape(above, (8, 8)).T)
            assert grid[row, column].collections[0].get_clim() == grid[column, row].collections[0].get_clim()


def test_corner_refuses_another_dimension(rng):
    with pytest.raises(InputError, match=r"shape \(n, 3\)"):
        plotting.corner(rng.random((10, 3)), rng.random((10, 2)))
    with pytest.raises(InputError, match="as many names"):
        plotting.marginals(rng.random((10, 3)), {}, names=["a"])


def test_observables_are_normalised_to_the_cross_section(rng):
    panel = plotting.Observable("E_1", rng.uniform(0, 50, 1000), rng.uniform(0, 50, 9000), "GeV", 0, 50)
    thrust = plotting.Observable("1-T", rng.random(1000), rng.random(9000), scale="log-y")
    figure = plotting.observables([panel, thrust], np.full(9000, 0.1), cross_section=300.0, bins=10)
    main, ratio = figure.axes[:2]
    curve = steps(main)[0].get_data()
    assert np.sum(curve.values) * 5 == pytest.approx(300.0)
    assert ratio.get_xlabel() == "$E_1$ [GeV]"
    assert main.get_ylabel().endswith("[pb/GeV]")
    assert figure.axes[2].get_yscale() == "log"
    assert "(1-T)" in figure.axes[2].get_ylabel()
    points = ratio.lines[-1].get_ydata()
    # 100 events per bin: ratios of 1 +- 0.105, all ten within 5 sigma.
    np.testing.assert_allclose(points, 1.0, atol=0.53)
    with pytest.raises(InputError, match="at least one"):
        plotting.observables([])


def test_dalitz_puts_quark_and_antiquark_on_their_axes():
    figure = plotting.dalitz(np.full(10, 0.95), np.full(10, 0.55), bins=10)
    density = np.reshape(figure.axes[0].collections[0].get_array(), (10, 10))
    row, column = np.argwhere(np.ma.filled(density, 0) > 0)[0]
    assert (row, column) == (5, 9)
    with pytest.raises(InputError, match="x1, x2"):
        plotting.dalitz([2.0], [2.0])


def test_layers_keep_the_colours_of_the_base(rng):
    base = rng.normal(size=(100, 2))
    figure = plotting.layers([base, 2 * base, -base])
    scatters = [axes.collections[0] for axes in figure.axes]
    assert [axes.get_title() for axes in figure.axes] == ["base", "layer 1", "layer 2"]
    np.testing.assert_array_equal(scatters[1].get_offsets(), 2 * base)
    for other in scatters[1:]:
        np.testing.assert_array_equal(scatters[0].get_array(), other.get_array())
    with pytest.raises(InputError, match="one shape"):
        plotting.layers([base, base[:5]])


def test_style_leaves_the_settings_of_the_user_alone(rng):
    before = dict(matplotlib.rcParams)
    plotting.layers([rng.normal(size=(10, 2))])
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_equal_figures_are_equal_files(tmp_path, rng, suffix):
    history = rng.random(20)
    for name in ("a", "b"):
        plotting.save(plotting.training_history({"training": history}), tmp_path / f"{name}.{suffix}")
    first = (tmp_path / f"a.{suffix}").read_bytes()
    assert len(first) > 1000
    assert first == (tmp_path / f"b.{suffix}").read_bytes()
