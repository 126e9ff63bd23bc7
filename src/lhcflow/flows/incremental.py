"""The slow direction of masked autoregressive flows for the price of about one pass.

In it every dimension needs the ones before it: ``v_i = map(y_i; parameters of v_0 ... v_{i-1})``. The
plain way runs the network once per dimension. But a hidden unit of MADE degree d sees only the first d
dimensions, so once v_i is known exactly the units of degree i + 1 become computable, for good. Sorted by
degree, the weight matrices are block-triangular, and all dimensions together cost one masked pass.

On the CPU that is one native call. On CUDA it is many small kernels, which `graphed` starts at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import _native
from .elements import Element
from .graphed import Graphs
from .made import ACTIVATIONS, MADE, MaskedLinear
from .native import plain, usable
from .versions import FEW_ROWS, Kept, fingerprint, trusting, versions


class Plan:
    """A copy of a MADE's weights in the order of use.

    Attributes
    ----------
    upto : list of ndarray
        Per layer, the number of units with degree <= d, for d = 0 ... D - 1.
    """

    def __init__(self, net: MADE, element: Element) -> None:
        self.residual, self.activation, self.activation_name = (
            net.residual,
            net.activation,
            net.activation_name,
        )
        self.element = element
        device = net.final.weight.device
        self.order = torch.tensor(net.order, device=device)
        sorting = [torch.from_numpy(d.argsort(kind="stable")).to(device) for d in net.degrees]
        self.upto = [np.searchsorted(np.sort(d), np.arange(net.dim), side="right") for d in net.degrees]

        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        before = self.order
        layers: list[MaskedLinear] = list(net.layers)  # type: ignore[arg-type]
        for layer, units in zip(layers, sorting, strict=True):
            self.weights.append(layer.masked_weight.detach()[units][:, before])
            self.biases.append(layer.bias.detach()[units])
            before = units
        first = self.weights[0]
        self.biases[0] = self.biases[0] + element.offset * first.sum(1)
        self.weights[0] = element.slope * first
        shape = (net.dim, net.outputs)
        last = net.final.masked_weight.detach().unflatten(0, shape)
        self.last_weight = last[self.order][..., before].contiguous()
        self.last_bias = net.final.bias.detach().unflatten(0, shape)[self.order].contiguous()

        # All layers of the context side by side; context_column[l] is where layer l finds its share.
        self.context_column = [-1] * len(self.weights)
        self.context_weight: Tensor | None = None
        if len(net.context_layers):
            takers = [0, *range(1, len(self.weights), 2)] if net.residual else [0]
            self.activated = len(self.biases[0])
            for index, taker in enumerate(takers):
                self.context_column[taker] = index * self.activated
            context_layers: list[nn.Linear] = list(net.context_layers)  # type: ignore[arg-type]
            maps = list(zip(context_layers, takers, strict=True))
            self.context_weight = torch.cat([m.weight.detach()[sorting[t]] for m, t in maps])
            self.context_bias = torch.cat([m.bias.detach()[sorting[t]] for m, t in maps])
        self.native = self._native()
        self.graphs = Graphs()

    def _native(self) -> Any:
        dtype = self.last_weight.dtype
        if self.order.device.type != "cpu" or dtype not in (torch.float32, torch.float64):
            return None
        if _native.core is None:
            return None
        kind = _native.core.MafPlanF32 if dtype == torch.float32 else _native.core.MafPlanF64
        return kind(
            order=self.order.numpy().astype(np.int32),
            weights=[w.contiguous().numpy() for w in self.weights],
            biases=[b.contiguous().numpy() for b in self.biases],
            upto=[u.astype(np.int32) for u in self.upto],
            context=self.context_column,
            last_weight=self.last_weight.flatten(0, 1).numpy(),
            last_bias=self.last_bias.flatten().numpy(),
            residual=self.residual,
            activation=self.activation_name,
            **self.element.native(),
        )

    def context_terms(self, context: Tensor | None) -> Tensor | None:
        """What the context adds to the layers, (n, columns)."""
        if self.context_weight is None or context is None:
            return None
        terms = torch.addmm(self.context_bias, context, self.context_weight.T)
        if not self.residual:
            return self.activation(terms)
        terms[:, : self.activated] = self.activation(terms[:, : self.activated])
        return terms

    def solve(self, y: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        """See `solve`."""
        terms = self.context_terms(context)
        if self.native is None or not usable(y, terms):
            x, log_det = self.graphs.run(self.solve_torch, y, terms, inverse)  # plain unless on CUDA
            return x, log_det
        y = y.detach().contiguous()
        x, log_det = torch.empty_like(y), y.new_empty(y.shape[0])
        # Through numpy: nanobind takes its arrays far faster than those of torch.
        given = None if terms is None else terms.numpy()
        self.native.solve(y.numpy(), given, x.numpy(), log_det.numpy(), inverse, torch.get_num_threads())
        return x, log_det

    def solve_torch(self, y: Tensor, terms: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        """The native kernel's twin, and what a CUDA graph replays: nothing here may wait for the device.

        Values lie with the batch last, and all that does not depend on them is summed first: few kernels
        for each dimension, on memory in one piece.
        """
        y = y.T[self.order]
        x, log_det = torch.empty_like(y), torch.empty_like(y)
        raw = []  # before the activation, (units, n)
        for bias, column in zip(self.biases, self.context_column, strict=True):
            start = bias[:, None].repeat(1, y.shape[1])
            if terms is not None and column >= 0:
                start += terms[:, column : column + len(bias)].T
            raw.append(start)
        active = [torch.empty_like(values) for values in raw]
        for i in range(len(y)):
            source, seen = x, i
            for layer, weight in enumerate(self.weights):
                new = slice(self.upto[layer][i - 1] if i else 0, self.upto[layer][i])
                if new.stop > new.start:
                    values = raw[layer][new].addmm_(weight[new, :seen], source[:seen])
                    if self.residual and layer >= 2 and layer % 2 == 0:
                        values += raw[layer - 2][new]
                    active[layer][new] = self.activation(values)
                source, seen = active[layer], new.stop
            last = raw[-1] if self.residual else active[-1]
            params = torch.addmm(self.last_bias[i], last[:seen].T, self.last_weight[i, :, :seen].T)
            x[i], log_det[i] = self.element(y[i], params, inverse)
        result = torch.empty_like(x)
        result[self.order] = x
        return result.T.contiguous(), log_det.sum(0)


class PlanCache(Kept):
    """The plan of one network, until its weights change: see `versions.trusting` for how that is noticed."""

    def clear(self) -> None:
        super().clear()
        self.print: Tensor | None = None

    def get(self, net: MADE, element: Element, rows: int = FEW_ROWS) -> Plan:
        """The plan for a call with ``rows`` rows."""
        # As net.parameters(), which takes longer than everything else here.
        parts = (*net.layers._modules.values(), net.final, *net.context_layers._modules.values())
        weights: list[Any] = [weight for part in parts for weight in part._parameters.values()]  # type: ignore[union-attr]
        current = versions(weights)
        if trusting(net, rows) and current is not None and current == self.versions:
            return self.value
        found = fingerprint(weights)
        if self.print is None or not _same(found, self.print):
            self.value = Plan(net, element)
        self.versions, self.print = current, found
        return self.value


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)


def known(net: MADE) -> bool:
    """Whether ``net`` is the network that a plan describes, part by part."""
    return (
        plain(net, MADE)
        and net.inputs == tuple(range(net.dim))
        and plain(net.activation, ACTIVATIONS[net.activation_name])
        and plain(net.final, MaskedLinear)
        and all(plain(layer, MaskedLinear) for layer in net.layers)
        and all(plain(layer, nn.Linear) for layer in net.context_layers)
        and all(p.bias is not None for p in (net.final, *net.layers, *net.context_layers))
    )


def solve(
    net: MADE,
    element: Element,
    plans: PlanCache,
    y: Float[Tensor, "n dim"],
    context: Float[Tensor, "n context"] | None,
    inverse: bool,
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
    """Solve ``v_i = element(y_i, net(v)_i, inverse)`` one dimension after the other, without gradients.

    A network with parts that a plan does not know (see `known`) is solved by full passes.

    Parameters
    ----------
    net : MADE
        The masked network and the map of each dimension.
    element : Element
        The masked network and the map of each dimension.
    plans : PlanCache
        Keeps the packed weights between calls.
    y : Tensor, shape (n, dim)
        (n, dim) values.
    context : Tensor, shape (n, context) or None
        (n, context) or None.
    inverse : bool
        Direction of the elementwise map.

    Returns
    -------
    v, log_det : Tensor, shape (n, dim), Tensor, shape (n,)
        (n, dim) solution and (n,) log-determinant of y -> v.
    """
    if not known(net):
        return solve_naive(net, element, y, context, inverse)
    return plans.get(net, element, y.shape[0]).solve(y, context, inverse)


def solve_naive(
    net: MADE,
    element: Element,
    y: Float[Tensor, "n dim"],
    context: Float[Tensor, "n context"] | None,
    inverse: bool,
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
    """The same by one full pass of the network per dimension, differentiable as often as one likes."""
    v, log_det = torch.zeros_like(y), torch.zeros_like(y)
    for _ in range(y.shape[1]):
        v, log_det = element(y, net(element.features(v), context), inverse)
    return v, log_det.sum(-1)
