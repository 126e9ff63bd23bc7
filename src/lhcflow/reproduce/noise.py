"""Why noise is added to empty voxels: the loss of CaloFlow's flow II with and without it."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from ..calorimeter import Showers, read_showers
from ..calorimeter.models import CaloFlow, TrainingSettings
from ..calorimeter.models.preprocessing import NOISE
from ..plotting import Picture, Section, Table, training_history
from ..training import History
from .registry import Outcome

_WORDS = {NOISE: "noise of 1 keV", 0.0: "without noise"}


def run(seed: int, full: bool, quiet: bool, showers: Showers | None = None) -> Outcome:
    """Train on Geant4 showers (2,000 for 50 epochs, or 300 for 12 with a smaller flow), twice."""
    sample = _simulate(2000 if full else 300, seed) if showers is None else showers
    shape: dict[str, Any] = {} if full else {"blocks": 4, "hidden": (64, 64)}
    settings = TrainingSettings(
        epochs=50 if full else 12, batch_size=200 if full else 50, seed=seed, progress=not quiet
    )
    histories: dict[float, History] = {}
    for noise in _WORDS:
        model = CaloFlow.build([x.size for x in sample.geometry.layers], noise=noise, seed=seed, **shape)
        histories[noise] = model.train_on(sample.energy_mev, sample.voxels, settings)["voxels"]
    curves = {
        f"{word}, {kind}": histories[noise][column]
        for noise, word in _WORDS.items()
        for kind, column in (("training", "loss"), ("validation", "validation"))
    }
    figure = training_history(curves, loss_name="negative log likelihood", step_name="epoch")
    late = np.concatenate([values[len(values) // 2 :] for values in curves.values()])
    span = float(np.ptp(late))
    figure.axes[0].set_ylim(float(late.min()) - 0.05 * span, float(late.max()) + 0.3 * span)
    empty = float((sample.voxels == 0).mean())
    picture = Picture(
        figure,
        f"Loss with and without noise. {len(sample):,} showers, {100 * empty:.0f} % of the voxels empty. "
        "Without noise these are one point of the distribution: the flow gains likelihood without end by "
        "narrowing it, and what it learns of the other voxels is little. With noise they have a width, and "
        "the loss means something. The first epochs are above the figure.",
    )
    rows = [
        [word, *(f"{float(np.min(histories[noise][c])):.1f}" for c in ("loss", "validation"))]
        for noise, word in _WORDS.items()
    ]
    table = Table(["", "training", "validation"], rows, "Lowest losses in nats per shower.")
    numbers = {
        word: {c: histories[noise][c].tolist() for c in ("loss", "validation")}
        for noise, word in _WORDS.items()
    }
    return Outcome(
        [Section("Loss", content=[picture, table])], {"showers": len(sample), "empty": empty, **numbers}
    )


def _simulate(n: int, seed: int) -> Showers:
    from ..calorimeter.geant4 import simulate

    with tempfile.TemporaryDirectory() as folder:
        simulate("e+", n, f"{folder}/e.h5", energy=(1.0, 30.0), seed=seed)
        return read_showers(f"{folder}/e.h5")
