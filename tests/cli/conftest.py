import os
import subprocess
import sys

import pytest


@pytest.fixture
def lhcflow(tmp_path):
    """Run the command line in a process of its own, in an empty folder."""

    def run(*arguments, check=True, code=None, **environment):
        done = subprocess.run(
            [sys.executable, "-c", code or "from lhcflow.cli import main; main()", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"} | environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run
