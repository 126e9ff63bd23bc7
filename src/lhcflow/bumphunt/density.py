"""The density of the features at a given mass: a conditional flow behind an exact preprocessing."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from torch import Tensor

from ..classifiers.ensemble import one_column
from ..errors import InputError
from ..flows import AutoregressiveAffine, Bijection, Flow, Permutation, StandardNormal, coupling_spline
from ..training import Graphed, History, distributed, fit, negative_log_likelihood
from .arrays import checked
from .limits import Limits
from .preprocessing import Preprocessing

Array = NDArray[np.float64]

_ROWS = 65_536
_REFINING = 0.3
"""Share of the epochs of a density that begins with the weights of another one."""


class ConditionalDensity(BaseEstimator):
    """p(x | m), with the settings of a scikit-learn estimator; nothing is built before `fit`.

    The default is a coupling flow of rational-quadratic splines in large batches. `maf` has the
    settings of CATHODE. With several ``members`` it is the mean of as many densities.

    Parameters
    ----------
    flow : {"coupling", "maf"}
        "coupling" (rational-quadratic splines, 1906.04032) or "maf" (affine masked autoregressive,
        1705.07057).
    layers : int
        Of the flow; ``bins`` only of splines. Densities are smooth, and so are flows with "silu"; they are
        closer to the truth than with "relu", which takes half the time on CPU.
    hidden : sequence of int
        Of the flow; ``bins`` only of splines. Densities are smooth, and so are flows with "silu"; they are
        closer to the truth than with "relu", which takes half the time on CPU.
    activation : str
        Of the flow; ``bins`` only of splines. Densities are smooth, and so are flows with "silu"; they are
        closer to the truth than with "relu", which takes half the time on CPU.
    bins : int
        Of the flow; ``bins`` only of splines. Densities are smooth, and so are flows with "silu"; they are
        closer to the truth than with "relu", which takes half the time on CPU.
    epochs, batch_size : int
        Of the training with Adam.
    learning_rate : float
        Of the training with Adam.
    schedule : str
        Of the training with Adam.
    best : int
        Number of epochs, those with the lowest validation loss, whose weights are averaged.
    validation_fraction : float
        Share of the events that chooses the epochs.
    members : int
        Number of flows, each with its own weights, split and order of the events.
    seed : int
        Of the first flow's weights, split and order, and of the others' seeds.
    start : object
        A trained density with the same flow and members, inside scikit-learn's ``FrozenEstimator``. Its
        weights, preprocessing and limits are taken over, and the training needs a third of the epochs.
    device : str, optional
        Where to train; "auto" for a GPU if there is one, None for the CPU. Trained flows are on the CPU.

    Attributes
    ----------
    flows_ : list of Flow
        The trained `Flow` of each member, of preprocessed features and standardised
        mass.
    preprocessing_ : Preprocessing
        The `Preprocessing`.
    limits_ : Limits
        The `Limits` of the features.
    histories_ : list of History
        Of each member, one row per epoch.
    """

    def __init__(
        self,
        flow: Literal["coupling", "maf"] = "coupling",
        layers: int = 4,
        hidden: Sequence[int] = (64, 64),
        activation: str = "silu",
        bins: int = 8,
        epochs: int = 20,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        schedule: str = "cosine",
        best: int = 5,
        validation_fraction: float = 0.1,
        members: int = 1,
        seed: int = 0,
        start: Any = None,
        device: str | None = None,
    ) -> None:
        self.flow = flow
        self.layers = layers
        self.hidden = hidden
        self.activation = activation
        self.bins = bins
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.best = best
        self.validation_fraction = validation_fraction
        self.members = members
        self.seed = seed
        self.start = start
        self.device = device

    @classmethod
    def maf(cls, **settings: object) -> ConditionalDensity:
        """CATHODE's density estimator (2109.00546): 15 affine layers of 128 units, Adam 1e-4, batches of 256.

        Its batch normalisation between the layers is left out: that is no map of single events.
        """
        recipe = {
            "flow": "maf",
            "layers": 15,
            "hidden": (128,),
            "activation": "relu",
            "epochs": 100,
            "batch_size": 256,
            "learning_rate": 1e-4,
            "schedule": "constant",
            "best": 10,
        }
        return cls(**(recipe | settings))  # type: ignore[arg-type]

    def fit(self, X: ArrayLike, m: ArrayLike, limits: Limits | None = None) -> ConditionalDensity:
        """Train on features ``X`` (n, features) at masses ``m`` (n,).

        Parameters
        ----------
        limits : Limits, optional
            Of the features; those of X if None. With ``start`` its own are taken.
        """
        if self.members < 1:
            raise InputError(f"members must be >= 1, got {self.members}")
        X, m = checked(X, m)
        if self.start is None:
            self.limits_ = Limits(X, m) if limits is None else limits
            self.preprocessing_ = Preprocessing(X, m, self.limits_)
            self.mean_, self.scale_ = float(m.mean()), max(float(m.std()), 1e-12)
            flows = [None] * self.members
        else:
            flows = self._begin(X.shape[1])
        device = distributed.initialize(self.device or "cpu")
        z = torch.as_tensor(self.preprocessing_.forward(X, m)[0], dtype=torch.float32).to(device)
        context = self._context(m).to(device)
        more = np.random.SeedSequence((self.seed, 0xE5)).generate_state(self.members - 1) >> 1
        seeds = (self.seed, *more.tolist())
        trained = [self._train(z, context, *one) for one in zip(seeds, flows, strict=True)]
        self.flows_, self.histories_ = (list(part) for part in zip(*trained, strict=True))
        return self

    def _begin(self, dim: int) -> list[Flow]:
        """Take over all of ``start`` but its flows, and return copies of these."""
        flows = getattr(self.start, "flows_", None)
        if flows is None or len(flows) != self.members or flows[0].dim != dim:
            raise InputError(
                f"start must be a trained density of {dim} features with {self.members} members, inside "
                "FrozenEstimator, so that a copy of this one keeps it"
            )
        for name in ("limits_", "preprocessing_", "mean_", "scale_"):
            setattr(self, name, getattr(self.start, name))
        return [copy.deepcopy(flow) for flow in flows]

    def _train(self, z: Tensor, context: Tensor, seed: int, begun: Flow | None) -> tuple[Flow, History]:
        """One member, of preprocessed features (n, features) and standardised masses (n, 1)."""
        epochs, best = self.epochs, self.best
        if begun is None:
            flow = self._build(z.shape[1], seed).to(z.device)
        else:
            flow = begun.requires_grad_(True).train().to(z.device)
            # Fewer, but none stays none, which is an error.
            epochs, best = (max(round(_REFINING * n), min(n, 1)) for n in (epochs, best))
        rng = np.random.default_rng(np.random.SeedSequence((seed, 0xDE)))
        order = torch.as_tensor(rng.permutation(len(z)), device=z.device)
        z, context = z[order], context[order]
        held = max(int(self.validation_fraction * len(z)), 1)
        history = fit(
            flow,
            (z[held:], context[held:]),
            Graphed(negative_log_likelihood),
            validation=(z[:held], context[:held]),
            epochs=epochs,
            batch_size=self.batch_size,
            optimizer="adam",
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            clip=10.0,
            average="best",
            best=best,
            seed=seed,
            progress=False,
        )
        return flow.cpu().eval().requires_grad_(False), history

    def log_prob(self, X: ArrayLike, m: ArrayLike) -> Array:
        """``log p(x | m)`` (n,); -inf beyond the limits of the features."""
        X, m = checked(X, m)
        z, log_det = self.preprocessing_.forward(X, m)
        inside = log_det > -np.inf  # beyond, a flow may give NaN
        log_det[inside] += self.latent_log_prob(z[inside], m[inside])
        return log_det

    def latent_log_prob(self, z: Array, m: ArrayLike) -> Array:
        """The density (n,) of preprocessed features ``z`` (n, features), without the Jacobian."""
        logs = [self._in_chunks(flow.log_prob, z, m) for flow in self.flows_]
        return np.logaddexp.reduce(logs) - math.log(len(logs))

    def transform(self, X: ArrayLike, m: ArrayLike) -> Array:
        """Map features to latent variables (n, features) of the first member, normal where it is right."""
        X, m = checked(X, m)
        z, _ = self.preprocessing_.forward(X, m)
        return self._in_chunks(lambda z, c: self.flows_[0](z, c)[0], z, m)

    def inverse_transform(self, latent: ArrayLike, m: ArrayLike) -> Array:
        """Map latent variables (n, features) of the first member to features (n, features)."""
        return self._generate(self.flows_[0], *checked(latent, m))

    def sample(self, m: ArrayLike, rng: np.random.Generator) -> Array:
        """Draw features (n, features), one row for each mass of ``m`` (n,)."""
        m = np.asarray(one_column(m), float)
        latent = rng.standard_normal((len(m), self.flows_[0].dim))
        member = rng.integers(len(self.flows_), size=len(m))
        X = np.empty_like(latent)
        for i, flow in enumerate(self.flows_):
            rows = member == i
            X[rows] = self._generate(flow, latent[rows], m[rows])
        return X

    def _generate(self, flow: Flow, latent: Array, m: Array) -> Array:
        z = self._in_chunks(lambda z, c: flow.inverse(z, c)[0], latent, m)
        return self.preprocessing_.inverse(z, m)

    def _build(self, dim: int, seed: int) -> Flow:
        if self.flow == "coupling":
            return coupling_spline(
                dim,
                context=1,
                layers=self.layers,
                hidden=self.hidden,
                activation=self.activation,
                bins=self.bins,
                domain="real",
                seed=seed,
            )
        if self.flow == "maf":
            bijections: list[Bijection] = []
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                for layer in range(self.layers):
                    if layer and dim > 1:
                        bijections.append(Permutation.reverse(dim))
                    bijections.append(
                        AutoregressiveAffine(dim, context=1, hidden=self.hidden, activation=self.activation)
                    )
            return Flow(bijections, StandardNormal(dim))
        raise InputError(f'flow must be "coupling" or "maf", got {self.flow!r}')

    def _context(self, m: ArrayLike) -> Tensor:
        return torch.as_tensor((np.asarray(m, float) - self.mean_) / self.scale_, dtype=torch.float32)[
            :, None
        ]

    def _in_chunks(self, function, z: Array, m: ArrayLike) -> Array:
        """Apply ``function(z, context)`` without gradient, some rows at a time."""
        latent = torch.as_tensor(z, dtype=torch.float32)
        parts = zip(latent.split(_ROWS), self._context(m).split(_ROWS), strict=True)
        with torch.no_grad():
            return torch.cat([function(*part) for part in parts]).double().numpy()
