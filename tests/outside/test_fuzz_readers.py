"""Damaged files: every reader gives what is right or one line of an error, whatever bytes it meets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .fuzzing import READERS

SCRIPT = Path(__file__).with_name("fuzzing.py")
SECONDS = 600 / len(READERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_files(tmp_path, name):
    """Ten minutes for all readers; in a process of its own, as HDF5 may end in a segmentation fault."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), name, str(SECONDS), "1", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    kept = Path(f"/tmp/lhcflow_fuzzing_{name}")
    if done.returncode:
        kept.write_bytes((tmp_path / "input").read_bytes())
    assert done.returncode == 0, f"{done.stderr[-3000:]}\nthe file is kept as {kept}"
    print(done.stdout)
