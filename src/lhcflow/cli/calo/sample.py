"""``lhcflow calo sample``: showers from a trained model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import AnyScale, Device, Json, Quiet, Seed, check_json, console
from .train import MODEL_FILE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...calorimeter import Geometry
    from ...calorimeter.models import ShowerModel


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training, or its model file.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.h5", help="File of the showers.")],
    showers: Annotated[int, typer.Option("--showers", "-n", min=1, help="Number of showers.")] = 1000,
    energy: Annotated[
        tuple[float, float], typer.Option(help="Limits of the uniform incident energy, GeV.")
    ] = (1.0, 100.0),
    like: Annotated[
        Path | None, typer.Option(metavar="FILE.h5", help="Take the incident energies of this file instead.")
    ] = None,
    geometry: Annotated[
        str | None, typer.Option(help="XML file, if the model is of no known geometry.")
    ] = None,
    any_scale: AnyScale = False,
    device: Device = "auto",
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Sample showers from a trained model."""
    import numpy as np

    from ...calorimeter import Showers, ShowerWriter
    from ...calorimeter.geometries import geometry as named
    from ...calorimeter.models import geometry_of
    from ...errors import InputError
    from ...files import write_json
    from ...outputs import HDF5, check_output
    from ...training import progress_bar
    from ...training.distributed import initialize

    inputs = (run, run / MODEL_FILE, like, None if geometry is None else Path(geometry))
    check_json(json, *inputs, out)
    check_output(out, HDF5, inputs)
    model = load_model(run).to(initialize(device))
    place = geometry_of(model) if geometry is None else named(geometry)
    if place.voxels != model.layers.voxels:
        raise InputError(f"the model has {model.layers.voxels} voxels, {place} has {place.voxels}")
    if like is not None:
        incident = _energies(like, place, any_scale)
    else:
        low, high = energy
        if not 0 < low <= high:
            raise InputError(f"--energy takes a lower and an upper limit in GeV, got {low:g} {high:g}")
        incident = 1e3 * np.random.default_rng(seed).uniform(low, high, showers)
    screen = console(quiet)
    trained = getattr(getattr(model, "energies", None), "trained", ())
    if trained and not 0.9 * trained[0] <= incident.min() <= incident.max() <= 1.1 * trained[1]:
        screen.print(
            f"WARNING The model was trained between {1e-3 * trained[0]:.3g} and {1e-3 * trained[1]:.3g} GeV: "
            "showers of other energies are guesses.",
            style="yellow",
            markup=False,
        )
    started, cpu = time.perf_counter(), time.process_time()
    done = 0
    description = {"generator": type(model).__name__, "seed": seed}
    with (
        ShowerWriter(out, place, description) as writer,
        progress_bar(len(incident), "showers", not quiet) as update,
    ):
        for part in model.batches(incident, seed):
            energies = (incident[done : done + len(part)] / place.energy_unit).astype(np.float32)
            writer.append(Showers(place, energies, part))
            done += len(part)
            update(done, "")
    results = {
        "file": str(out),
        "showers": done,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
    }
    if json:
        write_json(json, results)
    rate = 1e3 * results["cpu_seconds"] / done
    screen.print(f"{done:,} showers in {out}, {rate:.2f} ms CPU time each", markup=False)


def load_model(run: Path) -> ShowerModel:
    """The model in the folder of a training, or in a file."""
    from ...calorimeter.models import ShowerModel
    from ...errors import InputError

    if not run.is_dir():
        return ShowerModel.load(run)
    if not (run / MODEL_FILE).is_file():
        raise InputError(f"{run} holds no {MODEL_FILE}: has its training finished?")
    return ShowerModel.load(run / MODEL_FILE)


def _energies(path: Path, place: Geometry, any_scale: bool) -> NDArray[np.float64]:
    """Incident energies of a file in MeV; the file may be in the model's geometry or in a known one."""
    import numpy as np

    from ...calorimeter import ShowerFile
    from ...errors import InputError

    try:
        opened = ShowerFile(path, any_scale=any_scale)
    except InputError as error:
        if "--geometry" not in str(error):
            raise
        opened = ShowerFile(path, place, any_scale=any_scale)
    with opened as file:
        return np.concatenate([part.energy_mev for part in file.chunks()])
