"""The samples of a hunt, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from ...bumphunt import Events


@dataclass(frozen=True)
class Sources:
    """Files and what is taken from them."""

    events: Path
    background: Path | None = None
    test: Path | None = None
    features: Sequence[str] | None = None
    key: str | None = None
    limit: int | None = None
    seed: int = 0
    allow_duplicates: bool = False

    def card(self) -> dict[str, Any]:
        """For the run card: paths, and the contents of the files as hashes."""
        from ...files import content_hash

        files = {"events": self.events, "background": self.background, "test": self.test}
        given = {name: path for name, path in files.items() if path is not None}
        return {
            **{name: path.resolve() for name, path in given.items()},
            "content": {name: content_hash(path) for name, path in given.items()},
            "key": self.key,
            "limit": self.limit,
        }


@dataclass(frozen=True, eq=False)
class Samples:
    """Events to search, known background for the idealized detector, and labelled events for the curves.

    ``notes`` are warnings about them.
    """

    events: Events
    background: Events | None = None
    test: Events | None = None
    notes: Sequence[str] = ()


def load(sources: Sources) -> Samples:
    """Read all files.

    Raises
    ------
    InputError
        For files that can't be read, weighted events, events that come twice, features that say nothing, and
        test events without labels.
    """
    import numpy as np

    from ...bumphunt import read_events

    notes: list[str] = []
    events = _unweighted(read_events(sources.events, sources.features, sources.key), sources.events)
    _check_features(events, sources.events)
    _check_repeated(events, sources, sources.events, notes)
    whole = events
    if sources.limit is not None and sources.limit < len(events):
        chosen = np.random.default_rng(sources.seed).permutation(len(events))[: sources.limit]
        events = events[np.sort(chosen)]
    background = test = None
    if sources.background is not None:
        background = _beside(sources.background, whole, sources, False, notes)
        if background.label is not None:
            background = background.background
    if sources.test is not None:
        test = _beside(sources.test, whole, sources, True, notes)
    return Samples(events, background, test, notes)


def _beside(path: Path, events: Events, sources: Sources, labelled: bool, notes: list[str]) -> Events:
    """Events of another file, of which none may be among those to search."""
    from ...bumphunt import read_events
    from ...bumphunt.inspection import common

    found = _unweighted(read_events(path, events.names, sources.key), path)
    if labelled and (found.label is None or not 0 < found.label.sum() < len(found)):
        raise InputError(f"{path} needs labels, and events of signal and of background")
    _check_repeated(found, sources, path, notes)
    if n := common(events, found):
        raise InputError(
            f"{n} of {len(found)} events of {path} are in {sources.events} too: give events of their own"
        )
    return found


def _check_repeated(events: Events, sources: Sources, path: Path, notes: list[str]) -> None:
    from ...bumphunt.inspection import repeated

    if n := repeated(events):
        text = f"{n} of {len(events)} events of {path} repeat others exactly, in all features and m"
        if not sources.allow_duplicates:
            raise InputError(f"{text}: remove them, or keep them with --allow-duplicates")
        notes.append(f"{text}: errors and p-values are too small.")


def _check_features(events: Events, path: Path) -> None:
    from ...bumphunt.inspection import constant_features, dependent_features

    if names := constant_features(events):
        value = events.features[0, events.names.index(names[0])]
        some = f"the feature {names[0]} of {path} is constant ({value:g})"
        if len(names) > 1:
            some = f"the features {', '.join(names)} of {path} are constant"
        raise InputError(f"{some}: choose others with --features")
    if names := dependent_features(events):
        raise InputError(
            f"each of the features {', '.join(names)} is a linear function of the others: "
            "leave one out with --features"
        )


def _unweighted(events: Events, path: Path) -> Events:
    if events.weight is not None and not (events.weight == 1).all():
        kind = " (some negative)" if (events.weight < 0).any() else ""
        raise InputError(
            f"{path} holds weighted events{kind}: weights are not supported, since a hunt counts events: "
            "unweight them first"
        )
    return events
