"""R-ANODE: the signal's own density, fitted on top of a fixed background (2312.11629)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from ...errors import InputError
from ...flows import autoregressive_spline, coupling_spline
from ...training import Batch, Graphed, distributed, fit
from .base import Array, Training
from .generative import GenerativeDetector

_STEP = 10.0
"""By how much larger the steps of the log-odds of w are than those of the networks' weights."""


class RAnode(GenerativeDetector):
    """Data in the signal region as ``w p_s(x, m) + (1 - w) p_b(x, m)``; p_s is fitted, and ``w`` on demand.

    p_b(x | m) comes from the sidebands and p_b(m) from the spectrum; p_s = p_s(m) p_s(x | m) are two flows.
    The score is ``log p_s(x | m_c) - log p_b(x | m)`` with m_c the centre of the signal region: a
    density that varies with m inside and can't do so outside would shape the spectrum behind a cut.

    Parameters
    ----------
    signal_region : object
        See `Detector`.
    seed : int
        See `Detector`.
    random_state : int, optional
        See `Detector`.
    density : object
        Of the background; see `GenerativeDetector`.
    fraction : float
        Signal fraction w in the signal region.
    learn_fraction : bool
        Whether w is fitted too, from ``fraction`` on. Where the signal is weak the result is too large,
        because p_s then describes what p_b gets wrong, and the scores are worse.
    layers : int
        Of the signal's flow p_s(x | m), a coupling flow.
    hidden : tuple of int
        Of the signal's flow p_s(x | m), a coupling flow.
    bins : int
        Of the signal's flow p_s(x | m), a coupling flow.
    epochs, batch_size : int
        Of its training; see `ConditionalDensity`.
    learning_rate : float
        Of its training; see `ConditionalDensity`.
    best : int
        Of its training; see `ConditionalDensity`.
    validation_fraction : float
        Of its training; see `ConditionalDensity`.
    members : int
        Number of signal flows whose densities are averaged; each has its own split of the events.
    device : str, optional
        Where the signal flows are trained, as of `ConditionalDensity`.

    Attributes
    ----------
    fraction_ : float
        w, fitted or as given; the mean over the members.
    """

    def __init__(
        self,
        signal_region: Any = (3.3, 3.7),
        density: Any = None,
        fraction: float = 0.005,
        learn_fraction: bool = False,
        layers: int = 4,
        hidden: tuple[int, ...] = (64, 64),
        bins: int = 8,
        epochs: int = 40,
        batch_size: int = 1024,
        learning_rate: float = 5e-3,
        best: int = 10,
        validation_fraction: float = 0.2,
        members: int = 4,
        seed: int = 0,
        random_state: int | None = None,
        device: str | None = None,
    ) -> None:
        self.signal_region = signal_region
        self.density = density
        self.fraction = fraction
        self.learn_fraction = learn_fraction
        self.layers = layers
        self.hidden = hidden
        self.bins = bins
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.best = best
        self.validation_fraction = validation_fraction
        self.members = members
        self.seed = seed
        self.random_state = random_state
        self.device = device

    def _fit(self, data: Training) -> None:
        if not 0 < self.fraction < 1:
            raise InputError(f"the signal fraction must be in (0, 1), got {self.fraction}")
        if self.members < 1:
            raise InputError(f"members must be >= 1, got {self.members}")
        self._train_background(data)
        X, m = data.X[data.inside], data.m[data.inside]
        z, _ = self.density_.preprocessing_.forward(X, m)
        t, log_det = self._logit(m)
        background = self.density_.latent_log_prob(z, m) + self.mass_.log_prob(m) - log_det
        rows = torch.as_tensor(np.column_stack([z, t, background]), dtype=torch.float32)
        rows = rows.to(distributed.initialize(self.device or "cpu"))
        self.signals_ = [self._train_signal(rows, self._seed(20 + i)) for i in range(self.members)]
        self.fraction_ = float(np.mean([torch.sigmoid(s.log_odds()) for s in self.signals_]))

    def _train_signal(self, rows: Tensor, seed: int) -> _Signal:
        signal = _Signal(
            rows.shape[1] - 2, self.fraction, self.learn_fraction, self.layers, self.hidden, self.bins, seed
        ).to(rows.device)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).to(rows.device)
        held = max(int(self.validation_fraction * len(rows)), 1)
        fit(
            signal,
            rows[order[held:]],
            Graphed(_mixture),
            validation=rows[order[:held]],
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer="adam",
            learning_rate=self.learning_rate,
            clip=10.0,
            average="best",
            best=self.best,
            seed=seed,
            progress=False,
        )
        return signal.cpu().eval().requires_grad_(False)

    def _score(self, X: Array, m: Array) -> Array:
        z, _ = self.density_.preprocessing_.forward(X, m)
        t, _ = self._logit(np.full(len(m), self.region_.centre))
        x = torch.as_tensor(z, dtype=torch.float32)
        context = torch.as_tensor(t, dtype=torch.float32)[:, None]
        logs = []
        with torch.no_grad():
            for signal in self.signals_:
                parts = zip(x.split(65_536), context.split(65_536), strict=True)
                logs.append(torch.cat([signal.features.log_prob(*p) for p in parts]).double().numpy())
        mean = np.logaddexp.reduce(logs) - math.log(len(logs))
        return mean - self.density_.latent_log_prob(z, m)

    def _logit(self, m: Array) -> tuple[Array, Array]:
        """The mass inside the region on the real line, and log|dt/dm|, (n,) each."""
        u = np.clip((m - self.region_.low) / self.region_.width, 1e-9, 1 - 1e-9)
        return special.logit(u), -np.log(u * (1 - u) * self.region_.width)


class _Signal(nn.Module):
    """w, p_s(t) and p_s(z | t)."""

    def __init__(
        self,
        dim: int,
        fraction: float,
        learn: bool,
        layers: int,
        hidden: tuple[int, ...],
        bins: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.start = math.log(fraction / (1 - fraction))
        self.moved = nn.Parameter(torch.zeros(()), requires_grad=learn)
        self.mass = autoregressive_spline(1, layers=1, hidden=(8,), bins=bins, domain="real", seed=seed)
        self.features = coupling_spline(
            dim, context=1, layers=layers, hidden=hidden, bins=bins, domain="real", seed=seed
        )

    def log_odds(self) -> Tensor:
        """Of a signal event: log(w / (1 - w))."""
        return self.start + _STEP * self.moved

    def log_prob(self, z: Tensor, t: Tensor) -> Tensor:
        return self.mass.log_prob(t) + self.features.log_prob(z, t)


def _mixture(model: Any, batch: Batch) -> Tensor:
    """Minus the mean of log(w p_s + (1 - w) p_b); the rows are (z, t, log p_b)."""
    rows = batch[0]
    assert rows is not None
    signal = model.log_prob(rows[:, :-2], rows[:, -2:-1]) + nn.functional.logsigmoid(model.log_odds())
    background = rows[:, -1] + nn.functional.logsigmoid(-model.log_odds())
    return -torch.logaddexp(signal, background).mean()
