"""Geant4 showers on all cores: blocks in processes of their own, merged into one file."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...arguments import whole
from ...errors import InputError, RunError
from ...files import read_arrays
from ...runs import RunDirectory
from ..datasets import ShowerWriter
from ..geometries import geometry
from ..showers import Showers
from .data_sets import data_sets, require_geant4

PARTICLES = ("e+", "e-", "gamma", "pi+", "pi-")
BLOCK = 100  # showers, about a minute; part of what makes a file reproducible
_ATTEMPTS = 2
_WORDS = {"FTFP_BERT": "Geant4, FTFP_BERT", "data-free": "Geant4, data-free physics"}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What was simulated.

    Attributes
    ----------
    showers : int
        Number of showers in the file.
    physics : str
        What Geant4 ran, in words.
    cpu_seconds : float
        CPU time of all showers, Geant4's start not counted.
    mean_energy : float
        Mean incident energy, GeV.
    """

    showers: int
    physics: str
    cpu_seconds: float
    mean_energy: float

    def __str__(self) -> str:
        each = self.cpu_seconds / self.showers
        return (
            f"{self.showers} showers with {self.physics}: {each:.3g} CPU s each, "
            f"{each / self.mean_energy:.3g} CPU s per GeV"
        )


def simulate(
    particle: str,
    showers: int,
    out: str | os.PathLike[str],
    *,
    energy: tuple[float, float] = (1.0, 100.0),
    seed: int = 0,
    cut: float = 0.7,
    physics: str = "auto",
    workers: int | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Simulate showers in the CaloGAN calorimeter (1705.02355) and write them in its format.

    Blocks of 100 showers run in processes of their own. Finished blocks lie in ``OUT.parts`` until the last
    one is there: Ctrl-C or a crash costs only the blocks at work, and ``resume`` goes on. The showers depend
    on ``seed``, not on the number of workers.

    Parameters
    ----------
    particle : str
        One of PARTICLES; it flies along z from the middle of the front face.
    showers : int
        How many.
    out : path
        The HDF5 file (`lhcflow.calorimeter.write_showers`).
    energy : (float, float)
        Limits of the uniform distribution of the incident energy, GeV.
    seed : int
        Seeds Geant4 and the energies.
    cut : float
        Production cut in mm; 0.7 is Geant4's usual value and CaloGAN's.
    physics : str
        "FTFP_BERT"; "data-free" for models that need no data files (see
        `lhcflow.calorimeter.geant4.data_free`); "auto" for the first where Geant4's data sets are
        installed and the second elsewhere.
    workers : int, optional
        Number of processes at a time; the number of cores if None.
    resume, force : bool
        Go on with, or throw away, what an earlier call left.
    progress : callable, optional
        Is called with the number of finished showers.

    Raises
    ------
    InputError
        For wrong arguments, a missing extra, or an existing file without ``force``.
    RunError
        If Geant4 fails twice in the same block.
    """
    _check(particle, showers, energy, cut, workers)
    seed = whole(seed, "seed", 0)
    require_geant4()
    model = _choose(physics)
    target = Path(out)
    if target.exists() and not force:
        raise InputError(f"{out} exists: --force to replace it, or another name")
    if not target.resolve().parent.is_dir():
        raise InputError(
            f"can't write {out}: the folder {target.resolve().parent} does not exist, create it first"
        )
    card = {
        "particle": particle,
        "showers": showers,
        "energy": [float(e) for e in energy],
        "seed": seed,
        "cut": cut,
        "physics": model,
    }
    place = target.with_name(target.name + ".parts")
    with RunDirectory(place, card, force=force, resume=resume) as parts:
        tasks = [
            {
                **card,
                "showers": min(BLOCK, showers - first),
                "block": first // BLOCK,
                "path": str((parts.checkpoints / f"{first // BLOCK}.npz").resolve()),
            }
            for first in range(0, showers, BLOCK)
        ]
        _run(tasks, workers or _cores(), progress or (lambda done: None))
        summary = _merge(tasks, target, card)
    shutil.rmtree(parts.path)
    return summary


def _check(particle: str, showers: int, energy: tuple[float, float], cut: float, workers: int | None) -> None:
    if particle not in PARTICLES:
        raise InputError(f"unknown particle {particle!r}: choose from {', '.join(PARTICLES)}")
    if showers < 1:
        raise InputError(f"the number of showers must be positive, got {showers}")
    if not (len(energy) == 2 and 0 < energy[0] <= energy[1] <= 1e5):
        raise InputError(f"energies in GeV must satisfy 0 < lower <= upper <= 1e5, got {energy}")
    if not (math.isfinite(cut) and cut > 0):
        raise InputError(f"the production cut must be a positive number of mm, got {cut}")
    if workers is not None and workers < 1:
        raise InputError(f"the number of workers must be positive, got {workers}")


def _choose(physics: str) -> str:
    if physics not in ("auto", "FTFP_BERT", "data-free"):
        raise InputError(f"physics is 'auto', 'FTFP_BERT' or 'data-free', got {physics!r}")
    installed = data_sets() is not None
    if physics == "FTFP_BERT" and not installed:
        raise InputError(
            "FTFP_BERT needs Geant4's data sets: set GEANT4_DATA_DIR to their folder, or take data-free"
        )
    if physics == "auto":
        return "FTFP_BERT" if installed else "data-free"
    return physics


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _run(tasks: list[dict], workers: int, progress: Callable[[int], None]) -> None:
    """Simulate the blocks whose files are missing, ``workers`` at a time."""
    waiting = [t for t in tasks if not Path(t["path"]).is_file()]
    done = sum(t["showers"] for t in tasks) - sum(t["showers"] for t in waiting)
    progress(done)
    attempts = dict.fromkeys((t["path"] for t in tasks), 0)
    running: list[tuple[subprocess.Popen, dict, Path]] = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as logs:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    task = waiting.pop(0)
                    log = Path(logs, f"{task['block']}.log")
                    with open(log, "wb") as file:
                        process = subprocess.Popen(
                            [sys.executable, "-m", "lhcflow.calorimeter.geant4.worker", json.dumps(task)],
                            stdin=subprocess.DEVNULL,
                            stdout=file,
                            stderr=subprocess.STDOUT,
                            env=environment,
                            cwd=logs,
                        )
                    running.append((process, task, log))
                time.sleep(0.1)
                for entry in [r for r in running if r[0].poll() is not None]:
                    running.remove(entry)
                    process, task, log = entry
                    if Path(task["path"]).is_file():
                        done += task["showers"]
                        progress(done)
                        continue
                    attempts[task["path"]] += 1
                    if attempts[task["path"]] == _ATTEMPTS:
                        raise RunError(
                            f"Geant4 failed in block {task['block']} (exit code {process.returncode}): "
                            f"{_last_line(log)}; finished blocks are kept, --resume goes on"
                        )
                    waiting.insert(0, task)
        finally:
            for process, _, _ in running:
                process.kill()
                process.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def _merge(tasks: list[dict], target: Path, card: dict) -> Simulation:
    """Write the blocks, in their order, to one file."""
    calogan = geometry("calogan")
    seconds = [0.0]
    energies = []
    description = {
        key: json.dumps(value) if isinstance(value, list) else str(value) for key, value in card.items()
    }
    description["simulation"] = _WORDS[card["physics"]]
    with ShowerWriter(target, calogan, description) as file:
        for task in tasks:
            try:
                block = read_arrays(task["path"])
                energy = block["energy"].astype(np.float32)
                file.append(Showers(calogan, energy, block["voxels"], block["overflow"]))
            except (InputError, KeyError):
                Path(task["path"]).unlink(missing_ok=True)
                raise RunError(
                    f"block {task['block']} was damaged and is removed: --resume makes it again"
                ) from None
            seconds.append(float(block["seconds"].sum()))
            energies.append(block["energy"])
    mean = float(np.concatenate(energies).mean())
    return Simulation(card["showers"], _WORDS[card["physics"]], sum(seconds), mean)
