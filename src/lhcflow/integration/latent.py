"""A flow as a proposal on the unit cube, and as a map of it: the latent cube is where VEGAS+ stratifies."""

from __future__ import annotations

import copy
import json
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float

from ..errors import InputError
from ..flows import Flow, build, describe
from .domains import domain_of
from .proposal import Proposal, inside, rebuild
from .vegas_map import VegasMap

CHUNK = 2**14  # points that go through the network together: their activations stay in the cache


class FlowProposal(Proposal):
    """The density of a flow, on the real line carried to the unit cube by the normal distribution.

    ``x = grid(Phi(y))``, where ``y`` follows the flow, ``Phi`` is the normal distribution function in each
    dimension, and ``grid`` a VEGAS map for peaks that are narrow in one variable. A flow that is the
    identity gives the grid's density. The flow's own latent variables ``z`` are normal, so ``u = Phi(z)``
    fills a unit cube uniformly: the latent cube. On the real line rotations keep the base's density,
    which no rotation of a cube does. A flow with a uniform base needs no ``Phi`` and has no rotations.

    Parameters
    ----------
    flow : Flow
        A flow with a normal or uniform base, without context.
    grid : VegasMap, optional
        The VEGAS map; by default the identity.

    Raises
    ------
    InputError
        If the flow has a context, or the grid another dimension.
    """

    def __init__(self, flow: Flow, grid: VegasMap | None = None) -> None:
        if flow.context:
            raise InputError("the flow of an integral can't have a context")
        self.dim = flow.dim
        self.grid = VegasMap(flow.dim) if grid is None else grid
        if self.grid.dim != self.dim:
            raise InputError(f"the grid has {self.grid.dim} dimensions, the flow {self.dim}")
        self.flow = flow
        self._domain = domain_of(flow)

    def snapshot(self) -> FlowProposal:
        """A copy that further training does not change."""
        return FlowProposal(copy.deepcopy(self.flow), self.grid)

    def map(
        self, u: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """Latent cube to integration variables: ``x`` (n, dim) and |dx/du| (n,), 1 / density."""
        x, log_jacobian = np.empty((len(u), self.dim)), np.empty(len(u))
        for start in range(0, len(u), CHUNK):
            part = slice(start, start + CHUNK)
            z = _to_torch(self._domain.enter(u[part]), self.flow)
            with torch.no_grad():
                y_torch, log_det = self.flow.inverse(z)
            y = y_torch.double().cpu().numpy()
            x[part], jacobian = self.grid.map(self._domain.leave(y))
            # |dx/du| = |dx/dy| |dy/dz| |dz/du|, with the float32 z that the flow really saw.
            slopes = self._domain.log_slope(y) - self._domain.log_slope(z.double().cpu().numpy())
            log_jacobian[part] = log_det.double().cpu().numpy() + np.log(jacobian) + slopes
        return x, np.exp(log_jacobian)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, jacobian = self.map(rng.random((n, self.dim)))
        return x, 1 / jacobian

    def density(self, x: np.ndarray) -> np.ndarray:
        return np.where(inside(x), np.exp(self.log_density(np.clip(x, 0, 1))), 0.0)

    def log_density(self, x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        """Logarithm of the density (n,) at ``x`` (n, dim) inside the unit cube."""
        result = np.empty(len(x))
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            y, log_jacobian = self.real(x[part])
            with torch.no_grad():
                log_q = self.flow.log_prob(_to_torch(y, self.flow))
            result[part] = log_q.double().cpu().numpy() - log_jacobian
        return result

    def real(
        self, x: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, " n"]]:
        """``y`` (n, dim) of the flow for ``x`` in the cube, and ``log|dx/dy|`` (n,)."""
        u, density = self.grid.inverse(x)
        y = self._domain.enter(u)
        return y, self._domain.log_slope(y) - np.log(density)

    def latent(self, x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
        """The point ``u`` (n, dim) of the latent cube that `map` sends to ``x`` inside the cube."""
        u = np.empty((len(x), self.dim))
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            with torch.no_grad():
                z, _ = self.flow.forward(_to_torch(self.real(x[part])[0], self.flow))
            u[part] = self._domain.leave(z.double().cpu().numpy())
        return u

    def state(self) -> dict[str, np.ndarray]:
        return {"edges": self.grid.edges, **flow_state(self.flow)}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        flow = flow_from_state(state)
        if not isinstance(flow, Flow):
            raise InputError("the saved proposal holds no flow")
        return cls(flow, VegasMap(len(state["edges"]), edges=state["edges"]))

    def __repr__(self) -> str:
        return f"FlowProposal({self.flow!r}, {self.grid!r})"


class LatentProposal(Proposal):
    """A flow whose latent cube is not filled uniformly, but by another proposal, such as VEGAS+'s strata.

    Parameters
    ----------
    flow : FlowProposal
        The map of the cube.
    latent : Proposal
        The density on its latent cube.
    """

    def __init__(self, flow: FlowProposal, latent: Proposal) -> None:
        if flow.dim != latent.dim:
            raise InputError(f"the flow has {flow.dim} dimensions, the latent proposal {latent.dim}")
        self.dim = flow.dim
        self.flow = flow
        self.latent = latent

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        u, density = self.latent.sample(n, rng)
        x, jacobian = self.flow.map(u)
        return x, density / jacobian

    def density(self, x: np.ndarray) -> np.ndarray:
        clipped = np.clip(x, 0, 1)
        density = self.latent.density(self.flow.latent(clipped)) * np.exp(self.flow.log_density(clipped))
        return np.where(inside(x), density, 0.0)

    def state(self) -> dict[str, np.ndarray]:
        inner = {f"latent__{name}": value for name, value in self.latent.state().items()}
        kind = np.frombuffer(self.latent.kind.encode(), dtype=np.uint8)
        return {**self.flow.state(), **inner, "latent_kind": kind}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Self:
        inner = {k.removeprefix("latent__"): v for k, v in state.items() if k.startswith("latent__")}
        outer = {k: v for k, v in state.items() if not k.startswith("latent_")}
        return cls(FlowProposal.from_state(outer), rebuild(bytes(state["latent_kind"]).decode(), inner))

    def __repr__(self) -> str:
        return f"LatentProposal({self.flow!r}, {self.latent!r})"


def flow_state(flow: Any) -> dict[str, np.ndarray]:
    """Architecture, type and weights of a flow as arrays, for `Proposal.state`."""
    architecture = json.dumps({"dtype": str(flow.dtype).removeprefix("torch."), **describe(flow)})
    weights = {f"flow__{k.replace('.', '__')}": v.cpu().numpy() for k, v in flow.state_dict().items()}
    return {"architecture": np.frombuffer(architecture.encode(), dtype=np.uint8), **weights}


def flow_from_state(state: dict[str, np.ndarray]) -> Any:
    """The inverse of `flow_state`; other entries are left alone."""
    description = json.loads(bytes(state["architecture"]).decode())
    dtype = getattr(torch, description.pop("dtype"))
    flow = build(description)
    flow.to(dtype)
    flow.load_state_dict(
        {
            k.removeprefix("flow__").replace("__", "."): torch.as_tensor(np.array(v))
            for k, v in state.items()
            if k.startswith("flow__")
        }
    )
    return flow


def _to_torch(values: np.ndarray, flow: Flow) -> torch.Tensor:
    return torch.as_tensor(values, dtype=flow.dtype, device=flow.device)
