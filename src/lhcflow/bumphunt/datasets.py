"""Events of a bump hunt: features, a resonant mass, and where they are known labels and weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..files import atomic_write
from .features import FEATURES, JetColumns, jet_features

Array = NDArray[np.float64]

_FORMAT = "lhcflow events 1"
_MASSES = ("mJ1", "mJ2", "dmJ")


@dataclass(frozen=True, eq=False)
class Events:
    """Events of a bump hunt.

    Parameters
    ----------
    features : (n, d), float64.
    m : (n,) resonant mass in TeV.
    names : names of the d features; ``x0``, ``x1``, ... if not given.
    label : (n,) 1 for signal and 0 for background, or None if unknown.
    weight : (n,) weights of the events, or None if all are 1.

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, labels that are not 0 or 1.

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
        x = np.ascontiguousarray(features, dtype=float)
        mass = np.ascontiguousarray(m, dtype=float)
        if x.ndim != 2 or mass.shape != x.shape[:1]:
            raise InputError(
                f"events need features (n, d) and masses (n,), got shapes {x.shape} and {mass.shape}"
            )
        names = tuple(names) or tuple(f"x{i}" for i in range(x.shape[1]))
        if len(names) != x.shape[1] or len(set(names)) != len(names):
            raise InputError(f"{x.shape[1]} features need as many different names, got {', '.join(names)}")
        labels = None if label is None else _labels(label, len(x))
        weights = None if weight is None else np.ascontiguousarray(weight, dtype=float)
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
        """Write an HDF5 file that :func:`read_events` reads, whole or not at all.

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

    Three layouts are understood: files of :meth:`Events.write`; jets with the :data:`JetColumns`, as
    ``lhcflow bumphunt simulate`` writes them; and data frames of pandas ("fixed" or "table") with these
    columns, as the LHC Olympics features file (Zenodo 4536377).

    Parameters
    ----------
    path : the file.
    features : names of features, see :func:`jet_features`; by default :data:`FEATURES` for jets and
        all that are stored for the first layout.
    key : name of the data frame if a file has several.

    Raises
    ------
    InputError
        If the file is missing or broken, has another layout, lacks columns or holds values that are not
        finite.
    """
    with _opened(path) as file:
        return _read(file, os.fspath(path), features, key)


def read_jets(path: str | os.PathLike[str], key: str | None = None) -> dict[str, NDArray[Any]]:
    """Read the jets behind the events: :data:`JetColumns`, and ``label`` and ``weight`` where there are any.

    Raises
    ------
    InputError
        As :func:`read_events`, and for files that hold features only.
    """
    with _opened(path) as file:
        return _read_jets(file, os.fspath(path), key)


def write_jets(
    path: str | os.PathLike[str],
    jets: Mapping[str, NDArray[Any]],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write jets, :data:`JetColumns` and ``label`` and ``weight``, (n,) each, as an HDF5 file."""
    write_hdf5(
        path,
        _JETS,
        {name: jets[name] for name in (*JetColumns, "label", "weight") if name in jets},
        {},
        attributes,
    )


_JETS = "lhcflow jets 1"


def write_hdf5(
    path: str | os.PathLike[str],
    layout: str,
    columns: Mapping[str, Any],
    layout_attributes: Mapping[str, Any],
    attributes: Mapping[str, Any] | None,
) -> None:
    """Write compressed columns (None is left out) and attributes as an HDF5 file, atomically."""
    import h5py

    with atomic_write(path, "wb") as handle, h5py.File(handle, "w") as file:
        for name, column in columns.items():
            if column is not None:
                file.create_dataset(name, data=column, compression="gzip", shuffle=True, chunks=True)
        file.attrs.update({"layout": layout, **layout_attributes, **(attributes or {})})


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"can't read {path}: {error}") from None


def _read(file: Any, path: str, features: Sequence[str] | None, key: str | None) -> Events:
    if _layout(file) == _FORMAT:
        missing = [n for n in ("features", "m") if n not in file]
        if missing:
            raise InputError(f"{path} lacks {', '.join(missing)}")
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in file.attrs["names"]]
        optional = {n: file[n][()] for n in ("label", "weight") if n in file}
        events = Events(file["features"][()], file["m"][()], names, **optional)
        return events if features is None else events.select(features)
    jets = _read_jets(file, path, key)
    names = FEATURES if features is None else tuple(features)
    for name, column in jets.items():
        bad = np.count_nonzero(~np.isfinite(column))
        if bad:
            raise InputError(f"{path}: {bad} of {len(column)} values of {name} are NaN or infinite")
    x, m = jet_features(jets, names)
    return Events(x, m, names, jets.get("label"), jets.get("weight"))


def _read_jets(file: Any, path: str, key: str | None) -> dict[str, NDArray[Any]]:
    from .pandas_hdf import frames, read_frame

    layout = _layout(file)
    if layout == _JETS:
        columns = {name: np.asarray(file[name][()]) for name in file}
    elif layout == _FORMAT:
        raise InputError(f"{path} holds features and no jets")
    else:
        found = frames(file) if key is None else [key]
        if len(found) != 1 or found[0] not in file:
            known = frames(file)
            what = f"the data frames {', '.join(known)}: choose one by key" if known else "no data frame"
            raise InputError(f"{path} is no file of lhcflow and has {what}")
        columns = read_frame(file[found[0]])
    missing = [c for c in JetColumns if c not in columns]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}")
    return columns


def _layout(file: Any) -> str:
    return str(file.attrs.get("layout", ""))


def _labels(label: ArrayLike, n: int) -> NDArray[np.int8]:
    values = np.asarray(label)
    if values.shape != (n,):
        raise InputError(f"{n} events need as many labels, got shape {values.shape}")
    if not np.isin(values, (0, 1)).all():
        raise InputError("labels are 0 (background) or 1 (signal)")
    return values.astype(np.int8)
