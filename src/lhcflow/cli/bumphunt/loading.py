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

    def card(self) -> dict[str, Any]:
        """For the run card."""
        return {
            "events": self.events.resolve(),
            "background": None if self.background is None else self.background.resolve(),
            "test": None if self.test is None else self.test.resolve(),
            "key": self.key,
            "limit": self.limit,
        }


@dataclass(frozen=True, eq=False)
class Samples:
    """Events to search, known background for the idealized detector, and labelled events for the curves."""

    events: Events
    background: Events | None = None
    test: Events | None = None


def load(sources: Sources) -> Samples:
    """Read all files.

    Raises
    ------
    InputError
        For files that can't be read, weighted events, and test events without labels.
    """
    import numpy as np

    from ...bumphunt import read_events

    events = _unweighted(read_events(sources.events, sources.features, sources.key), sources.events)
    if sources.limit is not None and sources.limit < len(events):
        chosen = np.random.default_rng(sources.seed).permutation(len(events))[: sources.limit]
        events = events[np.sort(chosen)]
    background = test = None
    if sources.background is not None:
        background = _unweighted(
            read_events(sources.background, events.names, sources.key), sources.background
        )
        if background.label is not None:
            background = background.background
    if sources.test is not None:
        test = read_events(sources.test, events.names, sources.key)
        if test.label is None or not 0 < test.label.sum() < len(test):
            raise InputError(f"{sources.test} needs labels, and events of signal and of background")
    return Samples(events, background, test)


def _unweighted(events: Events, path: Path) -> Events:
    if events.weight is not None and not (events.weight == 1).all():
        raise InputError(f"{path} holds weighted events: a hunt counts events, unweight them first")
    return events
