"""A sample from blocks: one process per block, so that a crash costs one block, and joined at the end."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, RunError
from ...files import write_json
from .events import to_columns
from .settings import KINDS, Simulation
from .worker import SETTINGS, block_file, read_block

_ATTEMPTS = 2

BlockName = tuple[str, int, int]


@dataclass(frozen=True)
class Yield:
    """What became of one kind of events.

    Attributes
    ----------
    kind : str
        "background" or "signal".
    accepted, generated : int
        Events in the sample, and those generated down to hadrons for them.
    cross_section, error : float
        Of the accepted events in pb, and its statistical error.
    luminosity : float
        Integrated luminosity in 1/fb to which the sample corresponds.
    """

    kind: str
    accepted: int
    generated: int
    cross_section: float
    error: float
    luminosity: float

    def __str__(self) -> str:
        return (
            f"{self.accepted:,} {self.kind} of {self.generated:,} generated, {self.cross_section:.4g} "
            f"+- {self.error:.2g} pb, as in {self.luminosity:.4g} / fb"
        )


def run_blocks(
    settings: Simulation,
    folder: Path,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda events: None,
) -> None:
    """Simulate all blocks that are not in ``folder`` yet.

    Parameters
    ----------
    settings : Simulation
        The sample.
    folder : path
        An existing one; blocks of another sample must not be in it.
    workers : int, optional
        Processes at a time; the available cores if None.
    progress : callable
        Called with the number of accepted events so far.

    Raises
    ------
    InputError
        If Pythia or FastJet are missing, or if no event passes.
    RunError
        If a block failed twice. The finished blocks stay, also after Ctrl-C.
    """
    if workers is not None and workers < 1:
        raise InputError(f"the number of workers must be positive, got {workers}")
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    write_json(folder / SETTINGS, asdict(settings))
    plan = settings.blocks()
    waiting = [block for block in plan if not block_file(folder, *block[:2]).is_file()]
    done = sum(n for _, _, n in plan) - sum(n for _, _, n in waiting)
    progress(done)
    running: dict[subprocess.Popen[bytes], tuple[BlockName, IO[bytes]]] = {}
    failures: dict[BlockName, list[str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                block = waiting.pop(0)
                said = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
                running[_launch(folder, block, said)] = block, said
            time.sleep(0.05)
            for process in [p for p in running if p.poll() is not None]:
                block, said = running.pop(process)
                words = _last_line(said)
                if process.returncode == 0:
                    done += block[2]
                    progress(done)
                elif process.returncode == 2:
                    raise InputError(words)
                else:
                    failures.setdefault(block, []).append(words or f"exit code {process.returncode}")
                    if len(failures[block]) < _ATTEMPTS:
                        waiting.append(block)
    except InputError:
        if not any(block_file(folder, *block[:2]).is_file() for block in plan):
            (folder / SETTINGS).unlink(missing_ok=True)  # nothing was begun
        raise
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    lost = {block: words for block, words in failures.items() if len(words) == _ATTEMPTS}
    if lost:
        (kind, index, _), words = next(iter(lost.items()))
        raise RunError(
            f"{len(lost)} of {len(plan)} blocks failed twice, the first is {kind} {index} ({words[-1]}); "
            "the others are kept: --resume tries these again"
        )


def join_blocks(settings: Simulation, folder: Path) -> tuple[dict[str, NDArray[Any]], list[Yield]]:
    """Join the blocks: columns of jets with labels, background first, and what each kind yielded."""
    jets, labels, yields = [], [], []
    for kind in KINDS:
        blocks = [read_block(block_file(folder, *b[:2])) for b in settings.blocks() if b[0] == kind]
        if not blocks:
            continue
        jets += [block.jets for block in blocks]
        accepted, generated = sum(len(b.jets) for b in blocks), sum(b.generated for b in blocks)
        labels.append(np.full(accepted, kind == "signal", dtype=np.int8))
        sigma = sum(b.cross_section * b.generated for b in blocks) / generated
        # Events that were left over in the last batches count in the cross section.
        yields.append(
            Yield(kind, accepted, generated, sigma, sigma / math.sqrt(accepted), accepted / sigma / 1000)
        )
    return to_columns(np.concatenate(jets), np.concatenate(labels)), yields


def _launch(folder: Path, block: BlockName, said: IO[bytes]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches the parent only, which ends the workers in order.
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.worker", str(folder), *map(str, block)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    said.close()
    return lines[-1] if lines else ""
