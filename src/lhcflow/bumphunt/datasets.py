"""Events of a bump hunt: features, a resonant mass, and where they are known labels and weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import hdf5
from ..classifiers.ensemble import one_column
from ..errors import InputError
from .features import FEATURES, JetColumns, jet_features, required_columns
from .placeholders import check_features, check_jets

Array = NDArray[np.float64]

_FORMAT, _JETS = "lhcflow events 1", "lhcflow jets 1"
_LABEL, _WEIGHT = "label", "weight"
_WEIGHTS = (_WEIGHT, "weights", "mc_weight", "event_weight", "eventWeight", "genWeight", "sample_weight")
"""Columns that are read as weights, under the names that event files of experiments and generators use."""
_MOST_NAMED = 6
_MASSES = ("mJ1", "mJ2", "dmJ")


@dataclass(frozen=True, eq=False)
class Events:
    """Events of a bump hunt.

    Parameters
    ----------
    features : array
        Of shape (n, d), float64.
    m : array
        Resonant mass in TeV, (n,) or (n, 1).
    names : sequence of str
        Names of the d features; ``x0``, ``x1``, ... if not given.
    label : array or None
        1 for signal and 0 for background, (n,) or (n, 1), numbers or booleans; None if unknown.
    weight : array or None
        Weights of the events, (n,) or (n, 1); None if all are 1.

    Raises
    ------
    InputError
        For shapes that do not fit, text, values that are not finite, and labels that are not 0 or 1.

    Examples
    --------
    >>> events = Events(np.array([[0.1, 0.2], [0.3, 0.4]]), [3.4, 2.9], ("mJ1", "dmJ"), label=[1, 0])
    >>> events
    Events(2 events, 1 of them signal, features mJ1, dmJ, m 2.900 to 3.400 TeV)
    >>> events[events.m > 3].label
    array([1], dtype=int8)
    """

    features: Array
    m: Array
    names: tuple[str, ...] = ()
    label: NDArray[np.int8] | None = None
    weight: Array | None = None

    def __init__(
        self,
        features: ArrayLike,
        m: ArrayLike,
        names: Sequence[str] = (),
        label: ArrayLike | None = None,
        weight: ArrayLike | None = None,
    ) -> None:
        x = np.ascontiguousarray(_numbers(features, "features"))
        mass = np.ascontiguousarray(one_column(_numbers(m, "masses")))
        if x.ndim != 2 or mass.shape != x.shape[:1]:
            raise InputError(
                f"events need features (n, d) and masses (n,), got shapes {x.shape} and {mass.shape}"
            )
        names = tuple(names) or tuple(f"x{i}" for i in range(x.shape[1]))
        if len(names) != x.shape[1] or len(set(names)) != len(names):
            raise InputError(f"{x.shape[1]} features need as many different names, got {', '.join(names)}")
        labels = None if label is None else _labels(label, len(x))
        weights = None if weight is None else np.ascontiguousarray(one_column(_numbers(weight, "weights")))
        if weights is not None and weights.shape != mass.shape:
            raise InputError(f"{len(x)} events need as many weights, got shape {weights.shape}")
        columns = {**dict(zip(names, x.T, strict=True)), "m": mass}
        if weights is not None:
            columns["weight"] = weights
        for name, column in columns.items():
            bad = np.count_nonzero(~np.isfinite(column))
            if bad:
                raise InputError(
                    f"{bad} of {len(x)} values of {name} are NaN or infinite: remove these events"
                )
        for attribute, value in zip(
            ("features", "m", "names", "label", "weight"), (x, mass, names, labels, weights), strict=True
        ):
            object.__setattr__(self, attribute, value)

    def __len__(self) -> int:
        return len(self.m)

    def __getitem__(self, which: Any) -> Events:
        """The events of a mask (n,), of indices or of a slice."""
        if isinstance(which, int | np.integer):
            which = [which]
        return Events(
            self.features[which],
            self.m[which],
            self.names,
            None if self.label is None else self.label[which],
            None if self.weight is None else self.weight[which],
        )

    def __repr__(self) -> str:
        signal = "" if self.label is None else f", {int(self.label.sum())} of them signal"
        weighted = "" if self.weight is None else ", weighted"
        reach = f", m {self.m.min():.3f} to {self.m.max():.3f} TeV" if len(self) else ""
        return f"Events({len(self)} events{signal}{weighted}, features {', '.join(self.names)}{reach})"

    @property
    def signal(self) -> Events:
        """The events with label 1."""
        return self[self._known_labels() == 1]

    @property
    def background(self) -> Events:
        """The events with label 0."""
        return self[self._known_labels() == 0]

    @property
    def weights(self) -> Array:
        """Weights (n,), 1 where none are stored."""
        return np.ones(len(self)) if self.weight is None else self.weight

    def select(self, names: Sequence[str]) -> Events:
        """The same events with these features only, in this order."""
        missing = [n for n in names if n not in self.names]
        if missing:
            raise InputError(f"no features {', '.join(missing)}: there are {', '.join(self.names)}")
        columns = [self.names.index(n) for n in names]
        return replace(self, features=self.features[:, columns], names=tuple(names))

    def shifted(self, strength: float = 0.1) -> Events:
        """Jet masses and their difference plus ``strength`` times m, the correlated sample of 2109.00546."""
        features = self.features.copy()
        masses = [i for i, n in enumerate(self.names) if n in _MASSES]
        if not masses:
            raise InputError(f"no jet mass to shift among the features {', '.join(self.names)}")
        features[:, masses] += strength * self.m[:, None]
        return replace(self, features=features)

    def with_noise(self, count: int, seed: int = 0) -> Events:
        """The same events with ``count`` further features of standard normal noise."""
        noise = np.random.default_rng(seed).standard_normal((len(self), count))
        names = tuple(f"noise{i}" for i in range(count))
        return replace(self, features=np.hstack([self.features, noise]), names=self.names + names)

    @classmethod
    def concatenate(cls, parts: Sequence[Events]) -> Events:
        """Join samples with the same features; labels and weights stay only where all parts have labels."""
        if not parts:
            raise InputError("no events to join")
        if any(p.names != parts[0].names for p in parts):
            raise InputError("only events with the same features can be joined: use select() first")
        labelled = all(p.label is not None for p in parts)
        weighted = any(p.weight is not None for p in parts)
        return cls(
            np.concatenate([p.features for p in parts]),
            np.concatenate([p.m for p in parts]),
            parts[0].names,
            np.concatenate([p._known_labels() for p in parts]) if labelled else None,
            np.concatenate([p.weights for p in parts]) if weighted else None,
        )

    def write(self, path: str | os.PathLike[str], attributes: Mapping[str, Any] | None = None) -> None:
        """Write an HDF5 file that `read_events` reads, whole or not at all.

        The file has the data sets ``features`` (n, d; attribute ``names``), ``m``, and ``label`` and
        ``weight`` if there are any. ``attributes`` (numbers and strings) become attributes of the file.
        """
        columns = {"features": self.features, "m": self.m, "label": self.label, "weight": self.weight}
        write_hdf5(path, _FORMAT, columns, {"names": list(self.names)}, attributes)

    def _known_labels(self) -> NDArray[np.int8]:
        if self.label is None:
            raise InputError("these events have no labels")
        return self.label


def read_events(
    path: str | os.PathLike[str], features: Sequence[str] | None = None, key: str | None = None
) -> Events:
    """Read events from an HDF5 file.

    Four layouts are understood: files of `Events.write`; jets with the `JetColumns`, as ``lhcflow bumphunt
    simulate`` writes them; data frames of pandas ("fixed" or "table", in any group) with these columns, as
    the LHC Olympics features file (Zenodo 4536377); and data sets with the names of these columns. Only
    columns that the features need are read, and ``label`` and weights where there are any.

    Parameters
    ----------
    path : path-like
        The file.
    features : sequence of str or None
        Names of features, see `jet_features`; by default `FEATURES` for jets and all that are stored for the
        first layout.
    key : str or None
        Name of the data frame if a file has several.

    Raises
    ------
    InputError
        If the file is missing or broken, has another layout, holds no events, lacks columns, or holds values
        that are not finite, text in place of numbers, labels other than 0 and 1, or placeholders for missing
        values (such as -999, or a negative N-subjettiness).
    """
    with hdf5.opened(path) as file:
        events = _read(file, os.fspath(path), features, key)
    if not len(events):
        raise InputError(f"{path} holds no events")
    return events


def read_jets(path: str | os.PathLike[str], key: str | None = None) -> dict[str, NDArray[Any]]:
    """Read the jets behind the events: `JetColumns`, and ``label`` and ``weight`` where there are any.

    Raises
    ------
    InputError
        As `read_events`, and for files that hold features only.
    """
    with hdf5.opened(path) as file:
        return _read_jets(file, os.fspath(path), key, JetColumns)


def write_jets(
    path: str | os.PathLike[str],
    jets: Mapping[str, NDArray[Any]],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write jets, `JetColumns` and ``label`` and ``weight``, (n,) each, as an HDF5 file."""
    write_hdf5(
        path,
        _JETS,
        {name: jets[name] for name in (*JetColumns, "label", "weight") if name in jets},
        {},
        attributes,
    )


def write_hdf5(
    path: str | os.PathLike[str],
    layout: str,
    columns: Mapping[str, Any],
    layout_attributes: Mapping[str, Any],
    attributes: Mapping[str, Any] | None,
) -> None:
    """Write compressed columns (None is left out) and attributes as an HDF5 file, atomically."""
    from ..hdf5 import atomic_hdf5

    with atomic_hdf5(path) as file:
        for name, column in columns.items():
            if column is not None:
                file.create_dataset(name, data=column, compression="gzip", shuffle=True, chunks=True)
        all_of = {"layout": layout, **layout_attributes, **(attributes or {})}
        file.attrs.update({name: hdf5.fixed(value) for name, value in all_of.items()})


def _read(file: Any, path: str, features: Sequence[str] | None, key: str | None) -> Events:
    if _layout(file) == _FORMAT:
        stored = _data_sets(file, path, ("features", "m"), (_LABEL, _WEIGHT))
        if "names" not in file.attrs:
            raise InputError(f"{path} lacks the attribute names, the names of the features")
        names = [
            n.decode() if isinstance(n, bytes) else str(n)
            for n in np.atleast_1d(hdf5.attribute(file, "names"))
        ]
        x = stored["features"]
        if features is not None and x.ndim == 2 and x.shape[1] == len(names):
            if missing := [n for n in features if n not in names]:
                raise InputError(f"{path} has no features {', '.join(missing)}: there are {', '.join(names)}")
            # The others may hold anything.
            x, names = x[:, [names.index(n) for n in features]], list(features)
        events = _events(path, x, stored["m"], names, stored)
        check_features(dict(zip(events.names, events.features.T, strict=True)), events.m, path)
        return events
    names = FEATURES if features is None else tuple(features)
    needed = required_columns(names)
    jets = _read_jets(file, path, key, needed)
    for name, values in jets.items():
        bad = np.count_nonzero(~np.isfinite(values))
        if bad:
            raise InputError(f"{path}: {bad} of {len(values)} values of {name} are NaN or infinite")
    check_jets({name: jets[name] for name in needed}, path)
    x, m = jet_features(jets, names)
    return _events(path, x, m, names, jets)


def _events(path: str, x: Any, m: Any, names: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> Events:
    """Events with the labels and weights among the columns; errors name the file."""
    try:
        return Events(x, m, names, columns.get(_LABEL), columns.get(_WEIGHT))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_jets(file: Any, path: str, key: str | None, needed: Sequence[str]) -> dict[str, NDArray[Any]]:
    from .pandas_hdf import frames, read_frame

    if _layout(file) == _FORMAT:
        raise InputError(f"{path} holds features and no jets")
    if _layout(file) == _JETS or (key is None and all(name in file for name in needed)):
        columns, there = _data_sets(file, path, (), (*needed, _LABEL, *_WEIGHTS)), list(file)
    else:
        frame = read_frame(_chosen_frame(file, path, key, frames(file)), (*needed, _LABEL, *_WEIGHTS))
        columns, there = frame.columns, frame.names
    missing = [c for c in needed if c not in columns]
    if missing:
        some = f"{', '.join(there[:_MOST_NAMED])}{', ...' if len(there) > _MOST_NAMED else ''}"
        raise InputError(f"{path} lacks the columns {', '.join(missing)}: it has {some or 'none'}")
    named = [name for name in _WEIGHTS if name in columns and not np.all(columns[name] == 1)]
    if len(named) > 1:
        raise InputError(f"{path} has several columns of weights ({', '.join(named)}): leave one")
    weight = {_WEIGHT: columns[named[0]]} if named else {}
    return {name: v for name, v in columns.items() if name not in _WEIGHTS} | weight


def _chosen_frame(file: Any, path: str, key: str | None, known: Sequence[str]) -> Any:
    """The data frame of this name, or the only one."""
    if key is not None:
        if (found := hdf5.item(file, key)) is None:
            names = f"the data frames {', '.join(known)}" if known else "no data frame"
            raise InputError(f"{path} has no {key}, it has {names}")
        if "pandas_type" not in found.attrs:
            raise InputError(f"{key} of {path} is no data frame of pandas")
        return found
    if len(known) > 1:
        raise InputError(f"{path} has the data frames {', '.join(known)}: choose one with key (--key)")
    if not known:
        for name in file:
            hdf5.item(file, name)  # a link to nowhere may be the reason
        raise InputError(f"{path} is no file of lhcflow and has no data frame of pandas")
    return file[known[0]]


def _data_sets(
    file: Any, path: str, needed: Iterable[str], optional: Iterable[str]
) -> dict[str, NDArray[Any]]:
    """Data sets of the file by their names."""
    found = {}
    for name in (*needed, *optional):
        data_set = hdf5.item(file, name)
        if data_set is not None:
            found[name] = hdf5.values(data_set)
        elif name in needed:
            raise InputError(f"{path} lacks {name}")
    lengths = {len(column) if column.ndim else -1 for column in found.values()}
    if len(lengths) > 1 or -1 in lengths:
        sizes = ", ".join(f"{name} {column.shape}" for name, column in found.items())
        raise InputError(f"{path}: the columns differ in their numbers of events: {sizes}")
    return {name: v if name == "features" else one_column(v) for name, v in found.items()}


def _layout(file: Any) -> str:
    layout = hdf5.attribute(file, "layout", "")
    return layout.decode(errors="replace") if isinstance(layout, bytes) else str(layout)


def _numbers(values: Any, what: str) -> Array:
    array = np.asarray(values)
    try:
        return array.astype(float, copy=False)
    except (TypeError, ValueError):
        raise InputError(f"the {what} of events must be numbers, got {array.dtype}") from None


def _labels(label: ArrayLike, n: int) -> NDArray[np.int8]:
    values = one_column(np.asarray(label))
    if values.dtype.kind in "OSU":
        # Numbers kept as objects are numbers; text that looks like numbers is text.
        if not all(isinstance(v, int | float | np.number | np.bool_) for v in values.ravel()):
            some = ", ".join(sorted({repr(str(v)) for v in values.ravel()[:1000]})[:_MOST_NAMED])
            raise InputError(f"labels are text ({some}): give 1 for signal and 0 for background")
        values = values.astype(float)
    if values.shape != (n,):
        raise InputError(f"{n} events need as many labels, got shape {values.shape}")
    others = np.unique(values[~np.isin(values, (0, 1))])
    if others.size:
        some = f"{', '.join(f'{v:g}' for v in others[:3])}{', ...' if others.size > 3 else ''}"
        raise InputError(f"labels are 0 (background) or 1 (signal), but some are {some}")
    return values.astype(np.int8)
