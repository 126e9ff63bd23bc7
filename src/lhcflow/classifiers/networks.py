"""Ensembles of small networks that are trained as one: every layer is one batched matrix product."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..training import distributed
from .ensemble import Array, Ensemble, member_seeds

_ROWS = 16_384


class BatchedMLP(nn.Module):
    """``members`` independent ReLU networks of the same shape, with one output each.

    Parameters
    ----------
    members, features : int
        Numbers of networks and of inputs.
    hidden : sequence of int
        Widths of the hidden layers.
    generator : torch.Generator, optional
        Of the initial weights, which are torch's for a linear layer: uniform within 1/sqrt(inputs).
    """

    def __init__(
        self, members: int, features: int, hidden: Sequence[int], generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        sizes = [features, *hidden, 1]
        for before, after in itertools.pairwise(sizes):
            bound = 1 / math.sqrt(before)
            for parameters, shape in (
                (self.weights, (members, before, after)),
                (self.biases, (members, 1, after)),
            ):
                start = torch.empty(shape).uniform_(-bound, bound, generator=generator)
                parameters.append(nn.Parameter(start))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (members, n, features) to log-odds (members, n)."""
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = torch.relu(x)
        return x.squeeze(-1)


class NetworkEnsemble(Ensemble):
    """Fully connected networks trained with Adam, averaged over members and over their best epochs.

    The classifier of CATHODE (2109.00546, section III.B): 64-64-64, Adam 1e-3, batches of 128; the
    prediction is the mean over the ten epochs with the lowest validation loss. Every member has its
    own initial weights, split and order of the events.

    Parameters
    ----------
    members : int
        Number of networks.
    hidden : sequence of int
        Widths of the hidden layers.
    epochs, batch_size : int
        Of the training.
    learning_rate : float
        Of the training.
    best : int
        Number of best epochs whose predictions are averaged.
    validation_fraction : float
        Share of the events that chooses the epochs.
    seed : int
        Of everything random.
    device : str, optional
        Where to train; "auto" for a GPU if there is one, None for the CPU. Trained networks are on the CPU.
    """

    def __init__(
        self,
        members: int = 10,
        hidden: Sequence[int] = (64, 64, 64),
        epochs: int = 100,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        best: int = 10,
        validation_fraction: float = 0.25,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        self.members = members
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.best = best
        self.validation_fraction = validation_fraction
        self.seed = seed
        self.device = device

    def _fit(self, X: Array, y: NDArray[np.int64], weights: Array) -> None:
        if not 0 < self.validation_fraction < 1:
            raise InputError(f"validation_fraction must be in (0, 1), got {self.validation_fraction}")
        if min(self.epochs, self.batch_size, self.best) < 1:
            raise InputError("epochs, batch_size and best must be >= 1")
        device = distributed.initialize(self.device or "cpu")
        generator = torch.Generator().manual_seed(member_seeds(self.seed, self.members)[0])
        self.mean_, self.scale_ = X.mean(0), np.maximum(X.std(0), 1e-12)
        x = self._inputs(X).to(device)
        target, weight = (torch.as_tensor(t, dtype=torch.float32, device=device) for t in (y, weights))
        held = max(int(self.validation_fraction * len(x)), 1)
        split = _permutations(self.members, len(x), generator).to(device)
        validation, training = split[:, :held], split[:, held:]
        model = BatchedMLP(self.members, x.shape[1], self.hidden, generator).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate, fused=True)
        size = min(self.batch_size, training.shape[1])
        states, losses = [], []
        for _ in range(self.epochs):
            shuffled = _permutations(self.members, training.shape[1], generator)
            rows = training.gather(1, shuffled.to(device))
            # The last, smaller batch is left out: every epoch has another one.
            for batch in rows[:, : rows.shape[1] // size * size].split(size, dim=1):
                loss = _loss(model, x, target, weight, batch).mean(1).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                parts = [_loss(model, x, target, weight, b).sum(1) for b in validation.split(_ROWS, dim=1)]
                losses.append(torch.stack(parts).sum(0) / held)
                states.append([p.to("cpu", copy=True) for p in model.parameters()])
        losses_ = torch.stack(losses).cpu()
        order = losses_.argsort(0)[: self.best]  # (best, members)
        members = torch.arange(self.members)
        self.models_ = []
        for epochs in order:
            best = BatchedMLP(self.members, x.shape[1], self.hidden)
            for i, parameter in enumerate(best.parameters()):
                parameter.data = torch.stack([states[e][i][k] for e, k in zip(epochs, members, strict=True)])
            self.models_.append(best.requires_grad_(False))
        self.losses_ = losses_.numpy()

    @torch.no_grad()
    def _probability(self, X: Array) -> Array:
        parts = []
        for rows in self._inputs(X).split(_ROWS):
            wide = rows.expand(self.members, -1, -1)
            parts.append(torch.stack([m(wide).sigmoid().double().mean(0) for m in self.models_]).mean(0))
        return torch.cat(parts).numpy() if parts else np.empty(0)

    def _inputs(self, X: Array) -> Tensor:
        return torch.as_tensor((X - self.mean_) / self.scale_, dtype=torch.float32)


def _permutations(members: int, n: int, generator: torch.Generator) -> Tensor:
    return torch.stack([torch.randperm(n, generator=generator) for _ in range(members)])


def _loss(model: BatchedMLP, x: Tensor, target: Tensor, weight: Tensor, rows: Tensor) -> Tensor:
    """Weighted cross entropy (members, rows) of the events ``rows`` (members, rows)."""
    return functional.binary_cross_entropy_with_logits(
        model(x[rows]), target[rows], weight[rows], reduction="none"
    )
