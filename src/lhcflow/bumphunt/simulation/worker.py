"""One block in a process: ``python -m lhcflow.bumphunt.simulation.worker FOLDER KIND INDEX EVENTS``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from ...errors import LhcflowError
from ...files import atomic_write
from .events import Block, simulate_block
from .settings import Simulation

SETTINGS = "settings.json"


def block_file(folder: Path, kind: str, index: int) -> Path:
    """Where a block is written."""
    return folder / f"{kind}-{index:05d}.npz"


def read_block(path: Path) -> Block:
    """A block from its file."""
    with np.load(path) as saved:
        return Block(saved["jets"], int(saved["generated"]), float(saved["cross_section"]))


def main(arguments: list[str]) -> int:
    """Simulate one block; return 0, or 2 after one line on stderr about what was wrong."""
    folder, kind, index, events = Path(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])
    settings = Simulation(**json.loads((folder / SETTINGS).read_text()))
    try:
        block = simulate_block(settings, kind, index, events)
        with atomic_write(block_file(folder, kind, index), "wb") as file:
            np.savez(file, **vars(block))
    except LhcflowError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
