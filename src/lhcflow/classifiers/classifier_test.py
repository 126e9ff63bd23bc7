"""The classifier test: how well a network tells generated events from real ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..training import History, fit
from .calibration import (
    Calibration,
    Reliability,
    auc,
    auc_error,
    calibrate,
    jensen_shannon,
    jensen_shannon_error,
    reliability,
)

Array = NDArray[np.float64]
_ROWS = 4096
_WIDE = 128  # narrower layers are quicker in float32


class Rows(Protocol):
    """Inputs that are made when they are asked for, so that a big sample is never copied."""

    dim: int

    def __len__(self) -> int: ...

    def rows(self, index: Tensor) -> Tensor:
        """Inputs (k, dim), float32, of the events ``index`` (k,)."""
        ...


Sample: TypeAlias = "Rows | NDArray[Any] | Tensor"


@dataclass(frozen=True)
class Recipe:
    """A network, its training, and the split of the events.

    Attributes
    ----------
    name : str
        Of the recipe.
    hidden : tuple of int
        Widths of the hidden layers, with leaky ReLU after each.
    learning_rate : float
        Of Adam, without schedule.
    batch_size, epochs : int
        Of Adam, without schedule.
    split : (float, float, float)
        Shares of events that train, that choose the epoch (highest accuracy) and calibrate, and that give the
        result.
    patience : int or None
        Stop after so many epochs without a higher accuracy; None trains all epochs.
    mixed : bool
        Let the training's matrix products take bfloat16 on CPUs that have instructions for it, where they
        take less than half of the time. Weights, scores and results are float32 all the same.
    """

    name: str
    hidden: tuple[int, ...]
    learning_rate: float
    batch_size: int
    epochs: int
    split: tuple[float, float, float] = (0.6, 0.2, 0.2)
    patience: int | None = None
    mixed: bool = True

    def __post_init__(self) -> None:
        if len(self.split) != 3 or min(self.split) <= 0 or abs(sum(self.split) - 1) > 1e-6:
            raise InputError(f"a split needs three positive shares with the sum 1, got {self.split}")


CALOFLOW = Recipe("caloflow", (512, 512, 512), 1e-3, 1000, 150)
"""2106.05285, section V, and 2110.11377."""
CALOCHALLENGE = Recipe("calochallenge", (2048, 2048, 2048), 2e-4, 1000, 50)
"""2410.21611, section 4.4."""


@dataclass(frozen=True)
class ClassifierTest:
    """Result of `classifier_test`; arrays have one entry per repeat.

    Attributes
    ----------
    auc : Array
        Areas under the ROC curve, of calibrated probabilities.
    jsd : Array
        Jensen-Shannon divergences in bits; see `jensen_shannon`.
    auc_error, jsd_error : Array
        Their standard errors from the finite number of events that give the result.
    raw_auc : Array
        Areas before calibration, which ties some scores.
    accuracy : Array
        Of calibrated probabilities at 1/2.
    epochs : ndarray
        The epoch that was taken.
    events : (int, int, int)
        Per class, in training, calibration and result.
    calibration : Reliability
        Curve of the last repeat, on the events of the result.
    roc : Array
        False and true positive rates (2, k) of the last repeat.
    """

    recipe: Recipe
    auc: Array
    jsd: Array
    auc_error: Array
    jsd_error: Array
    raw_auc: Array
    accuracy: Array
    epochs: NDArray[np.int64]
    events: tuple[int, int, int]
    calibration: Reliability
    roc: Array
    histories: list[History] = field(repr=False, default_factory=list)

    def __str__(self) -> str:
        return f"AUC {spread(self.auc, self.auc_error)}, JSD {spread(self.jsd, self.jsd_error)}"

    def to_dict(self) -> dict[str, Any]:
        """Numbers for a result file."""
        repeats = len(self.auc)
        summary = {
            name: {
                "mean": float(values.mean()),
                "std": float(values.std(ddof=1)) if repeats > 1 else None,
                "values": values.tolist(),
            }
            | ({} if error is None else {"error": error_of(values, error)})
            for name, values, error in (
                ("auc", self.auc, self.auc_error),
                ("jsd", self.jsd, self.jsd_error),
                ("raw_auc", self.raw_auc, None),
                ("accuracy", self.accuracy, None),
            )
        }
        return {
            **summary,
            "epochs": self.epochs.tolist(),
            "events_per_class": dict(zip(("train", "calibrate", "result"), self.events, strict=True)),
            "recipe": dataclasses.asdict(self.recipe),
        }


class Classifier:
    """A trained, calibrated classifier of real (1) against generated (0) events.

    Attributes
    ----------
    model : nn.Module
        The network, inputs (n, dim) to log-odds (n,).
    calibration : Calibration
        Of its scores.
    history : History
        Of its training.
    """

    def __init__(self, model: nn.Module, calibration: Calibration, history: History) -> None:
        self.model = model
        self.calibration = calibration
        self.history = history

    def probability(self, sample: Sample) -> Array:
        """Calibrated probability (n,) that an event is real."""
        return self.calibration.probability(scores(self.model, sample))

    def odds(self, sample: Sample) -> Array:
        """Odds (n,) of real against generated: the weight of a generated event in DCTR (1907.08209)."""
        return self.calibration.odds(scores(self.model, sample))


def network(dim: int, hidden: Sequence[int], seed: int) -> nn.Sequential:
    """A fully connected network with leaky ReLU, one output, and torch's initial weights for ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        widths = [dim, *hidden]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.LeakyReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 1), nn.Flatten(0))


@torch.no_grad()
def scores(model: nn.Module, sample: Sample, index: Tensor | None = None) -> Array:
    """Sigmoid of the network's output (n,) for all events of a sample, or for those in ``index``."""
    source = as_rows(sample)
    device = next(model.parameters()).device
    index = torch.arange(len(source)) if index is None else index
    parts = [model(source.rows(i).to(device)).cpu() for i in index.split(_ROWS)]
    return torch.cat(parts).double().sigmoid().numpy()


def train_classifier(
    real: Sample,
    generated: Sample,
    train: tuple[Tensor, Tensor],
    choose: tuple[Tensor, Tensor],
    recipe: Recipe,
    seed: int = 0,
    device: str | None = None,
    progress: bool = False,
) -> Classifier:
    """Train by a recipe and calibrate.

    Parameters
    ----------
    real, generated : Sample
        The two samples: arrays (n, dim), or `Rows`.
    train, choose : (Tensor, Tensor)
        Numbers of the real and of the generated events that train, and of those that choose the epoch and
        calibrate.
    """
    pair = _Pair(as_rows(real), as_rows(generated))
    model = network(pair.dim, recipe.hidden, seed)
    mixed = recipe.mixed and max(recipe.hidden, default=0) >= _WIDE and has_bfloat16()
    history = fit(
        model,
        pair.data(train),
        _mixed_cross_entropy_or_error if mixed else _cross_entropy_or_error,
        validation=pair.data(choose),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        transform=pair.batch,
        optimizer="adam",
        learning_rate=recipe.learning_rate,
        schedule="constant",
        average="best",
        patience=recipe.patience,
        seed=seed,
        device=device,
        progress=progress,
    )
    model.eval()
    score, label = pair.scores(model, choose)
    return Classifier(model, calibrate(score, label), history)


def classifier_test(
    real: Sample,
    generated: Sample,
    recipe: Recipe = CALOFLOW,
    *,
    repeats: int = 1,
    seed: int = 0,
    device: str | None = None,
    progress: bool = False,
) -> ClassifierTest:
    """Train classifiers of real against generated events and see how well they do on others.

    Parameters
    ----------
    real, generated : Sample
        Arrays (n, dim), or `Rows`. Of the larger sample a random part of the size of the smaller is
        used, so that the classes are balanced.
    recipe : Recipe
        Network, training and split.
    repeats : int
        Trainings, each with its own split and initial weights.
    seed : int
        Of splits, weights and order.
    device : str, optional
        Where to train.

    Returns
    -------
    ClassifierTest
        An AUC of 1/2 means that the network sees no difference. With few events that says little: compare
        with the test of real events against other real events of the same number.

    Raises
    ------
    InputError
        If a sample has fewer than 20 events, or the samples differ in their number of inputs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(0, 1, (3000, 2)), rng.normal(1, 1, (3000, 2))
    >>> small = dataclasses.replace(CALOFLOW, hidden=(32,), epochs=10, batch_size=100)
    >>> 0.80 < classifier_test(x, y, small).auc[0] < 0.88  # the best possible is 0.841
    np.True_
    """
    a, b = as_rows(real), as_rows(generated)
    n = min(len(a), len(b))
    if n < 20:
        raise InputError(f"the classifier test needs 20 events per sample, got {len(a)} and {len(b)}")
    if repeats < 1:
        raise InputError(f"repeats must be >= 1, got {repeats}")
    train, choose = (int(share * n) for share in recipe.split[:2])
    sizes = [train, choose, n - train - choose]
    pair = _Pair(a, b)
    rows: list[tuple[float, ...]] = []
    histories: list[History] = []
    curve, roc = None, np.empty((2, 0))
    for state in np.random.SeedSequence((seed, 0xC1A)).spawn(repeats):
        rng = np.random.default_rng(state)
        ours, theirs = (torch.from_numpy(rng.permutation(len(x))[:n]).split(sizes) for x in (a, b))
        parts = list(zip(ours, theirs, strict=True))
        start = int(rng.integers(2**31))
        classifier = train_classifier(a, b, parts[0], parts[1], recipe, start, device, progress)
        raw, label = pair.scores(classifier.model, parts[2])
        p = classifier.calibration.probability(raw)
        best = int(np.argmin(classifier.history["validation"])) + 1
        accuracy = float(((p > 0.5) == label).mean())
        errors = auc_error(p, label), jensen_shannon_error(p, label)
        rows.append((auc(p, label), jensen_shannon(p, label), *errors, auc(raw, label), accuracy, best))
        histories.append(classifier.history)
        curve, roc = reliability(p, label), _roc(raw, label)
    assert curve is not None
    areas, divergences, area_errors, divergence_errors, raw_areas, accuracies, epochs = np.array(rows).T
    return ClassifierTest(
        recipe=recipe,
        auc=areas,
        jsd=divergences,
        auc_error=area_errors,
        jsd_error=divergence_errors,
        raw_auc=raw_areas,
        accuracy=accuracies,
        epochs=epochs.astype(np.int64),
        events=(sizes[0], sizes[1], sizes[2]),
        calibration=curve,
        roc=roc,
        histories=histories,
    )


def spread(values: Array, errors: Array) -> str:
    """Mean and error of repeats, as text; see `error_of`."""
    return f"{values.mean():.3f} ± {error_of(values, errors):.3f}"


def error_of(values: Array, errors: Array) -> float:
    """Error of the mean of repeats: the larger of their statistical error and their standard deviation.

    Repeats share their events, so that their mean is little better than one of them.
    """
    statistical = float(np.sqrt(np.mean(errors**2)))
    return max(statistical, float(values.std(ddof=1))) if len(values) > 1 else statistical


def as_rows(sample: Sample) -> Rows:
    """A sample as `Rows`; arrays are not copied."""
    if hasattr(sample, "rows"):
        return cast(Rows, sample)
    if not isinstance(sample, Tensor):
        try:
            sample = torch.from_numpy(np.ascontiguousarray(np.asarray(sample)))
        except (TypeError, ValueError):
            raise InputError("a sample of the classifier test must be an array (n, dim) of numbers") from None
    return _ArrayRows(sample)


class _ArrayRows:
    def __init__(self, values: Tensor) -> None:
        if values.ndim != 2:
            raise InputError(f"a sample needs shape (n, dim), got {tuple(values.shape)}")
        if not values.is_floating_point():
            values = values.float()
        # Inputs are float32.
        if not bool((values.abs() <= torch.finfo(torch.float32).max).all()):
            raise InputError("a sample of the classifier test holds NaN, infinity or numbers beyond 3e38")
        self.values = values
        self.dim = values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, index: Tensor) -> Tensor:
        return self.values[index].float()


class _Pair:
    """Both samples as one: events are numbers, generated ones after the real ones."""

    def __init__(self, real: Rows, generated: Rows) -> None:
        if real.dim != generated.dim:
            raise InputError(f"real events have {real.dim} inputs, generated ones {generated.dim}")
        self.real, self.generated, self.dim = real, generated, real.dim

    def data(self, index: tuple[Tensor, Tensor]) -> Tensor:
        """Event numbers of a pair of index tensors."""
        return torch.cat([index[0], index[1] + len(self.real)])

    def batch(self, batch: tuple[Tensor | None, ...], _: torch.Generator) -> tuple[Tensor | None, ...]:
        """Inputs and labels of a batch of event numbers."""
        (number,) = batch
        assert number is not None
        label = number < len(self.real)
        inputs = torch.empty(len(number), self.dim)
        inputs[label] = self.real.rows(number[label])
        inputs[~label] = self.generated.rows(number[~label] - len(self.real))
        return inputs, label.float()

    def scores(self, model: nn.Module, index: tuple[Tensor, Tensor]) -> tuple[Array, NDArray[np.int64]]:
        """Scores and labels of the real and then of the generated events."""
        parts = [scores(model, self.real, index[0]), scores(model, self.generated, index[1])]
        label = np.repeat([1, 0], [len(parts[0]), len(parts[1])])
        return np.concatenate(parts), label


def _cross_entropy_or_error(model: nn.Module, batch: tuple[Tensor | None, ...]) -> Tensor:
    """Cross entropy in training; in validation the error rate, which chooses the epoch."""
    inputs, label = batch
    assert label is not None
    logit = model(inputs)
    if model.training:
        return functional.binary_cross_entropy_with_logits(logit, label)
    return ((logit > 0) != (label > 0.5)).float().mean()


def _mixed_cross_entropy_or_error(model: nn.Module, batch: tuple[Tensor | None, ...]) -> Tensor:
    """The same with products in bfloat16 on the CPU."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return _cross_entropy_or_error(model, batch)


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16; elsewhere it is slower than float32."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _roc(score: Array, label: NDArray[np.int64]) -> Array:
    order = np.argsort(-score)
    true = np.cumsum(label[order]) / label.sum()
    false = np.cumsum(1 - label[order]) / (1 - label).sum()
    return np.stack([np.r_[0.0, false], np.r_[0.0, true]])
