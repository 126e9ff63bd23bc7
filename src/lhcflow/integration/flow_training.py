"""Training of a flow on an integrand: a ladder of temperatures, and a fit to all evaluations at each.

Stage t draws points from the flow as it is, adds them to the buffer, and fits the flow to ``|f|^beta_t``,
with beta_t as large as the buffer allows: weights ``|f|^beta / Q`` must keep an effective share of all
points (annealed importance sampling, Neal 1998; tempering with flows, 2208.01893). At small beta the target
is broad and every mode within reach, so modes are found together and not one at the others' cost. The loss
is a divergence in the flat form of `divergences`, on minibatches that favour points of large weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, RunError
from ..flows import Flow, SoftPermutation
from ..flows.builders import coupling_spline
from ..training.distributed import initialize
from ..training.graphs import Graphed
from ..training.losses import Batch
from ..training.schedules import Cosine
from ..training.trainer import Trainer
from .buffer import SampleBuffer, effective_share
from .divergences import divergence_named
from .flow_settings import FlowSettings
from .journal import Journal
from .latent import FlowProposal
from .proposal import Proposal
from .vegas_map import VegasMap

MANY = 200_000  # points from which on a fit takes more steps
TOGETHER = 50  # batches that are chosen together

Evaluate = Callable[[np.ndarray], np.ndarray]
"""From points (n, dim) to the values (n,) of the integrand that drive the adaptation, all finite."""


class NothingFound(RunError):
    """The integrand vanished at all points so far: there is nothing to train on."""


@dataclass(frozen=True)
class Stage:
    """What one stage of the training did.

    Attributes
    ----------
    calls : int
        Evaluations so far.
    beta : float
        Temperature the flow was fitted at.
    effective : float
        Effective share of the buffer at this beta.
    loss : float
        Mean divergence in the last tenth of the steps.
    spread : float
        Sd/I per point of the flow before this stage's fit, from this stage's own points (infinite for the
        first stage).
    """

    calls: int
    beta: float
    effective: float
    loss: float
    spread: float


@dataclass
class Training:
    """A training that goes on stage by stage: `start`, then `stage` until ``calls`` are spent.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    seed : np.random.SeedSequence
        Of all random numbers.
    settings : FlowSettings
        See `FlowSettings`.
    journal : Journal or None
        Where fits are recorded and found again.
    """

    dim: int
    seed: np.random.SeedSequence
    settings: FlowSettings = field(default_factory=FlowSettings)
    journal: Journal | None = None

    def __post_init__(self) -> None:
        s = self.settings
        rng, torch_seed, weights = self.seed.spawn(3)
        self.rng = np.random.default_rng(rng)
        self.generator = torch.Generator().manual_seed(int(torch_seed.generate_state(1)[0]))
        self._weights_seed = int(weights.generate_state(1)[0])
        self._start()
        self.divergence = divergence_named(s.divergence)
        self.optimizer = torch.optim.Adam(self.flow.parameters(), lr=s.rate, betas=(0.9, 0.99), fused=True)
        self.device = initialize(s.device)
        self.buffer = SampleBuffer(self.dim)
        self.history: list[Stage] = []
        self.beta = 0.0

    def _start(self) -> None:
        """Make the flow and its proposal."""
        self.flow: Flow = self._new_flow(self.dim)
        self.proposal = FlowProposal(self.flow)

    def _new_flow(self, dim: int, context: int = 0) -> Flow:
        s = self.settings
        return coupling_spline(
            dim,
            context,
            layers=s.layers,
            hidden=s.hidden,
            bins=(16 if dim <= 3 else 10) if s.bins is None else s.bins,
            domain=s.domain,
            bound=s.bound,
            permutation="soft" if s.domain == "real" else "none",
            activation="leaky_relu",
            seed=self._weights_seed,
        )

    @property
    def done(self) -> bool:
        """Whether the temperature has reached the integrand itself."""
        return self.beta == 1.0

    @property
    def spread(self) -> float:
        """sd/I per point of the flow that entered the latest stage; infinite while ``beta < 1``."""
        return self.history[-1].spread if self.history and self.done else math.inf

    @property
    def settled(self) -> bool:
        """Whether the flow stopped improving: sd/I fell by less than 5 % in two stages."""
        spreads = [stage.spread for stage in self.history[-3:]]
        return self.done and len(self.history) > 4 and spreads[-1] > 0.95 * spreads[0]

    @property
    def earliest(self) -> FlowProposal:
        """The flow as it was after the first stage, when the target was broadest."""
        return self._flows[0] if self._flows else self.proposal

    @property
    def halfway(self) -> FlowProposal:
        """The flow as it was in the middle of the training."""
        return self._flows[len(self._flows) // 2] if self._flows else self.proposal

    @property
    def _flows(self) -> list[FlowProposal]:
        return [p for p in self.buffer.proposals if isinstance(p, type(self.proposal))]

    def use_grid(self, grid: VegasMap) -> None:
        """Put a VEGAS map under the flow; before the first stage."""
        self.proposal = FlowProposal(self.flow, grid)

    def stage(self, f: Evaluate, calls: int, final: bool = False) -> Stage:
        """Draw ``calls`` points (0 for none) from the flow, choose the temperature, and fit.

        Parameters
        ----------
        f : Evaluate
            The integrand's driving component.
        calls : int
            New evaluations; in the first stage they come from the grid.
        final : bool
            A longer fit, which ends at a learning rate of zero.
        """
        s = self.settings
        spread = math.inf
        if calls > 0:
            spread = self._draw(f, calls)
        if len(self.buffer) == 0:
            raise InputError("the training of a flow needs calls")
        if not np.isfinite(self.buffer.log_f).any():
            raise NothingFound(f"the integrand was 0 at all of the first {len(self.buffer):,} points")
        self.beta = self.buffer.temperature(s.effective, self.beta)
        if not self.history:
            self._align()
        steps = self._steps()
        loss = self._fit(4 * steps, floor=0.0) if final else self._fit(steps, floor=0.1)
        done = Stage(len(self.buffer), self.beta, self.buffer.effective_share(self.beta), loss, spread)
        self.history.append(done)
        return done

    def _steps(self) -> int:
        """More in many dimensions, and, less than in proportion, with more points than 200,000."""
        steps = self.settings.steps
        if steps is None:
            steps = 150 if self.dim <= 8 else 300
        return round(steps * max(len(self.buffer) / MANY, 1.0) ** 0.75)

    def _draw(self, f: Evaluate, calls: int) -> float:
        """Put new points from a snapshot of the flow into the buffer; their sd/I."""
        if self.history:
            source: Proposal = self.proposal.snapshot()
        else:
            source = self.proposal.grid
        x, density = source.sample(calls, self.rng)
        values = np.asarray(f(x), dtype=float)
        with np.errstate(divide="ignore"):
            effective = effective_share(np.log(np.abs(values)) - np.log(density))
        self.buffer.add(x, values, source)
        return math.sqrt(max(1 / effective - 1, 0.0)) if effective > 0 else math.inf

    @torch.no_grad()
    def _align(self) -> None:
        """Start the first rotation at the principal axes of the weighted points."""
        first = next((b for b in self.flow.bijections if isinstance(b, SoftPermutation)), None)
        if first is None:
            return
        y, _ = self.proposal.real(self.buffer.x)
        w = np.exp(self.buffer.log_weights(self.beta) - self.buffer.log_integral(self.beta)) / len(y)
        centred = y - w @ y
        _, axes = np.linalg.eigh((centred * w[:, None]).T @ centred)
        first.set_rotation(torch.as_tensor(_proper(axes.T[::-1])))

    def _fit(self, steps: int, floor: float) -> float:
        """Fit the flow to the buffer; the mean divergence in the last tenth of the steps."""
        if self.journal is None:
            return self._fitted(steps, floor)
        parts = {"flow": self.flow, "optimizer": self.optimizer, "generator": self.generator}
        return self.journal.fit(parts, lambda: self._fitted(steps, floor))

    def _fitted(self, steps: int, floor: float) -> float:
        self._move(self.device)
        try:
            return self._fitted_here(steps, floor)
        finally:
            self._move(torch.device("cpu"))

    def _move(self, device: torch.device) -> None:
        """The flow and the optimiser's memory to a device."""
        self.flow.to(device)
        for memory in self.optimizer.state.values():
            memory.update({name: value.to(device) for name, value in memory.items()})

    def _fitted_here(self, steps: int, floor: float) -> float:
        s = self.settings
        y, log_p, log_Q = (t.to(self.device) for t in self._targets())
        # Half of each minibatch by weight, half at random, and the choice divided out again.
        weight = torch.exp(log_p - log_Q).double()
        chance = (0.5 + 0.5 * weight / weight.mean()).float()
        inverse = 1 / chance
        chooser = _chooser(chance, self.generator)
        for group in self.optimizer.param_groups:
            group["lr"] = s.rate  # where the last stage's schedule left it
        trainer = Trainer(
            self.flow,
            steps=steps,
            optimizer=lambda _: self.optimizer,
            schedule=Cosine(floor=floor, warmup=0.05),
            clip=s.clip,
            average="ema",
            decay=s.decay,
        )

        def loss(flow: Any, batch: Batch) -> Tensor:
            i = batch[0]
            log_q = self._log_prob(flow, y[i])
            return (inverse[i] * self.divergence(log_p[i], log_q, log_Q[i])).mean()

        step = Graphed(loss)
        self.flow.train()
        batch = s.batch_size(1.0 if floor == 0 else len(self.history) / s.stages)
        losses = [trainer.step(step, (rows,)) for rows in islice(_batches(chooser, batch), steps)]
        trainer.finish()
        self.flow.eval()
        return float(np.mean(losses[int(0.9 * steps) :]))

    def _log_prob(self, flow: Any, y: Tensor) -> Tensor:
        """The flow's log density (n,) at points as `_targets` gives them."""
        return flow.log_prob(y)

    def _targets(self) -> tuple[Tensor, Tensor, Tensor]:
        """Points (n, dim), log target and log mixture density (n,), all on the flow's real line.

        Points at which the integrand vanishes can be left out, since the flow is normalised: it is right
        there once it is right elsewhere.
        """
        b = self.buffer
        inside = np.isfinite(b.log_f) | self.settings.zeros
        y, log_jacobian = self.proposal.real(b.x[inside])
        log_Q = b.log_density[inside] + log_jacobian
        log_p = (b.log_weights(self.beta) - b.log_integral(self.beta))[inside] + log_Q
        dtype = self.flow.dtype
        return (
            torch.as_tensor(y, dtype=dtype),
            torch.as_tensor(log_p, dtype=dtype),
            torch.as_tensor(log_Q, dtype=dtype),
        )


def _chooser(chance: Tensor, generator: torch.Generator) -> Callable[[int], Tensor]:
    """A function that draws row numbers in proportion to ``chance`` (n,), with replacement."""
    total = chance.double().cumsum(0)

    def choose(n: int) -> Tensor:
        places = torch.rand(n, dtype=torch.float64, generator=generator).to(total.device) * total[-1]
        return torch.searchsorted(total, places).clamp_max(len(total) - 1)

    return choose


def _batches(choose: Callable[[int], Tensor], size: int) -> Iterator[Tensor]:
    """Row numbers (size,), many batches at a time: each choice waits for a GPU once."""
    while True:
        yield from choose(size * TOGETHER).split(size)


def _proper(axes: np.ndarray) -> np.ndarray:
    """The same axes (rows), with signs that make them a rotation, and one near the identity."""
    rotation = axes * np.where(np.diag(axes) < 0, -1.0, 1.0)[:, None]
    if np.linalg.det(rotation) < 0:
        rotation[-1] *= -1
    return rotation


def train_flow(
    f: Evaluate,
    training: Training,
    calls: int,
    *,
    enough: Callable[[Training], bool] = lambda training: False,
    report: Callable[[Stage], None] = lambda stage: None,
) -> FlowProposal:
    """Spend up to ``calls`` evaluations on ``training``, then fit once more for long.

    Parameters
    ----------
    f : Evaluate
        The integrand's driving component.
    training : Training
        A new training, or one whose buffer holds points already.
    calls : int
        Evaluations to spend here.
    enough : callable
        Asked after each stage; True ends the drawing of points.
    report : callable
        Told about each stage.

    Returns
    -------
    FlowProposal
        With the trained flow.

    Raises
    ------
    RunError
        If the integrand vanishes everywhere, or the loss is not finite.
    """
    s = training.settings
    first = 0 if len(training.buffer) else int(s.first * calls)
    sizes = stage_sizes(calls, s.stages, first, s.growth)
    for i, size in enumerate(sizes):
        report(training.stage(f, size, final=i == len(sizes) - 1))
        if i < len(sizes) - 1 and enough(training):
            report(training.stage(f, 0, final=True))
            break
    return training.proposal


def stage_sizes(calls: int, stages: int, first: int, growth: float = 1.0) -> list[int]:
    """Calls per stage: ``first`` (0 for a stage on what the buffer holds), then shares that grow evenly."""
    shares = np.geomspace(1, growth, stages)
    ends = np.floor(np.cumsum(shares) / shares.sum() * (calls - first) + 1e-6).astype(int)
    return [first, *np.diff(ends, prepend=0).tolist()]
