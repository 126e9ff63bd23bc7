"""Metrics against other programs (stored numbers), brute force and exact values."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from calorimeter.samples import electrons, hashed_showers, photons
from lhcflow import InputError
from lhcflow.calorimeter import Showers, geometry
from lhcflow.calorimeter.metrics import (
    classifier_inputs,
    evaluate,
    features,
    fpd,
    frechet_distance,
    high_level_inputs,
    kpd,
    nearest_neighbours,
    prdc,
    published_results,
    separation_power,
    separation_table,
    support_inputs,
)
from lhcflow.calorimeter.separation import bin_edges
from lhcflow.classifiers import CALOFLOW


def pair():
    """The samples on which jetnet 0.2.5 and prdc 0.2 were run."""
    place = geometry("ds1-photons")
    real, generated = (hashed_showers(place, 402, seed)[2:] for seed in (1, 2))
    return real, Showers(place, generated.energy, generated.voxels**1.1)


def test_distances_of_jetnet():
    real, generated = (high_level_inputs(s) for s in pair())
    f = fpd(real, generated, min_samples=100, max_samples=400)
    assert f.value == pytest.approx(0.05012042511612616, rel=1e-6)
    assert f.error == pytest.approx(0.006111080584125291, rel=1e-4)
    k = kpd(real, generated, batch_size=200)
    assert k.value == pytest.approx(0.007292228216392971, rel=1e-6)
    assert k.error == pytest.approx(0.0036447024289722593, rel=1e-6)


def test_prdc_of_its_authors():
    p = prdc(*(support_inputs(s) for s in pair()))
    assert (p.precision, p.recall, p.coverage) == pytest.approx((0.1375, 1.0, 0.19), abs=1e-12)
    assert p.density == pytest.approx(0.042, abs=1e-12)


def test_frechet_distance_of_normal_distributions():
    """Samples with exact moments: |mu|^2 + tr(A + B - 2 (AB)^1/2) for commuting A and B."""
    cube = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
    cube /= cube.std(0, ddof=1)
    a, b = np.array([1.0, 2.0, 0.5]), np.array([1.5, 1.0, 3.0])
    shift = np.array([0.3, 0.0, -1.0])
    assert frechet_distance(a * cube, b * cube + shift) == pytest.approx(
        (shift**2).sum() + ((a - b) ** 2).sum()
    )


def test_kernel_distance_by_brute_force():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.3, 1, size=(50, 3))
    got = kpd(x, y, batches=1, batch_size=40, seed=9)
    draw = np.random.default_rng(9)
    scale = np.abs(x).max(0)
    a, b = (x / scale)[draw.choice(60, 40)], (y / scale)[draw.choice(50, 40)]

    def kernel(u, v):
        return (u @ v / 3 + 1) ** 4

    same = [sum(kernel(s[i], s[j]) for i in range(40) for j in range(40) if i != j) for s in (a, b)]
    other = sum(kernel(u, v) for u in a for v in b)
    assert got.value == pytest.approx(same[0] / 1560 + same[1] / 1560 - 2 * other / 1600, rel=1e-9)


def test_prdc_by_brute_force():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(70, 4)), rng.normal(0.5, 1.2, size=(60, 4))

    def radius(sample, i):
        return sorted(math.dist(sample[i], other) for other in sample)[3]

    rx, ry = [radius(x, i) for i in range(70)], [radius(y, j) for j in range(60)]
    d = [[math.dist(a, b) for b in y] for a in x]
    p = prdc(x, y, 3)
    inside = np.array(d) < np.array(rx)[:, None]
    assert p.precision == pytest.approx(inside.any(0).mean())
    assert p.density == pytest.approx(inside.sum(0).mean() / 3)
    assert p.coverage == pytest.approx(inside.any(1).mean())
    assert p.recall == pytest.approx((np.array(d) < np.array(ry)).any(1).mean())


def test_prdc_of_equal_distributions():
    """Expected density 1 and coverage 1 - 2^-5 = 0.969 (2002.09797); their spread here is below 0.02."""
    rng = np.random.default_rng(1)
    p = prdc(rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)))
    assert p.density == pytest.approx(1.0, abs=0.1)
    assert p.coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_separation_power():
    assert separation_power([0.5, 1.5], [0.5, 1.5], [0, 1, 2]) == 0
    assert separation_power([0.5, 0.5], [1.5, 1.5], [0, 1, 2]) == 1
    # h = (3/4, 1/4) and (1/4, 3/4): 1/2 (1/4 + 1/4); the 9 lies outside.
    assert separation_power([0.5, 0.5, 0.5, 1.5], [0.5, 1.5, 1.5, 1.5, 9], [0, 1, 2]) == pytest.approx(0.25)
    assert separation_power([5.0], [0.5], [0, 1]) == 1
    assert separation_power([5.0], [6.0], [0, 1]) == 0


def test_separation_table():
    real, generated = electrons(), photons()
    table = separation_table(real, generated, features(real), features(generated))
    assert table.voxels.power == pytest.approx(
        separation_power(real.voxels, generated.voxels, table.voxels.edges)
    )
    groups = table.groups()
    assert groups["width_eta"] == pytest.approx(
        np.mean([s.power for s in table.features if s.feature.group == "width_eta"])
    )
    assert table.to_dict()["features"]["E_0"]["scale"] == "log"
    again = separation_table(real, real, features(real), features(real))
    assert max(again.groups().values()) == 0


def test_official_binning():
    """Ranges of the official histograms: 100 bins, wider in the hadronic layers of data set 1."""
    place = geometry("ds1-pions")
    table = features(hashed_showers(place, 4))
    edges = {c.name: bin_edges(c, table[c.name], place) for c in table.columns}
    assert [len(edges[n]) for n in ("centre_eta_1", "sparsity_0", "E_0")] == [101, 21, 40]
    assert edges["centre_eta_1"][0] == -100
    assert edges["centre_eta_12"][0] == -500
    assert edges["width_r_14"][-1] == 1500
    assert edges["E_0"][0] == 1.0
    assert edges["E_0"][-1] == table["E_0"].max()


@pytest.mark.parametrize("level", ["low", "low-normalised"])
def test_caloflow_inputs(level):
    showers = electrons()[:6]
    got = classifier_inputs(showers, level, "caloflow").rows(torch.tensor([4, 1])).numpy()
    for row, shower in zip(got, (4, 1), strict=True):
        layers = [showers.layer(i)[shower].astype(float) for i in range(3)]
        divide = [x.sum() if level == "low-normalised" else 1e5 for x in layers]
        voxels = np.concatenate([(x / d).ravel() for x, d in zip(layers, divide, strict=True)])
        energies = [math.log10(10 * float(showers.energy[shower]) / 100)]
        energies += [math.log10(x.sum() / 1e5 + 1e-8) + 2 for x in layers]
        np.testing.assert_allclose(row, [*voxels, *energies], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", ["low", "low-normalised"])
def test_calochallenge_inputs(level):
    showers = hashed_showers(geometry("ds1-photons"), 4)
    got = classifier_inputs(showers, level, "calochallenge").rows(torch.tensor([3])).numpy()[0]
    voxels, incident = showers.voxels[3], float(showers.energy[3])
    layers = [voxels[s] for s in showers.geometry.slices]
    if level == "low":
        expected = [*(voxels / incident), math.log10(incident)]
    else:
        expected = [*np.concatenate([x / x.sum() for x in layers]), math.log10(incident)]
        expected += [math.log10(x.sum() + 1e-8) for x in layers]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_nearest_neighbours():
    real, generated = electrons(), photons()
    incident = real.energy_mev / 1000
    found = nearest_neighbours(real, generated, [20.0, 50.0, 1e5])
    assert [n.energy for n in found] == [20.0, 50.0]
    for n in found:
        assert abs(incident[n.real] - n.energy) == np.abs(incident - n.energy).min()
        all_distances = [math.dist(real.voxels[n.real].tolist(), y) for y in generated.voxels.tolist()]
        assert n.distance == pytest.approx(min(all_distances), rel=1e-5)
        assert all_distances[n.generated] == min(all_distances)
    assert nearest_neighbours(real, real, [50.0])[0].distance == 0


def test_published_results():
    rows = published_results("ds2")
    assert rows[0]["name"] == "GEANT4"
    assert rows[0]["cpu_ms_1"] is None
    assert next(r for r in rows if r["name"] == "CaloDiffusion")["auc_low"] == 0.5766
    assert {d: len(published_results(d)) for d in ("ds1-photons", "ds1-pions", "ds3", "calogan")} == {
        "ds1-photons": 16, "ds1-pions": 13, "ds3": 16, "calogan": 0,
    }  # fmt: skip


def test_evaluate():
    recipe = dataclasses.replace(CALOFLOW, hidden=(32,), epochs=4, batch_size=50)
    real, generated = electrons(), photons()
    e = evaluate(real, generated, recipe, levels=["high"], seed=3)
    assert e.threshold == 0.01
    assert e.result.events == (150, 150)
    assert e.floor is not None
    assert e.floor.events == (75, 75)
    assert e.result.fpd.value > e.floor.fpd.value
    assert e.to_dict()["generated"]["classifier"]["high"]["events_per_class"]["train"] == 90
    other = evaluate(real, generated, recipe, other_real=real[:100], levels=[])
    assert other.floor is not None
    assert other.floor.events == (150, 100)
    assert other.floor.prdc.precision == 1  # a part of the same showers
    with pytest.raises(InputError, match="can't compare showers in calogan"):
        evaluate(real, hashed_showers(geometry("ds2"), 50), recipe)
    with pytest.raises(InputError, match="40 showers in each sample, got 30"):
        evaluate(real, generated[:30], recipe)


def test_bad_inputs():
    x = np.ones((20, 2))
    for function in (fpd, kpd, prdc):
        with pytest.raises(InputError):
            function(x, np.ones((20, 3)))
        with pytest.raises(InputError, match="NaN"):
            function(x, np.full((20, 2), np.nan))
    with pytest.raises(InputError, match="no level"):
        classifier_inputs(electrons(), "middle", "caloflow")  # type: ignore[arg-type]
