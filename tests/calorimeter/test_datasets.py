"""Shower files: both formats, streaming, and what is wrong with bad ones."""

import h5py
import numpy as np
import pytest

from calorimeter.samples import DATA, electrons, hashed_showers
from lhcflow import InputError
from lhcflow.calorimeter import (
    GEOMETRIES,
    ShowerFile,
    Showers,
    ShowerWriter,
    concatenate,
    geometry,
    read_showers,
    write_showers,
)


def same(a, b):
    assert a.geometry == b.geometry
    np.testing.assert_array_equal(a.energy, b.energy)
    np.testing.assert_array_equal(a.voxels, b.voxels)
    assert (a.overflow is None) == (b.overflow is None)
    if a.overflow is not None:
        np.testing.assert_array_equal(a.overflow, b.overflow)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_round_trip(tmp_path, name):
    showers = hashed_showers(geometry(name), 5)
    write_showers(tmp_path / "a.h5", showers, {"particle": "test"})
    same(read_showers(tmp_path / "a.h5", dtype=np.float64, any_scale=True), showers)
    with ShowerFile(tmp_path / "a.h5", any_scale=True) as file:
        assert file.description == {"particle": "test"}


def test_calogan_layout():
    """What a file of Geant4 showers holds, read without this package."""
    showers = electrons()
    with h5py.File(DATA / "e+.h5") as file:
        for number, shape in enumerate([(3, 96), (12, 12), (12, 6)]):
            stored = file[f"layer_{number}"][:]
            assert stored.shape == (150, *shape)
            np.testing.assert_array_equal(showers.layer(number), stored)
        np.testing.assert_array_equal(showers.overflow, file["overflow"][:])
        np.testing.assert_array_equal(showers.energy, file["energy"][:, 0])
    ratio = showers.layer_energies().sum(1) / showers.energy_mev
    assert 0.9 < ratio.mean() < 1.0


def test_challenge_layout(tmp_path):
    showers = hashed_showers(geometry("ds1-pions"), 3)
    write_showers(tmp_path / "a.h5", showers)
    with h5py.File(tmp_path / "a.h5") as file:
        assert {k: v.shape for k, v in file.items()} == {"showers": (3, 533), "incident_energies": (3, 1)}
        np.testing.assert_array_equal(file["showers"][:], showers.voxels)


def test_chunks_make_the_whole():
    whole = electrons()
    with ShowerFile(DATA / "e+.h5") as file:
        parts = list(file.chunks(40))
        same(file.read(30, 70), whole[30:70])
        assert len(file) == 150
    assert [len(p) for p in parts] == [40, 40, 40, 30]
    same(concatenate(parts), whole)


def test_appended_parts_make_the_whole(tmp_path):
    whole = electrons()
    with ShowerWriter(tmp_path / "a.h5", whole.geometry) as file:
        for start in (0, 70, 149):
            stop = {0: 70, 70: 149, 149: 150}[start]
            file.append(whole[start:stop])
    same(read_showers(tmp_path / "a.h5"), whole)


def test_nothing_half_written(tmp_path):
    showers = electrons()

    def broken():
        with ShowerWriter(tmp_path / "a.h5", showers.geometry) as file:
            file.append(showers)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_slices_share_memory():
    showers = electrons()
    assert np.shares_memory(showers[10:20].voxels, showers.voxels)
    assert np.shares_memory(showers.layer(1), showers.voxels)
    assert len(showers[showers.energy > 50]) == int((showers.energy > 50).sum())


def test_cut():
    showers = electrons()
    cut = showers.cut(1.0)
    assert showers.voxels[showers.voxels > 0].min() < 1.0 <= cut.voxels[cut.voxels > 0].min()
    kept = showers.voxels >= 1.0
    np.testing.assert_array_equal(cut.voxels[kept], showers.voxels[kept])


def damage(name, change):
    """A file with one thing wrong: data set ``name`` changed (None: removed)."""

    def write(path):
        with h5py.File(DATA / "e+.h5") as source, h5py.File(path, "w") as target:
            for key in source:
                values = source[key][:]
                if key == name:
                    values = change(values)
                if values is not None:
                    target[key] = values

    return write


def at(row, value):
    def change(values):
        values.reshape(len(values), -1)[row, 0] = value
        return values

    return change


BAD = {
    "missing": (lambda path: None, "there is no file"),
    "text": (lambda path: path.write_text("not HDF5"), "not an HDF5 file"),
    "truncated": (lambda path: path.write_bytes((DATA / "e+.h5").read_bytes()[:90_000]), "truncated"),
    "nothing": (lambda path: h5py.File(path, "w").close(), "it holds nothing"),
    "no layer": (damage("layer_1", lambda v: None), "layer_1 is missing"),
    "no energy": (damage("energy", lambda v: None), "energy is missing"),
    "empty": (damage("energy", lambda v: v[:0]), "no showers"),
    "shape": (
        damage("layer_2", lambda v: v[:, :6]),
        r"layer_2 has shape \(150, 6, 6\), needs \(150, 12, 6\)",
    ),
    "rows": (damage("layer_0", lambda v: v[:20]), r"layer_0 has shape \(20, 3, 96\)"),
    "NaN": (damage("layer_0", at(7, np.nan)), "1 voxel energies are NaN or infinite, the first in shower 7"),
    "negative": (damage("layer_1", at(9, -1.0)), "1 voxel energies are negative, the first in shower 9"),
    "no beam": (damage("energy", at(3, 0.0)), "1 incident energies are not positive, the first in shower 3"),
    "overflow": (damage("overflow", at(4, np.inf)), "1 overflow energies are NaN or infinite"),
    "strings": (damage("energy", lambda v: np.array([b"a"] * 150)), "no array of numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path, name):
    write, message = BAD[name]
    write(tmp_path / "bad.h5")
    with pytest.raises(InputError, match=message) as caught:
        read_showers(tmp_path / "bad.h5")
    assert "\n" not in str(caught.value)
    assert "bad.h5" in str(caught.value)


def test_unknown_number_of_voxels(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["showers"], file["incident_energies"] = np.ones((3, 10)), np.ones((3, 1))
    with pytest.raises(InputError, match="10 voxels, which no known geometry has"):
        read_showers(tmp_path / "a.h5")
    with pytest.raises(InputError, match="needs"):
        read_showers(tmp_path / "a.h5", "ds2")
    with pytest.raises(InputError, match="CaloChallenge format, calogan is not"):
        read_showers(tmp_path / "a.h5", "calogan")


def test_shapes_of_showers():
    place = geometry("calogan")
    with pytest.raises(InputError, match=r"voxels of shape \(2, 504\), got \(2, 5\)"):
        Showers(place, np.ones(2), np.ones((2, 5)))
    with pytest.raises(InputError, match="overflow of shape"):
        Showers(place, np.ones(2), np.ones((2, 504)), np.ones((2, 2)))
    with pytest.raises(InputError, match="different geometries"):
        concatenate([electrons(), hashed_showers(geometry("ds2"), 2)])
    with pytest.raises(InputError, match="no showers to write"):
        write_showers("never.h5", electrons()[:0])
