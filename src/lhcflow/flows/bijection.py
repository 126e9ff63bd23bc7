"""The interface every part of a flow has: a configuration that rebuilds it, and for bijections two maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..arguments import whole, whole_numbers
from ..errors import InputError

REGISTRY: dict[str, type[Component]] = {}


class Component(nn.Module):
    """A module that can be saved: its class name and ``config()`` rebuild it, its ``state_dict`` fills it.

    Subclasses are registered by class name. ``config()`` returns the JSON-serialisable keyword
    arguments of ``from_config``, which are those of the constructor unless a subclass says otherwise.
    """

    kind: ClassVar[str] = "Component"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__
        REGISTRY[cls.__name__] = cls

    def config(self) -> dict[str, Any]:
        """Keyword arguments (JSON-serialisable) that build the same architecture."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, **config: Any) -> Component:
        """Build from what ``config()`` returned."""
        return cls(**config)


class Bijection(Component):
    """An invertible map between data ``x`` and latent ``z`` with a tractable Jacobian.

    ``forward`` goes from data to latent (the direction of density estimation), ``inverse`` from
    latent to data (the direction of sampling). Both return the log absolute determinant of the map
    they apply, so the two are each other's negatives.

    Parameters
    ----------
    dim : int
        Number of dimensions of ``x`` and ``z``.
    context : int
        Number of features of the conditional input; 0 if there is none.
    """

    def __init__(self, dim: int, context: int = 0) -> None:
        super().__init__()
        self.dim = whole(dim, "dim", 1)
        self.context = whole(context, "context", 0)

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Map data ``x`` (n, dim) to latent; return ``z`` (n, dim) and ``log|dz/dx|`` (n,)."""
        raise NotImplementedError

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Map latent ``z`` (n, dim) to data; return ``x`` (n, dim) and ``log|dx/dz|`` (n,)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Keyword arguments (JSON-serialisable) that build the same architecture."""
        return {"dim": self.dim, "context": self.context}


def angles_of(circular: Sequence[int] | int, dim: int) -> tuple[int, ...]:
    """The dimensions that are angles, sorted; one number stands for one dimension."""
    angles = tuple(sorted(set(whole_numbers(circular, "circular"))))
    if any(not 0 <= i < dim for i in angles):
        raise InputError(f"circular dimensions must lie in 0..{dim - 1}, got {circular}")
    return angles


def build(description: dict[str, Any]) -> Any:
    """Build a component from ``{"kind": name, **config}``, the form that is saved to disk."""
    arguments = dict(description)
    kind = arguments.pop("kind", None)
    if kind not in REGISTRY:
        raise InputError(f"unknown component {kind!r}; known are {', '.join(sorted(REGISTRY))}")
    return REGISTRY[kind].from_config(**arguments)


def describe(component: Component) -> dict[str, Any]:
    """The inverse of `build`, without the weights."""
    return {"kind": component.kind, **component.config()}


def in_functorch() -> bool:
    """Whether a transform of ``torch.func`` (vmap, grad) is at work.

    Its tensors have no memory of their own, so that native kernels can't take them and no Python code
    can look at their values.
    """
    stack = torch._C._functorch.peek_interpreter_stack  # type: ignore[attr-defined]
    return not torch.compiler.is_compiling() and stack() is not None


def zero_log_det(x: Tensor) -> Tensor:
    """The log-determinant (n,) of a map that keeps volume."""
    return torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
