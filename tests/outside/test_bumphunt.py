"""Bump hunts on files as users have them: what is read, what is refused, and with which words."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from lhcflow import InputError
from lhcflow.bumphunt import Events, SignalRegion, Toy, read_events
from lhcflow.bumphunt.features import JetColumns
from lhcflow.bumphunt.statistics import fit_range
from lhcflow.cli import main
from lhcflow.cli.bumphunt.checking import check_methods
from lhcflow.cli.bumphunt.hunting import Hunt
from lhcflow.cli.bumphunt.loading import Sources, load
from lhcflow.cli.bumphunt.run_report import sections_of

EVENTS = 400
QUICK = [
    "--methods",
    "cwola",
    "--folds",
    2,
    "--members",
    1,
    "--epochs",
    1,
    "--toys",
    0,
    "--no-report",
    "--quiet",
]


@pytest.fixture(scope="module")
def frame():
    """Toy events as two jets in GeV, with the columns of the LHC Olympics features file."""
    toy = Toy().sample(EVENTS - 10, 10, seed=77)
    mass1, mass2 = 1e3 * toy.features[:, 0], 1e3 * (toy.features[:, 0] + toy.features[:, 1])
    m = 1e3 * toy.m
    energy = (m**2 + mass1**2 - mass2**2) / (2 * m)
    p = np.sqrt(energy**2 - mass1**2)
    columns = {}
    for j, (sign, mass, ratio) in enumerate(((1, mass1, 2), (-1, mass2, 3)), 1):
        columns |= {f"pxj{j}": sign * p, f"pyj{j}": 0 * p, f"pzj{j}": 0 * p, f"mj{j}": mass}
        columns |= {
            f"tau1j{j}": 0.3 + 0 * p,
            f"tau2j{j}": 0.3 * toy.features[:, ratio],
            f"tau3j{j}": 0.1 + 0 * p,
        }
    return pd.DataFrame({**{c: columns[c] for c in JetColumns}, "label": toy.label.astype(float)})


def changed(frame, rows, **columns):
    new = frame.copy()
    for name, value in columns.items():
        new.loc[rows, name] = value
    return new


def jets_in_tev(frame):
    return frame.assign(**{c: frame[c] / 1e3 for c in frame if c[0] in "pm"})


SAME = {
    "fixed": lambda f, w: w(f),
    "table": lambda f, w: w(f, format="table"),
    "float32": lambda f, w: w(f.astype("float32")),
    "other order, other columns": lambda f, w: w(f[f.columns[::-1]].assign(run=1, extra=1.5)),
    "data columns": lambda f, w: w(f, format="table", data_columns=True),
    "one data column": lambda f, w: w(f, format="table", data_columns=["mj1"]),
    "in a group": lambda f, w: w(f, key="events/df"),
    "without tau3": lambda f, w: w(f.drop(columns=["tau3j1", "tau3j2"])),
    "NaN in tau3": lambda f, w: w(changed(f, [0, 3], tau3j1=np.nan)),
    "a column of text": lambda f, w: w(f.assign(name="event")),
    "a column of text in a table": lambda f, w: w(f.assign(name="event"), format="table"),
    "labels of bool": lambda f, w: w(f.assign(label=f.label == 1)),
    "labels of int in a table": lambda f, w: w(f.assign(label=f.label.astype(int)), format="table"),
    "index of two levels": lambda f, w: w(
        f.set_index(pd.MultiIndex.from_arrays([np.arange(EVENTS) // 10, np.arange(EVENTS)]))
    ),
    "index of two levels in a table": lambda f, w: w(
        f.set_index(pd.MultiIndex.from_arrays([np.arange(EVENTS) // 10, np.arange(EVENTS)])), format="table"
    ),
    "zlib": lambda f, w: w(f, complib="zlib", complevel=5),
    "weights of 1": lambda f, w: w(f.assign(weight=1.0)),
}


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize("kind", SAME)
def test_the_same_events_in_other_files(frame, tmp_path, kind):
    path = tmp_path / "events.h5"

    def write(data, key="df", **options):
        data.to_hdf(path, key=key, mode="w", **options)

    write(frame)
    expected = read_events(path)
    SAME[kind](frame, write)
    found = load(Sources(path)).events
    rounding = 1e-5 if kind == "float32" else 0
    np.testing.assert_allclose(found.features, expected.features, rtol=rounding, atol=rounding)
    np.testing.assert_allclose(found.m, expected.m, rtol=rounding)
    np.testing.assert_array_equal(found.label, frame.label)


def test_columns_of_h5py(frame, tmp_path):
    frame.to_hdf(tmp_path / "a.h5", key="df", mode="w")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name in frame:
            file[name] = frame[name].to_numpy()[:, None]  # the usual shape of a column
    a, b = (read_events(tmp_path / name) for name in ("a.h5", "b.h5"))
    np.testing.assert_array_equal(a.features, b.features)
    np.testing.assert_array_equal(a.label, b.label)


REFUSED = {
    "labels of text": (
        lambda f, w: w(f.assign(label=np.where(f.label == 1, "Wprime", "qcd"))),
        "column label .* holds text and no numbers: write 1 for signal",
    ),
    "labels of text in a table": (
        lambda f, w: w(f.assign(label=np.where(f.label == 1, "Wprime", "qcd")), format="table"),
        "column label .* holds text and no numbers: write 1 for signal",
    ),
    "labels as categories": (
        lambda f, w: w(
            f.assign(label=pd.Categorical(np.where(f.label == 1, "Wprime", "qcd"))), format="table"
        ),
        r"column label .* holds categories \('Wprime', 'qcd'\)",
    ),
    "labels 1 and 2": (lambda f, w: w(f.assign(label=f.label + 1)), "labels are 0 .* but some are 2"),
    "NaN in labels": (lambda f, w: w(changed(f, [5], label=np.nan)), "1 of 400 values of label are NaN"),
    "NaN in a column that is used": (
        lambda f, w: w(changed(f, [5], tau2j1=np.nan)),
        "values of tau2j1 are NaN",
    ),
    "tau of -1": (lambda f, w: w(changed(f, range(5), tau1j1=-1, tau2j1=-1)), "5 of 400 .* tau1j1"),
    "tau of -999": (lambda f, w: w(changed(f, range(5), tau2j1=-999)), "5 of 400 values of tau2j1 are -999"),
    "a momentum of 1e9": (lambda f, w: w(changed(f, [3], pxj1=1e9)), "1 of 400 values of pxj1 are 1e.09"),
    "no jet": (
        lambda f, w: w(changed(f, [3], pxj1=0, pyj1=0, pzj1=0, mj1=0)),
        "1 of 400 events have no jet 1",
    ),
    "every event twice": (lambda f, w: w(pd.concat([f, f])), "400 of 800 .* repeat .*--allow-duplicates"),
    "weights": (lambda f, w: w(f.assign(weight=2.0)), "weights are not supported"),
    "negative weights": (lambda f, w: w(f.assign(mc_weight=-1.0)), "some negative.* not supported"),
    "columns without names": (
        lambda f, w: w(pd.DataFrame(f.to_numpy())),
        "lacks the columns pxj1.* it has 0, 1",
    ),
    "columns of two levels": (
        lambda f, w: w(f.set_axis(pd.MultiIndex.from_product([["a"], f.columns]), axis=1)),
        "several levels",
    ),
    "a series": (lambda f, w: w(f["mj1"]), "a pandas 'series', not a data frame"),
    "no events": (lambda f, w: w(f.iloc[:0]), "holds no events"),
    "blosc": (
        lambda f, w: w(f, complib="blosc", complevel=5),
        "compressed with blosc.*pip install hdf5plugin",
    ),
    "a constant feature": (
        lambda f, w: w(f.assign(tau2j1=0.3, tau2j2=0.3)),
        "tau21J1, tau21J2 .* are constant",
    ),
}


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_files_with_one_line_about_what_is_wrong(frame, tmp_path, kind):
    path = tmp_path / "events.h5"
    make, words = REFUSED[kind]
    make(frame, lambda data, key="df", **options: data.to_hdf(path, key=key, mode="w", **options))
    with pytest.raises(InputError, match=words) as caught:
        load(Sources(path))
    assert "\n" not in str(caught.value)
    assert "events.h5" in str(caught.value)


def test_links_to_nowhere(frame, tmp_path):
    path = tmp_path / "links.h5"
    with h5py.File(path, "w") as file:
        file["df"] = h5py.SoftLink("/elsewhere")
        file["far/df"] = h5py.ExternalLink("none.h5", "/df")
    for key, words in ((None, "df is a link to /elsewhere"), ("far/df", "link to /df of the file none.h5")):
        with pytest.raises(InputError, match=words):
            read_events(path, key=key)
    frame.to_hdf(path, key="good", mode="a")
    assert len(read_events(path)) == EVENTS  # the others are nobody's business
    with h5py.File(path, "a") as file:
        file["m"] = h5py.SoftLink("/elsewhere")
        file["features"] = np.ones((3, 2))
        file.attrs.update({"layout": "lhcflow events 1", "names": ["a", "b"]})
    with pytest.raises(InputError, match="m is a link to /elsewhere"):
        read_events(path)


def test_features_that_nobody_asked_for(tmp_path):
    x = np.random.default_rng(9).random((50, 3))
    with h5py.File(tmp_path / "events.h5", "w") as file:
        file["features"], file["m"] = np.c_[x[:, :2], np.full(50, np.nan)], 3 + x[:, :1]
        file.attrs.update({"layout": "lhcflow events 1", "names": ["a", "b", "c"]})
    np.testing.assert_array_equal(read_events(tmp_path / "events.h5", ["b", "a"]).features, x[:, [1, 0]])
    for names, words in ((None, "50 of 50 values of c are NaN"), (["d"], "no features d: there are a, b, c")):
        with pytest.raises(InputError, match=words):
            read_events(tmp_path / "events.h5", names)


def test_several_frames(frame, tmp_path):
    for key in ("df", "jets/a"):
        frame.to_hdf(tmp_path / "two.h5", key=key, mode="a")
    with h5py.File(tmp_path / "two.h5", "a") as file:
        for name in "abcd":
            file[f"jets/{name}{name}"] = h5py.SoftLink("/")  # for ever
    with pytest.raises(InputError, match="df, jets/a: choose one"):
        read_events(tmp_path / "two.h5")
    assert len(read_events(tmp_path / "two.h5", key="jets/a")) == EVENTS


def test_a_part_of_the_events_is_no_test_sample(tmp_path):
    events = Toy().sample(500, 50, seed=3)
    events.write(tmp_path / "events.h5")
    events[:100].write(tmp_path / "test.h5")
    with pytest.raises(InputError, match=r"100 of 100 events of .*test\.h5 are in .*events\.h5 too"):
        load(Sources(tmp_path / "events.h5", test=tmp_path / "test.h5"))


def test_one_event_does_not_stretch_the_range_of_the_fit():
    m = Toy().sample(16_000, 200, seed=0).m
    region = SignalRegion(3.3, 3.7)
    expected = fit_range(m, region)
    np.testing.assert_array_equal(fit_range(np.append(m, 12.9), region), expected)
    np.testing.assert_array_equal(fit_range(np.append(m, [12.9, 12.8, 12.5]), region), expected)
    # An event that the tail explains belongs to it.
    assert fit_range(np.append(m, 7.2), region)[-1] > 7.2


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return end.value.code


@pytest.fixture(scope="module")
def hunted(tmp_path_factory):
    """A short hunt: its events and its folder."""
    folder = tmp_path_factory.mktemp("hunt")
    Toy().sample(9000, 0, seed=5).write(folder / "events.h5")
    assert run("bumphunt", "run", folder / "events.h5", *QUICK, "--cuts", 0.1, "--out", folder / "run") == 0
    return folder


def test_one_line_and_no_folder(hunted, tmp_path, capsys):
    events = read_events(hunted / "events.h5")
    files = {"gev": (events.features, 1e3 * events.m), "small": (events.features, 1e-3 * events.m)}
    for name, (x, m) in files.items():
        Events(x, m, events.names).write(tmp_path / f"{name}.h5")

    def refused(*more, file=hunted / "events.h5", command="run"):
        out = tmp_path / "a" / "run"
        methods = QUICK if command == "run" else ["--method", "cwola", *QUICK[2:]]
        assert run("bumphunt", command, file, *methods, "--out", out, *more) == 2
        assert not out.parent.exists()
        said = capsys.readouterr().err.strip()
        assert "\n" not in said
        return said

    assert "give TeV, such as 3.3 3.7" in refused("--region", 3300, 3700)
    assert "beyond the collision energy" in refused("--fit-range", 2600, 7000)
    assert "--from, --to 3000 4600 reaches beyond" in refused(
        "--from", 3000, "--to", 4600, "--width", 400, command="scan"
    )
    assert "collision energy in TeV" in refused("--energy", 13_000)
    assert "check the unit of the masses" in refused(file=tmp_path / "gev.h5")
    assert "1000 times too small" in refused(file=tmp_path / "small.h5")
    assert "too few for a fit" in refused("--cuts", "1e-6")
    assert "has 0.1 twice" in refused("--cuts", "0.1,0.10")
    assert "mJ1, mJ1" in refused("--features", "mJ1,mJ1")
    assert "does not exist" in refused(file=tmp_path / "none.h5")
    assert "training needs" in refused("--region", 4.9, 5.1)


def test_methods_with_too_few_events_of_a_kind(tmp_path, capsys):
    # 5 labelled signal events: without --methods the supervised classifier is left out, with it refused, and
    # both before the other detectors are trained.
    events = Toy().sample(6000, 5, seed=8, region=(2.8, 4.5))
    events.write(tmp_path / "events.h5")
    command = ["bumphunt", "run", tmp_path / "events.h5", "--out", tmp_path / "run", *QUICK[2:-1]]
    assert run(*command, "--methods", "cwola,supervised") == 2
    assert (
        "needs 20 events with the label of signal in the signal region, there are 3"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()
    hunt = Hunt((3.3, 3.7), [0.1], folds=2)
    left, notes = check_methods(hunt, ["cwola", "supervised"], load(Sources(tmp_path / "events.h5")))
    assert left == ["cwola"]
    assert len(notes) == 1


def test_resume_notices_another_file_of_the_same_length(hunted, capsys):
    file, done = hunted / "events.h5", hunted / "run"
    before = file.read_bytes()
    results = (done / "results.json").read_bytes()
    (done / "results.json").unlink()
    try:
        Toy().sample(9000, 0, seed=6).write(file)
        command = ["bumphunt", "run", file, *QUICK, "--cuts", 0.1, "--out", done, "--resume"]
        assert run(*command) == 2
        assert "content.events was 'sha256:" in capsys.readouterr().err
    finally:
        file.write_bytes(before)
        (done / "results.json").write_bytes(results)


def test_force_leaves_no_old_workspace(hunted, tmp_path):
    import shutil

    again = tmp_path / "run"
    shutil.copytree(hunted / "run", again)
    assert [f.name for f in (again / "pyhf").iterdir()] == ["cwola_0.1.json"]
    (again / "pyhf" / "mine.txt").write_text("notes")
    command = ["bumphunt", "run", hunted / "events.h5", *QUICK, "--cuts", 0.2, "--out", again, "--force"]
    assert run(*command) == 0
    assert sorted(f.name for f in (again / "pyhf").iterdir()) == ["cwola_0.2.json", "mine.txt"]


def test_a_feature_that_follows_the_mass_makes_no_discovery(tmp_path, capsys):
    events = Toy().sample(6000, 0, seed=500)
    pt = events.m / 2 * (1 + 0.02 * np.random.default_rng(0).normal(size=len(events)))
    Events(np.c_[events.features, pt], events.m, (*events.names, "ptJ1")).write(tmp_path / "events.h5")
    command = ["bumphunt", "run", tmp_path / "events.h5", "--methods", "anode", *QUICK[2:-1], "--cuts", 0.2]
    assert run(*command, "--out", tmp_path / "run") == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["mass_resolution"]["following"] == ["ptJ1"]
    (cut,) = results["methods"]["anode"]["cuts"]
    assert not cut["valid"]
    said = " ".join(capsys.readouterr().out.split())
    assert "WARNING ptJ1 follows the mass" in said
    assert f"({cut['count']['z']:.2f})" in said
    assert "This is no discovery" in " ".join(sections_of(results)[0].text)
