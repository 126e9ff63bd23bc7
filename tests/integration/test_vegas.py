"""VEGAS and VEGAS+: exact integrals, honest errors, twins, reproducibility, and the package vegas."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from lhcflow import InputError
from lhcflow.integration import Strata, Vegas, VegasMap, vegas_map
from lhcflow.integration import testfunctions as functions
from lhcflow.integration import vegas_kernels as kernels
from lhcflow.integration.stratification import choose_divisions

NAMES = ["camel2", "camel4", "circles2", "ring2", "annulus2", "box3", "polynomial18"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stratify", [True, False])
def test_exact_integrals(name, stratify):
    # |pull| < 4: false-alarm rate 6e-5 per case for normal pulls.
    f = functions.by_name(name)
    result = Vegas(f.dim, seed=5, stratify=stratify).integrate(f, 200_000)
    assert abs(result.mean - f.exact) < 4 * result.sdev
    assert result.sdev < 0.02 * f.exact
    assert result.calls == pytest.approx(200_000, rel=0.01)


@pytest.mark.parametrize("name", ["camel2", "ring2", "annulus2"])
def test_pulls_and_q(name):
    # 60 runs: mean of normal pulls within 4/sqrt(60), width within 1 +- 4/sqrt(120) (rates 6e-5 each).
    f = functions.by_name(name)
    results = [Vegas(f.dim, seed=seed).integrate(f, 40_000) for seed in range(60)]
    pulls = np.array([(r.mean - f.exact) / r.sdev for r in results])
    assert abs(pulls.mean()) < 0.52
    assert 0.63 < pulls.std() < 1.37
    assert kstest([r.q for r in results], "uniform").pvalue > 1e-4


def test_stratification_gains_in_low_dimension():
    f = functions.camel(2)
    plain = Vegas(2, seed=1, stratify=False).integrate(f, 100_000)
    plus = Vegas(2, seed=1).integrate(f, 100_000)
    assert plus.sdev < plain.sdev / 5


def test_vector_integrands_have_the_right_covariance():
    f = functions.camel(2)

    def vector(x):
        left = f(x) * (x[:, 0] < 0.5)
        return np.stack([f(x), left, f(x) - left], axis=1)

    result = Vegas(2, seed=3).integrate(vector, 100_000)
    assert result.mean[0] == pytest.approx(result.mean[1] + result.mean[2], rel=1e-12)
    total = result.covariance[1:, 1:].sum()
    assert result.covariance[0, 0] == pytest.approx(total, rel=1e-6)
    assert abs(result.mean[0] - f.exact) < 4 * result.sdev[0]
    # The scatter of independent estimates agrees: 200 of them know a variance to 10 %, 4 sigma are 40 %.
    vegas = Vegas(2, seed=4)
    for _ in range(4):
        vegas.iterate(vector, 2000)
    estimates = [vegas.iterate(vector, 2000, adapt="nothing") for _ in range(200)]
    scatter = np.cov(np.stack([e.mean for e in estimates]).T)
    quoted = np.mean([e.covariance for e in estimates], axis=0)
    np.testing.assert_allclose(np.diag(scatter), np.diag(quoted), rtol=0.4)
    correlation = [c[1, 2] / math.sqrt(c[1, 1] * c[2, 2]) for c in (scatter, quoted)]
    assert abs(correlation[0] - correlation[1]) < 0.3


def test_seeds_and_threads():
    f = functions.camel(3)
    first, same, threads, other = (
        Vegas(3, seed=seed, threads=n).integrate(f, 20_000).to_dict()
        for seed, n in [(1, 1), (1, 1), (1, 3), (2, 1)]
    )
    assert first == same == threads
    assert first["mean"] != other["mean"]


@pytest.mark.skipif(kernels.core is None, reason="compares with the native kernels")
def test_native_kernels_agree_with_numpy(monkeypatch):
    f = functions.camel(3)

    def run():
        vegas = Vegas(3, seed=7)
        estimates = [vegas.iterate(lambda x: np.stack([f(x), x[:, 0]], axis=1), 5000) for _ in range(4)]
        return vegas, estimates

    native, ours = run()
    monkeypatch.setattr(kernels, "core", None)
    monkeypatch.setattr(kernels, "warn_once", lambda: None)
    monkeypatch.setattr(vegas_map, "core", None)
    twin, theirs = run()
    np.testing.assert_allclose(native.grid.edges, twin.grid.edges, rtol=1e-9)
    np.testing.assert_allclose(native.strata.variance, twin.strata.variance, rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(native.strata.mean, twin.strata.mean, rtol=1e-9)
    np.testing.assert_allclose(native.strata.largest, twin.strata.largest, rtol=1e-9)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.mean, b.mean, rtol=1e-10)
        np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-7)


@pytest.mark.parametrize("batch", [64, 1000])
def test_batches_do_not_matter(monkeypatch, batch):
    # Strata larger than a batch are cut, which changes the error estimate a little and nothing else.
    f = functions.camel(2)
    whole = Vegas(2, seed=1, stratify=False).iterate(f, 5000)
    monkeypatch.setattr("lhcflow.integration.vegas.BATCH", batch)
    vegas = Vegas(2, seed=1, stratify=False)
    sizes = [len(b.x) for b in vegas.batches(5000)]
    assert sum(sizes) == 5000
    assert max(sizes) <= batch
    cut = Vegas(2, seed=1, stratify=False).iterate(f, 5000)
    assert cut.mean == pytest.approx(whole.mean, rel=1e-12)
    assert cut.sdev == pytest.approx(whole.sdev, rel=0.1)


def test_steps_are_the_same_as_iterate():
    f = functions.camel(2)
    vegas = Vegas(2, seed=1)
    total = 0.0
    for batch in vegas.batches(4000):
        total += float((batch.weight * f(batch.x)).sum())
        vegas.accumulate(batch, f(batch.x))
    assert vegas.estimate().mean[0] == pytest.approx(total)
    assert Vegas(2, seed=1).iterate(f, 4000).mean[0] == pytest.approx(total)
    vegas.refine()
    assert vegas.grid.edges[0, 1] > 1 / vegas.grid.bins  # little happens in the corner: its bins grow


def test_incomplete_iterations_are_refused():
    vegas = Vegas(1)
    with pytest.raises(InputError, match="complete"):
        vegas.estimate()
    next(iter(vegas.batches(100)))
    with pytest.raises(InputError, match="complete"):
        vegas.refine()


def test_constant_integrand():
    result = Vegas(2, seed=0).integrate(lambda x: np.full(len(x), 3.0), 5000)
    assert result.mean == pytest.approx(3, abs=1e-12)
    assert result.sdev < 1e-12


def test_zero_integrand():
    result = Vegas(2, seed=0).integrate(lambda x: np.zeros(len(x)), 5000)
    assert (result.mean, result.sdev, result.q) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("width", [1e-8, 1e-15])
def test_very_narrow_peaks_keep_the_grid_valid(width):
    # A Lorentz peak; the narrower one is not resolved by the spacing of floating-point numbers.
    def f(x):
        return width / math.pi / ((x[:, 0] - 0.3) ** 2 + width**2)

    vegas = Vegas(1, seed=0)
    result = vegas.integrate(f, 400_000, iterations=40, warmup=30)
    assert (np.diff(vegas.grid.edges) > 0).all()
    assert math.isfinite(result.mean)
    if width > 1e-10:
        exact = (math.atan(0.7 / width) + math.atan(0.3 / width)) / math.pi
        assert abs(result.mean - exact) < 4 * result.sdev + 1e-6


def test_stops_at_rtol():
    f = functions.camel(2)
    result = Vegas(2, seed=0).integrate(f, 1_000_000, iterations=20, rtol=1e-3)
    assert result.sdev <= 1e-3 * result.mean
    assert result.calls < 500_000


class TestStrata:
    def test_allocation_adds_up(self):
        rng = np.random.default_rng(1)
        strata = Strata(np.array([3, 4]))
        assert strata.allocate(1200).tolist() == [100] * 12
        strata.learn(rng.random(12), rng.random(12), rng.random(12))
        counts = strata.allocate(1201)
        assert counts.sum() == 1201
        assert counts.min() >= 25
        # Neyman-like: more points where there is more variance.
        assert np.corrcoef(counts, strata.variance ** (0.75 / 2))[0, 1] > 0.999

    def test_index_inverts_corner(self):
        strata = Strata(np.array([3, 4, 2]))
        everything = np.arange(24)
        y = (strata.corner(everything) + 0.5) / strata.divisions
        assert strata.index(y).tolist() == everything.tolist()

    @pytest.mark.parametrize("dim", [1, 2, 5, 16])
    @pytest.mark.parametrize("calls", [10, 1000, 20_000, 1_000_000])
    def test_divisions_leave_two_calls(self, dim, calls):
        divisions = choose_divisions(dim, calls)
        assert math.prod(divisions.tolist()) <= max(calls / 8, 1)
        assert divisions.max() - divisions.min() <= 1

    def test_agrees_with_vegas(self):
        vegas = pytest.importorskip("vegas")
        for dim, calls in [(2, 20_000), (3, 50_000), (8, 20_000), (16, 100_000)]:
            theirs = vegas.Integrator(dim * [[0, 1]], neval=calls).nstrat
            assert choose_divisions(dim, calls).tolist() == list(theirs)


class TestMap:
    def test_round_trip_and_normalisation(self):
        rng = np.random.default_rng(0)
        edges = np.sort(
            np.concatenate([np.zeros((3, 1)), rng.random((3, 9)), np.ones((3, 1))], axis=1), axis=1
        )
        grid = VegasMap(3, edges=edges)
        y = rng.random((1000, 3))
        x, jacobian = grid.map(y)
        back, density = grid.inverse(x)
        np.testing.assert_allclose(back, y, atol=1e-12)
        np.testing.assert_allclose(density * jacobian, 1, rtol=1e-12)
        # The mean of 1/density is the volume: 4 sigma.
        x, q = grid.sample(200_000, rng)
        assert abs((1 / q).mean() - 1) < 4 * (1 / q).std() / math.sqrt(len(q))
        np.testing.assert_allclose(grid.density(x), q, rtol=1e-12)
        assert grid.density(np.array([[0.5, 0.5, 1.1]]))[0] == 0

    def test_edges_of_the_cube(self):
        grid = VegasMap(1, edges=np.array([[0.0, 0.1, 1.0]]))
        x, _ = grid.map(np.array([[0.0], [0.5], [1.0]]))
        np.testing.assert_allclose(x.ravel(), [0, 0.1, 1], atol=1e-15)

    def test_refinement_finds_the_density(self):
        # For f = 2x the ideal one-dimensional importance density is f itself.
        vegas = Vegas(1, seed=0, bins=50, stratify=False)
        for _ in range(20):
            vegas.iterate(lambda x: 2 * x[:, 0], 50_000)
        # The last bins obey the limit of the density: x^2 is uniform in the latent variable.
        np.testing.assert_allclose(vegas.grid.edges[0] ** 2, np.linspace(0, 1, 51), atol=0.02)

    def test_to_bijection(self):
        torch = pytest.importorskip("torch")
        grid = VegasMap(2, edges=np.array([[0, 0.2, 1], [0, 0.6, 1.0]]))
        x = np.random.default_rng(1).random((20, 2))
        y, density = grid.inverse(x)
        z, log_det = grid.to_bijection()(torch.tensor(x, dtype=torch.float32))
        np.testing.assert_allclose(z.numpy(), y, atol=1e-6)
        np.testing.assert_allclose(log_det.exp().numpy(), density, rtol=1e-5)

    @pytest.mark.parametrize("edges", [[[0, 0.5, 0.5, 1]], [[0.1, 0.5, 1]], [[0, 0.5, 1], [0, 0.5, 1]]])
    def test_bad_edges(self, edges):
        with pytest.raises(InputError, match="edges"):
            VegasMap(1, edges=np.array(edges))


def _ratio_to_vegas(name, seeds, calls):
    """Our error per call over that of the package vegas, geometric mean over seeds, both adapted."""
    gvar, vegas = pytest.importorskip("gvar"), pytest.importorskip("vegas")
    f = functions.by_name(name)
    logs = []
    for seed in seeds:
        ours = Vegas(f.dim, seed=seed)
        for _ in range(5):
            ours.iterate(f, calls)
        estimate = ours.iterate(f, calls, adapt="nothing")
        gvar.ranseed(seed)
        peer = vegas.Integrator(f.dim * [[0, 1]])
        batch = vegas.lbatchintegrand(f)
        peer(batch, nitn=5, neval=calls)
        theirs = peer(batch, nitn=1, neval=calls, adapt=False)
        assert abs(estimate.mean[0] - theirs.mean) < 5 * math.hypot(estimate.sdev[0], theirs.sdev)
        logs.append(
            math.log(estimate.sdev[0] * math.sqrt(estimate.calls) / theirs.sdev / math.sqrt(theirs.sum_neval))
        )
    return math.exp(np.mean(logs))


@pytest.mark.parametrize("name", ["camel2", "camel4"])
def test_as_accurate_as_vegas(name):
    assert _ratio_to_vegas(name, range(2), 20_000) < 1.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camel2", "camel4", "camel8", "circles2", "ring2", "box3", "polynomial18"])
def test_as_accurate_as_vegas_everywhere(name):
    assert _ratio_to_vegas(name, range(5), 50_000) < 1.1
