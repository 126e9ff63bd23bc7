"""Generation time and loss with noise, small."""

import numpy as np
import pytest

from calorimeter.samples import electrons
from lhcflow.calorimeter import Showers
from lhcflow.calorimeter.models import CaloFlow, new_student
from lhcflow.plotting import Picture, Table
from lhcflow.reproduce import generation_time, noise


def test_generation_times():
    """CPU times are not tested, but that naive sampling is one pass per voxel can't be hidden."""
    teacher = CaloFlow.build((40, 30), blocks=2, hidden=(64, 64))
    curves = generation_time.measure(teacher, {"student": new_student(teacher)}, (1, 300))
    assert {name: numbers for name, (numbers, _) in curves.items()} == {
        "teacher, naive": [1], "teacher, incremental": [1, 300], "student": [1, 300],
    }  # fmt: skip
    assert all(s > 0 for _, seconds in curves.values() for s in seconds)
    section = generation_time.section({"Geant4": ([1, 300], [0.5, 150.0]), **curves})
    picture, table = section.content
    assert isinstance(picture, Picture)
    assert isinstance(table, Table)
    assert table.rows[0] == ["Geant4", "500 ms", "500 ms"]
    assert table.rows[1][2] == "-"


@pytest.mark.slow
def test_loss_with_and_without_noise():
    """Each shower four times: 12 epochs of 150 showers are too few steps to see anything."""
    some = electrons()
    showers = Showers(some.geometry, np.tile(some.energy, 4), np.tile(some.voxels, (4, 1)))
    results = noise.run(seed=1, full=False, quiet=True, showers=showers).results
    assert results["empty"] == pytest.approx(float((some.voxels == 0).mean()))
    with_noise, without = results["noise of 1 keV"], results["without noise"]
    assert len(with_noise["loss"]) == len(without["loss"]) == 12
    # The empty voxels, half of all, have no width: their likelihood has no limit.
    assert np.min(without["validation"]) < np.min(with_noise["validation"])
