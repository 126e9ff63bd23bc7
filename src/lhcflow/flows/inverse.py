"""A bijection the other way round."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from .bijection import Bijection, build, describe


class Inverse(Bijection):
    """The inverse of ``bijection``: its ``inverse`` takes data to latent, its ``forward`` latent to data."""

    def __init__(self, bijection: Bijection) -> None:
        super().__init__(bijection.dim, bijection.context)
        self.bijection = bijection

    def forward(
        self, x: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self.bijection.inverse(x, context)

    def inverse(
        self, z: Float[Tensor, "n dim"], context: Float[Tensor, "n context"] | None = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        return self.bijection(z, context)

    def config(self) -> dict[str, Any]:
        return {"bijection": describe(self.bijection)}

    @classmethod
    def from_config(cls, **config: Any) -> Inverse:
        inner = build(config["bijection"])
        assert isinstance(inner, Bijection)
        return cls(inner)

    def extra_repr(self) -> str:
        return f"{self.bijection.kind}({self.bijection.extra_repr()})"
