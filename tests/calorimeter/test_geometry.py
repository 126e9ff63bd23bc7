"""Geometries: sizes, order of the voxels, XML files."""

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.calorimeter import GEOMETRIES, geometry, read_xml

VOXELS = {"calogan": 504, "ds1-photons": 368, "ds1-pions": 533, "ds2": 6480, "ds3": 40500}


def test_published_sizes():
    assert {name: geometry(name).voxels for name in GEOMETRIES} == VOXELS


@pytest.mark.parametrize("name", GEOMETRIES)
def test_layers_tile_the_flat_array(name):
    place = geometry(name)
    covered = np.concatenate([np.arange(place.voxels)[s] for s in place.slices])
    np.testing.assert_array_equal(covered, np.arange(place.voxels))


def test_r_runs_fastest_then_alpha():
    layer = geometry("ds2").layers[0]
    assert layer.shape == (16, 9)
    np.testing.assert_allclose(layer.r[:3], [2.325, 6.975, 11.625])
    # The first sector begins at -pi: its centre lies just below the negative eta axis.
    angle = np.arctan2(layer.phi, layer.eta).reshape(layer.shape)
    np.testing.assert_allclose(angle[0], -np.pi + np.pi / 16)
    np.testing.assert_allclose(np.diff(angle[:, 0]), np.pi / 8)


def test_calogan_cells():
    first, second, _ = geometry("calogan").layers
    np.testing.assert_allclose(first.eta[:2], [-237.5, -232.5])  # 5 mm strips along eta
    np.testing.assert_allclose(np.unique(first.phi), [-160, 0, 160])
    np.testing.assert_allclose(np.unique(second.phi)[:2], [-220, -180])


def xml(text):
    return f'<Bins><Bin pid="22" name="photon">{text}</Bin></Bins>'


def test_xml(tmp_path):
    file = tmp_path / "two.xml"
    file.write_text(
        xml(
            '<Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/><Layer id="1" r_edges="0" n_bin_alpha="1"/>'
            '<Layer id="7" r_edges="0, 1, 2, 4" n_bin_alpha="10"/>'
        )
    )
    place = geometry(file)
    assert (place.name, place.voxels, [layer.id for layer in place.layers]) == ("two", 32, [0, 7])
    np.testing.assert_allclose(place.layers[1].r[:3], [0.5, 1.5, 3.0])
    assert read_xml(file, "photon", threshold=1.0).threshold == 1.0


def test_xml_of_a_known_geometry_is_that_geometry(tmp_path):
    """The layers of data set 2 as 45 lines of its published file have them."""
    edges = "0,4.65,9.3,13.95,18.6,23.25,27.9,32.55,37.2,41.85"
    lines = [f'<Layer id="{i}" r_edges="{edges}" n_bin_alpha="16"/>' for i in range(45)]
    file = tmp_path / "binning_dataset_2.xml"
    file.write_text(xml("".join(lines)))
    assert geometry(file) is geometry("ds2")
    file.write_text(xml("".join(lines[:44])))
    assert (geometry(file).name, geometry(file).threshold) == ("binning_dataset_2", 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Bins>", "not XML"),
        ("<Other/>", "no CaloChallenge geometry"),
        (xml(""), "no layer with voxels"),
        (xml('<Layer id="0" r_edges="0,x" n_bin_alpha="1"/>'), "as numbers"),
        (xml('<Layer id="0" r_edges="0,5,3" n_bin_alpha="1"/>'), "growing r_edges"),
    ],
)
def test_bad_xml(tmp_path, text, message):
    file = tmp_path / "bad.xml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        geometry(file)


def test_names_that_are_none(tmp_path):
    with pytest.raises(InputError, match="there is no geometry 'atlas'"):
        geometry("atlas")
    with pytest.raises(InputError, match="can't read"):
        geometry(tmp_path / "missing.xml")
    file = tmp_path / "two.xml"
    file.write_text(xml('<Layer id="0" r_edges="0,5" n_bin_alpha="1"/>'))
    with pytest.raises(InputError, match="no particle 'pion', but photon"):
        geometry(file, "pion")
