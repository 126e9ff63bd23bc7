"""The front door: one integral by VEGAS+, by a flow, or by whichever pays."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..training.trainer import name_of
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
    dim : number of dimensions.
    seed : of all random numbers; the same seed gives the same result.
    method : "vegas" (VEGAS+), "flow" (a normalizing flow, with VEGAS+ on its latent cube), or "auto": VEGAS+
        first, and the flow if it is predicted to pay.
    settings : of the flow and its training.
    categories : of the first coordinate, if that stands for discrete variables, such as channels. VEGAS then
        has a grid for each category; "flow" and "auto" train one flow for all of them.

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
        if dim < 1:
            raise InputError(f"an integral needs dim >= 1, got {dim}")
        if method not in ("auto", "vegas", "flow"):
            raise InputError(f'method must be "auto", "vegas" or "flow", got {method!r}')
        self.dim = dim
        self.method: Method = method
        self.settings = settings or FlowSettings()
        self.categories = categories
        self._seed = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)

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
        f : function of points (n, dim) in the unit cube with values (n,), or (n, m) for m integrals at once:
            the first drives the adaptation. Or an :class:`Integrand`.
        calls : the budget of evaluations, adaptation included.
        rtol, atol : stop before the budget when all errors are below ``rtol |mean|`` or below ``atol``.
        cost : seconds per evaluation; with it, "auto" compares methods by the time they take to reach the
            same error, without it by the error they reach with the same calls.
        quiet : False shows the progress on a terminal.
        torch, batch, workers, client : see :class:`Integrand`.
        checkpoint : a folder for what took time: values of ``f`` and fits of the flow. It may be removed
            when the integration is done.
        resume : use what the folder holds: an integration that was stopped gives the same result, bit for
            bit, with the same arguments, number of threads and version of torch.

        Returns
        -------
        Result
            With a sampler of the integrand, and with warnings where something is doubtful.
        """
        if calls < 1000:
            raise InputError(f"an integral needs calls >= 1000, got {calls}")
        for name, value in (("rtol", rtol), ("atol", atol), ("cost", cost)):
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive, got {value}")
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
            settings = replace(self.settings, divergence=name_of(self.settings.divergence))
            journal = Journal(checkpoint, asked | {"settings": repr(settings)}, resume)
        task = Task(
            integrand, calls, rtol, atol, cost, quiet, seeds, self.settings, before, journal, self.categories
        )
        integrand.journal = journal
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
        return result.with_(calls=integrand.calls - before).warn(*integrand.report())

    def __repr__(self) -> str:
        return f"Integrator(dim={self.dim}, method={self.method!r})"
