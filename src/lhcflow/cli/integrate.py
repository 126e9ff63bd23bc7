"""``lhcflow integrate``: the integral of a Python function over the unit cube."""

from __future__ import annotations

import contextlib
import shutil
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError, RunError
from .dask_option import dask_client
from .options import Force, Json, Quiet, Resume, Seed, check_json, console

SECONDS = 60  # of work that are not worth a folder if the function fails
SAMPLER, POINTS = WRITES = ("sampler.npz", "points.npz")


class Method(StrEnum):
    """What integrates."""

    auto = "auto"
    vegas = "vegas"
    flow = "flow"


def integrate(
    function: Annotated[
        str, typer.Argument(metavar="FILE.py:FUNCTION", help="Takes points (n, dim), gives (n,) or (n, m).")
    ],
    dim: Annotated[int, typer.Option(min=1, help="Number of dimensions.")],
    calls: Annotated[int, typer.Option(min=1000, help="Most evaluations of the function.")] = 200_000,
    rtol: Annotated[float | None, typer.Option(help="Stop at this relative error.")] = None,
    atol: Annotated[float | None, typer.Option(help="Stop at this absolute error.")] = None,
    method: Annotated[Method, typer.Option(help="VEGAS+, a flow, or what pays.")] = Method.auto,
    cost: Annotated[float | None, typer.Option(help="Seconds per evaluation, for --method auto.")] = None,
    torch: Annotated[
        bool, typer.Option("--torch", help="The function takes and gives torch tensors.")
    ] = False,
    point: Annotated[bool, typer.Option("--point", help="The function takes one point at a time.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that evaluate the function.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Dask scheduler to evaluate on, such as tcp://host:8786."),
    ] = None,
    events: Annotated[
        int, typer.Option("--events", "-n", min=0, help="Unweighted points for points.npz; needs --out.")
    ] = 0,
    overweight: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of the integral that overweight points may carry.")
    ] = 1e-3,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for results, sampler and points; none if not given."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    resume: Resume = False,
    force: Force = False,
) -> None:
    """Integrate a Python function over the unit cube."""
    import numpy as np

    check_json(json)
    if events and out is None:
        raise InputError("--events writes to the folder of the run: give --out DIR")
    if resume and out is None:
        raise InputError("--resume goes on in the folder of a run: give --out DIR")
    from ..files import content_hash, write_json
    from ..integration import Integrand, Integrator
    from ..integration.from_file import FileFunction
    from ..runs import RunDirectory

    loaded = FileFunction(function)
    integrator = Integrator(dim, seed, method.value)
    card = {
        "command": "integrate",
        "function": function,
        "content": content_hash(loaded.path),
        "dim": dim,
        "calls": calls,
        "rtol": rtol,
        "atol": atol,
        "method": method.value,
        "cost": cost,
        "torch": torch,
        "point": point,
        "events": events,
        "overweight": overweight,
        "seed": seed,
    }
    screen = console(quiet)
    with (
        dask_client(dask) as client,
        Integrand(loaded, dim, torch=torch, batch=not point, workers=workers, client=client) as integrand,
    ):
        # What can be wrong with the function is found here, before --force removes another run.
        integrand(np.random.default_rng(seed).random((2, dim)))
        run = None if out is None else RunDirectory(out, card, force=force, resume=resume, writes=WRITES)
        with contextlib.nullcontext() if run is None else run:
            checkpoint = None if run is None else run.checkpoints / "integral"
            begin = time.monotonic()
            try:
                result = integrator.integrate(
                    integrand, calls, rtol, atol, cost=cost, quiet=quiet, checkpoint=checkpoint, resume=resume
                )
            except InputError:
                # The function will be mended, and another function can't go on with these values.
                if checkpoint is not None and not resume and time.monotonic() - begin < SECONDS:
                    shutil.rmtree(checkpoint, ignore_errors=True)
                raise
            results: dict[str, Any] = {"function": function, "dim": dim, **result.to_dict()}
            if run is not None and result.sampler is not None:
                result.sampler.save(run.path / SAMPLER)
                if events:
                    try:
                        results["points"] = _unweight(result.sampler, events, overweight, run.path / POINTS)
                    except (InputError, RunError) as error:  # the integral is not lost with its points
                        run.finish(results)
                        raise RunError(f"{error} The integral is in {run.path}, without points") from error
    screen.print(result.summary(), markup=False)
    screen.print(f"\n{result.method}: {result}", markup=False)
    if run is not None:
        run.finish(results)
        shutil.rmtree(run.checkpoints / "integral", ignore_errors=True)
        screen.print(f"written to {run.path}", markup=False)
    if json:
        write_json(json, results)


def _unweight(sampler: Any, n: int, overweight: float, path: Path) -> dict[str, Any]:
    """Write unweighted points; what to say about them in the results."""
    import numpy as np

    from ..files import atomic_write

    points = sampler.unweight(n, overweight)
    with atomic_write(path, "wb") as file:
        np.savez(file, x=points.x, weight=points.weight)
    return {
        "file": path.name,
        "n": n,
        "efficiency": points.efficiency,
        "overweight": points.overweight,
        "w_max": points.w_max,
        "trials": points.trials,
    }
