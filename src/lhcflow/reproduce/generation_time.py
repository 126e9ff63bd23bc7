"""The time that showers take against their number: Geant4, teacher in two ways, student."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..calorimeter.models import CaloFlow, ShowerModel, new_student
from ..flows import AutoregressiveSpline
from ..flows.incremental import solve_naive
from ..plotting import Picture, Section, Table, generation_time
from .registry import Outcome

Curves = dict[str, tuple[list[int], list[float]]]
_CALOGAN = (288, 144, 72)
_GEANT4_SHOWERS = 20


def run(seed: int, full: bool, quiet: bool) -> Outcome:
    """The architectures of 2106.05285 and 2110.11377 with initial weights, which times do not depend on."""
    teacher = CaloFlow.build(_CALOGAN, seed=seed)
    counts = (1, 10, 100, 1000, 10_000) if full else (1, 10, 100, 1000)
    curves = measure(teacher, {"student": new_student(teacher, seed=seed)}, counts, seed=seed)
    warnings = []
    if (cost := geant4_seconds(seed)) is None:
        warnings.append(
            "Geant4 is not installed, so that its curve is missing: pip install 'lhcflow[geant4]'."
        )
    else:
        curves = {"Geant4": (list(counts), [n * cost for n in counts]), **curves}
    return Outcome([section(curves)], results(curves), tuple(warnings))


def section(curves: Curves) -> Section:
    """Figure and table."""
    header = ["", *(f"{n:,} showers" for n in next(iter(curves.values()))[0])]
    rows = []
    for name, (numbers, seconds) in curves.items():
        cells = [f"{1e3 * s / n:.3g} ms" for n, s in zip(numbers, seconds, strict=True)]
        rows.append([name, *cells, *["-"] * (len(header) - 1 - len(cells))])
    caption = (
        "CPU time of one thread for so many showers at once. Geant4: mean time of simulated showers times "
        "their number. Naive: one pass of the network per voxel, as in the published code; one block is "
        "measured and counted as often as there are blocks."
    )
    return Section(
        "Generation time",
        content=[
            Picture(generation_time(curves), f"Generation time. {caption}"),
            Table(header, rows, "CPU time per shower."),
        ],
    )


def results(curves: Curves) -> dict[str, Any]:
    """Numbers for a result file, and what ``lhcflow calo plot --what time --times`` takes."""
    return {name: {"showers": numbers, "seconds": seconds} for name, (numbers, seconds) in curves.items()}


def measure(
    teacher: CaloFlow,
    others: Mapping[str, ShowerModel],
    counts: Sequence[int],
    naive_most: int = 1,
    seed: int = 0,
) -> Curves:
    """CPU seconds of one thread for each of ``counts`` showers between 1 and 100 GeV.

    Parameters
    ----------
    teacher : CaloFlow
        The models.
    others : mapping of str to ShowerModel
        The models.
    naive_most : int
        Largest number of showers for which naive sampling is measured.
    """
    rng = np.random.default_rng(seed)
    incident = {n: rng.uniform(1e3, 1e5, n) for n in counts}
    models: Mapping[str, ShowerModel] = {"teacher, incremental": teacher, **others}
    curves: Curves = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        few = [n for n in counts if n <= naive_most]
        curves["teacher, naive"] = (few, [_naive_seconds(teacher, n, seed) for n in few])
        for name, model in models.items():
            model.sample(incident[counts[0]], seed)  # plans of the kernel, caches
            seconds = [_seconds(lambda n=n, m=model: m.sample(incident[n], seed)) for n in counts]
            curves[name] = (list(counts), seconds)
    finally:
        torch.set_num_threads(threads)
    return curves


def geant4_seconds(seed: int) -> float | None:
    """CPU seconds of Geant4 per e+ shower; None if it is not installed."""
    from ..calorimeter.geant4 import simulate
    from ..errors import InputError

    with tempfile.TemporaryDirectory() as folder:
        try:
            done = simulate("e+", _GEANT4_SHOWERS, f"{folder}/e.h5", seed=seed, workers=1)
        except InputError:
            return None
    return done.cpu_seconds / done.showers


def _naive_seconds(model: CaloFlow, n: int, seed: int) -> float:
    """Flow II of a teacher, one pass of the network per voxel."""
    flow = model.voxels.flow
    blocks = [b for b in flow.bijections if isinstance(b, AutoregressiveSpline)]
    generator = torch.Generator().manual_seed(seed)
    z = flow.base.sample(n, generator)
    context = torch.zeros(n, 1 + len(model.layers.sizes), dtype=z.dtype)
    block = blocks[0]
    with torch.no_grad():
        return len(blocks) * _seconds(lambda: solve_naive(block.net, block.element, z, context, True))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
