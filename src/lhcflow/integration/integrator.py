"""The front door: one integral by VEGAS+, by a flow, or by whichever pays."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np

from ..arguments import positive, whole
from ..errors import InputError
from ..training.identity import identity
from .auto import integrate_auto
from .categories import Categories
from .evaluate import Function, Integrand
from .flow_method import integrate_flow
from .flow_settings import FlowSettings
from .journal import Journal
from .mixed_method import integrate_mixed
from .results import Result
from .task import Task
from .vegas_method import integrate_vegas

Method = Literal["auto", "vegas", "flow"]


class Integrator:
    """Integrates functions over the unit cube.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    seed : int or np.random.SeedSequence
        Of all random numbers; the same seed gives the same result.
    method : "vegas" (VEGAS+), "flow" (a normalizing flow, with VEGAS+ on its latent cube), or "auto": VEGAS+
        first, and the flow if it is predicted to pay.
    settings : FlowSettings, optional
        Of the flow and its training.
    categories : Categories, optional
        Of the first coordinate, if that stands for discrete variables, such as channels. VEGAS then has a
        grid for each category; "flow" and "auto" train one flow for all of them.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> result = Integrator(2, seed=1, method="vegas").integrate(lambda x: x.sum(axis=1), calls=10_000)
    >>> abs(result.mean - 1) < 5 * result.sdev
    True
    """

    def __init__(
        self,
        dim: int,
        seed: int | np.random.SeedSequence = 0,
        method: Method = "auto",
        *,
        settings: FlowSettings | None = None,
        categories: Categories | None = None,
    ) -> None:
        dim = whole(dim, "dim", 1)
        if method not in ("auto", "vegas", "flow"):
            raise InputError(f'method must be "auto", "vegas" or "flow", got {method!r}')
        self.dim = dim
        self.method: Method = method
        if settings is not None and not isinstance(settings, FlowSettings):
            raise InputError(f"settings must be FlowSettings, got {type(settings).__name__}")
        if categories is not None and not isinstance(categories, Categories):
            raise InputError(f"categories must be Categories, got {type(categories).__name__}")
        self.settings = FlowSettings() if settings is None else settings
        self.categories = categories
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(None if seed is None else whole(seed, "seed", 0))
        self._seed = seed

    def integrate(
        self,
        f: Function | Integrand,
        calls: int = 200_000,
        rtol: float | None = None,
        atol: float | None = None,
        *,
        cost: float | None = None,
        quiet: bool = True,
        torch: bool = False,
        batch: bool = True,
        workers: int = 1,
        client: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Result:
        """Integrate ``f``.

        Parameters
        ----------
        f : Function or Integrand
            Function of points (n, dim) in the unit cube with values (n,), or (n, m) for m integrals at once:
            the first that is not zero everywhere drives the adaptation. Or an `Integrand`. Values must
            be real; real and imaginary part of a complex function are a vector of two.
        calls : int
            The budget of evaluations, adaptation included.
        rtol, atol : float, optional
            Stop before the budget when all errors are below ``rtol |mean|`` or below ``atol``.
        cost : float, optional
            Seconds per evaluation; with it, "auto" compares methods by the time they take to reach the same
            error, without it by the error they reach with the same calls.
        quiet : bool
            False shows the progress on a terminal.
        torch, batch : bool
            See `Integrand`.
        workers : int
            See `Integrand`.
        client : object
            See `Integrand`.
        checkpoint : path, optional
            A folder for what took time: values of ``f`` and fits of the flow. It may be removed when the
            integration is done.
        resume : bool
            Use what the folder holds: an integration that was stopped gives the same result, bit for bit,
            with the same arguments, number of threads and version of torch.

        Returns
        -------
        Result
            With a sampler of the integrand, and with warnings where something is doubtful.

        Raises
        ------
        InputError
            If an argument or what the integrand gives is wrong, or the checkpoint is of another integration.
        """
        calls = whole(calls, "calls", 1000)
        rtol, atol, cost = positive(rtol, "rtol"), positive(atol, "atol"), positive(cost, "cost")
        if self.method != "vegas":
            self.settings.require_device()
        if isinstance(f, Integrand):
            integrand, own = f, False
        else:
            integrand = Integrand(f, self.dim, torch=torch, batch=batch, workers=workers, client=client)
            own = True
        if integrand.dim != self.dim:
            raise InputError(f"the integrand has {integrand.dim} dimensions, the integrator {self.dim}")
        before = integrand.calls
        if resume and checkpoint is None:
            raise InputError("resume needs the folder of the checkpoint to resume from")
        seeds = self._seed.spawn(4)
        journal = None
        if checkpoint is not None:
            asked = {"dim": self.dim, "method": self.method, "seed": [list(s.spawn_key) for s in seeds]}
            asked |= {"entropy": self._seed.entropy, "calls": calls, "rtol": rtol, "atol": atol, "cost": cost}
            settings = {**vars(self.settings), "divergence": identity(self.settings.divergence)}
            journal = Journal(checkpoint, asked | {"settings": repr(settings)}, resume)
        task = Task(
            integrand, calls, rtol, atol, cost, quiet, seeds, self.settings, before, journal, self.categories
        )
        integrand.journal = journal
        integrand.start()
        try:
            if self.categories is not None:
                result = integrate_mixed(task, self.method)
            elif self.method == "vegas":
                result = integrate_vegas(task)
            else:
                result = integrate_flow(task) if self.method == "flow" else integrate_auto(task)
        finally:
            integrand.journal = None
            if own and integrand.workers > 1:
                integrand.close()
        used = integrand.calls - before
        found = integrand.size_warnings(used, task.even_calls)
        return result.with_(calls=used).warn(*found, *_underflow(integrand, result), *integrand.report())

    def __repr__(self) -> str:
        return f"Integrator(dim={self.dim}, method={self.method!r})"


def _underflow(integrand: Integrand, result: Result) -> tuple[str, ...]:
    """A warning for components with values but without an error: the sum of their squares was lost."""
    largest = np.zeros(1) if integrand.largest is None else integrand.largest
    lost = np.flatnonzero((largest > 0) & (np.atleast_1d(result.sdev) == 0))
    if len(lost) == 0:
        return ()
    name = "the integrand" if len(largest) == 1 else f"component {', '.join(str(i + 1) for i in lost)}"
    return (f"the squares of the values of {name} are too small for float64: the error is not 0",)
