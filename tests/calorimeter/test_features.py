"""Features against the official code of the CaloChallenge (stored numbers) and against plain loops."""

import math

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from calorimeter.samples import DATA, electrons, hashed_showers
from lhcflow.calorimeter import calochallenge_features, calogan_features, geometry
from lhcflow.calorimeter.metrics import features

GROUPS = (
    "E", "E_tot", "centre_eta", "centre_phi", "width_eta", "width_phi", "sparsity", "centre_r", "width_r",
)  # fmt: skip


@pytest.mark.parametrize("name", ["ds1-photons", "ds1-pions", "ds2", "ds3"])
def test_official_features(name):
    """HighLevelFeatures.py of CaloChallenge/homepage, run on the same three showers."""
    table = calochallenge_features(hashed_showers(geometry(name), 3))
    with np.load(DATA / "official_features.npz") as official:
        for group in GROUPS:
            # The widths are differences of squares: what rounding leaves of an empty one is below 1e-5 mm.
            np.testing.assert_allclose(
                table.group(group), official[f"{name}/{group}"], rtol=1e-6, atol=1e-5, err_msg=group
            )
    assert table.values.shape == (3, len(table.columns))
    assert np.isfinite(table.values).all()


def one_shower(layers, energy):
    """The CaloGAN features of one shower by loops over its cells."""
    found, half = {}, 240.0
    sums = [float(layer.sum()) for layer in layers]
    total = sum(sums)
    for i, layer in enumerate(layers):
        rows, columns = layer.shape
        cells = [(a, b, float(layer[a, b])) for a in range(rows) for b in range(columns)]
        top = sorted(e for _, _, e in cells)
        found[f"E_{i}"] = sums[i] / 1000
        found[f"f_{i}"] = sums[i] / total
        found[f"sparsity_{i}"] = sum(e > 0 for *_, e in cells) / len(cells)
        found[f"E_ratio_{i}"] = (top[-1] - top[-2]) / (top[-1] + top[-2]) if top[-1] > 0 else 0.0
        found[f"brightest_{i}"] = top[-1] / sums[i] if sums[i] > 0 else 0.0
        for axis, name, count in ((0, "phi", rows), (1, "eta", columns)):
            place = [-half + (2 * half / count) * (c[axis] + 0.5) for c in cells]
            mean = sum(x * c[2] for x, c in zip(place, cells, strict=True)) / sums[i] if sums[i] else 0.0
            square = sum((x - mean) ** 2 * c[2] for x, c in zip(place, cells, strict=True))
            found[f"centre_{name}_{i}"] = mean
            found[f"width_{name}_{i}"] = math.sqrt(square / sums[i]) if sums[i] else 0.0
    mean = sum(i * s for i, s in enumerate(sums)) / total
    found |= {
        "E_tot": total / 1000,
        "response": total / energy,
        "depth": max(i for i, s in enumerate(sums) if s > 0),
        "l_d": (sums[1] + 2 * sums[2]) / 1000,
        "s_d": mean,
        "sigma_sd": math.sqrt(sum((i - mean) ** 2 * s for i, s in enumerate(sums)) / total),
    }
    return found


def test_calogan_features():
    showers = electrons()[:25]
    table = calogan_features(showers)
    for row in range(len(showers)):
        layers = [showers.layer(i)[row].astype(np.float64) for i in range(3)]
        expected = one_shower(layers, float(showers.energy_mev[row]))
        assert expected.keys() == {c.name for c in table.columns}
        for name, value in expected.items():
            assert table[name][row] == pytest.approx(value, rel=1e-6, abs=2e-5), (row, name)


def test_empty_showers_have_finite_features():
    for name in ("calogan", "ds1-photons"):
        table = features(hashed_showers(geometry(name), 2))
        assert np.isfinite(table.values).all()
        assert table["E_tot"][0] == 0


def test_single_precision_is_enough():
    showers = hashed_showers(geometry("ds1-pions"), 20)[2:]
    single = type(showers)(showers.geometry, showers.energy, showers.voxels.astype(np.float32))
    a, b = calochallenge_features(showers), calochallenge_features(single)
    np.testing.assert_allclose(b.values, a.values, rtol=1e-6, atol=1e-6 * 2000)
    np.testing.assert_allclose(b.group("width_r"), a.group("width_r"), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["calogan", "ds1-pions"])
def test_symbols_are_tex(name):
    """All of them can be typeset, and no two are alike."""
    columns = features(hashed_showers(geometry(name), 1)).columns
    for column in columns:
        MathTextParser("path").parse(f"${column.symbol}$")
    assert len({c.symbol for c in columns}) == len(columns)
    assert len({c.name for c in columns}) == len(columns)
