"""Events, their files and the features of jets."""

import h5py
import numpy as np
import pandas
import pytest

from lhcflow import InputError
from lhcflow.bumphunt.datasets import Events, read_events, read_jets, write_jets
from lhcflow.bumphunt.features import FEATURES, JetColumns, jet_features


@pytest.fixture
def frame():
    """Two back-to-back jets per event, as the LHC Olympics file has them: GeV, label last."""
    rng = np.random.default_rng(3)
    n = 40
    columns = {}
    for jet in (1, 2):
        pt, phi = rng.uniform(1200, 2000, n), rng.uniform(-np.pi, np.pi, n)
        columns |= {
            f"pxj{jet}": pt * np.cos(phi),
            f"pyj{jet}": pt * np.sin(phi),
            f"pzj{jet}": pt * np.sinh(rng.normal(size=n)),
            f"mj{jet}": rng.uniform(20, 600, n),
        } | {f"tau{k}j{jet}": rng.uniform(0, 1, n) for k in (1, 2, 3)}
    return pandas.DataFrame({**{c: columns[c] for c in JetColumns}, "label": rng.integers(0, 2, n) * 1.0})


def by_hand(row):
    """The features of one event, written out."""
    jets = []
    for j in "12":
        p = np.array([row["px" + "j" + j], row["pyj" + j], row["pzj" + j]])
        energy = np.sqrt(p @ p + row["mj" + j] ** 2)
        y = 0.5 * np.log((energy + p[2]) / (energy - p[2]))
        jets.append((row["mj" + j], row[f"tau2j{j}"] / (row[f"tau1j{j}"] + 1e-5), energy, p, y))
    light, heavy = sorted(jets, key=lambda jet: jet[0])
    total = light[3] + heavy[3]
    m = np.sqrt((light[2] + heavy[2]) ** 2 - total @ total) / 1000
    dphi = abs(np.arctan2(light[3][1], light[3][0]) - np.arctan2(heavy[3][1], heavy[3][0]))
    distance = np.hypot(light[4] - heavy[4], min(dphi, 2 * np.pi - dphi))
    return m, [light[0] / 1000, (heavy[0] - light[0]) / 1000, light[1], heavy[1], distance]


@pytest.mark.parametrize("layout", ["fixed", "table"])
@pytest.mark.parametrize("integer_labels", [False, True])
def test_lhc_olympics_file(frame, tmp_path, layout, integer_labels):
    if integer_labels:  # a second block of another type
        frame["label"] = frame["label"].astype(int)
    path = tmp_path / "events_anomalydetection_v2.features.h5"
    frame.to_hdf(path, key="df", mode="w", format=layout)
    events = read_events(path, features=(*FEATURES, "dR"))
    for i, row in frame.iterrows():
        m, x = by_hand(row)
        assert events.m[i] == pytest.approx(m, rel=1e-12)
        assert events.features[i] == pytest.approx(x, rel=1e-9)
    np.testing.assert_array_equal(events.label, frame["label"])
    assert read_events(path).names == FEATURES


def test_table_with_a_column_each(frame, tmp_path):
    frame.to_hdf(tmp_path / "a.h5", key="df", mode="w", format="table", data_columns=True)
    jets = read_jets(tmp_path / "a.h5")
    for name in frame:
        np.testing.assert_array_equal(jets[name], frame[name])


def test_extra_background_without_labels(frame, tmp_path):
    frame.drop(columns="label").to_hdf(tmp_path / "a.h5", key="df", mode="w")
    assert read_events(tmp_path / "a.h5").label is None


def test_a_pickle_in_a_file_runs_nothing(frame, tmp_path):
    path = tmp_path / "a.h5"
    frame.to_hdf(path, key="df", mode="w", format="table")
    with h5py.File(path, "a") as file:
        file["df/table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'touch harmed'\ntR.")
    with pytest.raises(InputError, match="refused to load"):
        read_events(path)


def test_files_that_are_refused(frame, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_events(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        read_events(text)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(InputError, match="no data frame"):
        read_events(tmp_path / "other.h5")
    frame.drop(columns=["mj2", "tau2j1"]).to_hdf(tmp_path / "less.h5", key="df", mode="w")
    with pytest.raises(InputError, match="lacks the columns tau2j1, mj2"):
        read_events(tmp_path / "less.h5")
    frame.loc[3, "mj1"] = np.nan
    frame.to_hdf(tmp_path / "nan.h5", key="df", mode="w")
    with pytest.raises(InputError, match="1 of 40 values of mj1 are NaN"):
        read_events(tmp_path / "nan.h5")
    with pytest.raises(InputError, match="unknown features colour"):
        jet_features({c: frame[c].to_numpy() for c in JetColumns}, ("colour",))
    frame.to_hdf(tmp_path / "nan.h5", key="second", mode="a")
    with pytest.raises(InputError, match="df, second: choose one"):
        read_events(tmp_path / "nan.h5")


def test_own_files_give_back_the_events(tmp_path):
    rng = np.random.default_rng(0)
    events = Events(
        rng.normal(size=(30, 2)), rng.uniform(2, 5, 30), ("a", "b"), rng.integers(0, 2, 30), rng.random(30)
    )
    events.write(tmp_path / "e.h5", {"seed": 3})
    again = read_events(tmp_path / "e.h5")
    assert again.names == ("a", "b")
    for name in ("features", "m", "label", "weight"):
        np.testing.assert_array_equal(getattr(again, name), getattr(events, name))
    chosen = read_events(tmp_path / "e.h5", features=["b"])
    np.testing.assert_array_equal(chosen.features[:, 0], events.features[:, 1])
    Events(events.features, events.m).write(tmp_path / "bare.h5")
    bare = read_events(tmp_path / "bare.h5")
    assert bare.label is None
    assert bare.weight is None


def test_jets_give_back_the_jets(frame, tmp_path):
    jets = {name: frame[name].to_numpy() for name in frame}
    write_jets(tmp_path / "j.h5", jets)
    again = read_jets(tmp_path / "j.h5")
    assert set(again) == set(jets)
    for name, column in jets.items():
        np.testing.assert_array_equal(again[name], column)
    np.testing.assert_array_equal(read_events(tmp_path / "j.h5").m, jet_features(jets)[1])


def test_shifted_moves_masses_only():
    x = np.array([[0.1, 0.2, 0.5, 0.6]])
    events = Events(x, [3.0], FEATURES).shifted(0.1)
    np.testing.assert_allclose(events.features, [[0.4, 0.5, 0.5, 0.6]])
    with pytest.raises(InputError, match="no jet mass"):
        Events(x, [3.0]).shifted()


def test_noise_is_standard_normal_and_leaves_the_rest():
    events = Events(np.zeros((4000, 1)), np.ones(4000)).with_noise(3, seed=1)
    assert events.names == ("x0", "noise0", "noise1", "noise2")
    noise = events.features[:, 1:]
    assert (events.features[:, 0] == 0).all()
    # 6 sigma of the mean and of the variance.
    assert np.abs(noise.mean(axis=0)).max() < 6 / np.sqrt(4000)
    assert np.abs(noise.var(axis=0) - 1).max() < 6 * np.sqrt(2 / 4000)


def test_parts_and_joins():
    events = Events(np.arange(6.0).reshape(3, 2), [3, 4, 5], label=[0, 1, 0])
    assert len(events.signal) == 1
    joined = Events.concatenate([events.background, events.signal])
    np.testing.assert_array_equal(joined.m, [3, 5, 4])
    np.testing.assert_array_equal(joined.label, [0, 0, 1])
    weighted = Events(np.zeros((1, 2)), [3.0], weight=[2.0])
    both = Events.concatenate([events, weighted])
    assert both.label is None
    np.testing.assert_array_equal(both.weight, [1, 1, 1, 2])
    with pytest.raises(InputError, match="no labels"):
        _ = weighted.signal


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros(3)), r"features \(n, d\)"),
        ((np.zeros((3, 2)), np.zeros(2)), r"features \(n, d\)"),
        (([[1.0], [np.nan]], [3.0, 3.0], ("mJ1",)), "1 of 2 values of mJ1 are NaN"),
        (([[1.0]], [np.inf]), "1 of 1 values of m are NaN"),
        (([[1.0]], [3.0], ("a", "b")), "1 features need as many different names"),
        (([[1.0]], [3.0], (), [2]), "labels are 0 .*, but some are 2"),
        (([[1.0]], [3.0], (), None, [np.nan]), "values of weight are NaN"),
    ],
)
def test_wrong_events_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Events(*arguments)
