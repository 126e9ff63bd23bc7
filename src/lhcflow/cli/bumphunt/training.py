"""Training with cross-fitting, and the files that keep its result for ``--resume``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...bumphunt import Detector, Events

_MOST_TEMPLATE = 100_000
"""Events of the template that are kept for figures."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a method says about the events.

    Attributes
    ----------
    score, efficiency : arrays
        (n,) each, see `lhcflow.bumphunt.CrossFit`.
    template_efficiency, template_m : arrays
        Efficiencies and masses in TeV of all template events, (t,) each.
    template : array
        Features (k, features) of some of them.
    test_scores : array
        Scores (folds, tests) of a test sample by each fold's detector; (0, 0) without one.
    seconds : float
        CPU time.
    """

    score: NDArray[np.float64]
    efficiency: NDArray[np.float64]
    template_efficiency: NDArray[np.float64]
    template_m: NDArray[np.float64]
    template: NDArray[np.float64]
    test_scores: NDArray[np.float64]
    seconds: float


def train(
    detector: Detector | Sequence[Detector],
    events: Events,
    background: Events | None,
    test: Events | None,
    folds: int,
    seed: int,
    file: Path,
    progress: Callable[[int, int], None],
) -> Trained:
    """Cross-fit a detector, or one for each fold; a result that is in ``file`` already is read instead."""
    import numpy as np

    from ...bumphunt import cross_fit

    if file.is_file() and (kept := _read(file)) is not None:
        return kept
    start = time.process_time()
    reference = None if background is None else (background.features, background.m)
    found = cross_fit(
        detector, events.features, events.m, events.label, reference, folds, seed, progress=progress
    )
    tests = np.empty((0, 0))
    if test is not None:
        tests = np.stack([d.score(test.features, test.m) for d in found.detectors])
    template = found.reference[0]
    some = np.random.default_rng(seed).permutation(len(template))[:_MOST_TEMPLATE]
    result = Trained(
        found.score,
        found.efficiency,
        found.reference_efficiency,
        found.reference[1],
        template[some],
        tests,
        time.process_time() - start,
    )
    _write(file, result)
    return result


def _write(file: Path, result: Trained) -> None:
    import numpy as np

    from ...files import atomic_write

    with atomic_write(file, "wb") as handle:
        np.savez(handle, **vars(result))


def _read(file: Path) -> Trained | None:
    """A result that was kept; None for one of a version of lhcflow that kept less."""
    import numpy as np

    with np.load(file) as stored:
        columns: dict[str, Any] = {name: stored[name] for name in stored.files}
    if columns.keys() != {entry.name for entry in fields(Trained)}:
        return None
    return Trained(**{**columns, "seconds": float(columns["seconds"])})
