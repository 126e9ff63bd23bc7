"""Exit codes, errors in one line, and imports that stay light."""

import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "matplotlib", "scipy", "numpy", "pylhe")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("generate", "--help"), ("--version",), None])
def test_help_and_import_do_not_load_heavy_packages(lhcflow, arguments):
    call = "import lhcflow, lhcflow.cli" if arguments is None else "from lhcflow.cli import main; main()"
    code = f"""
import sys, atexit
atexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr))
{call}
"""
    done = lhcflow(*(arguments or ()), code=code)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nope",), "No such command 'nope'"),
        (("doctor", "--nope"), "No such option"),
        (("doctor", "--json", "missing/file.json"), "does not exist"),
        (("doctor", "--json", "."), "is a folder"),
        (("generate",), "Missing argument"),
        (("generate", "e+ e- > j j j", "--seed", "x"), "--seed"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(lhcflow, arguments, words):
    done = lhcflow(*arguments, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.startswith("lhcflow: ")
    assert len(done.stderr.splitlines()) == 1


FAILING = """
import sys
from lhcflow import InputError
from lhcflow.cli import app, main
from lhcflow.errors import RunError
import errno

@app.app.command()
def fail(kind: str) -> None:
    raise {
        "input": InputError("say what to do"),
        "run": RunError("the loss is not finite"),
        "disk": OSError(errno.ENOSPC, "No space left on device", "results.json"),
        "memory": MemoryError(),
        "stop": KeyboardInterrupt(),
        "bug": TypeError("one\\ntwo"),
    }[kind]

main()
"""


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("input", 2, "say what to do"),
        ("run", 2, "the loss is not finite"),
        ("disk", 2, "No space left on device: results.json"),
        ("memory", 2, "out of memory"),
        ("bug", 1, "TypeError: one two"),
    ],
)
def test_every_failure_has_its_exit_code_and_one_line(lhcflow, kind, code, words):
    done = lhcflow("fail", kind, code=FAILING, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    debugged = lhcflow("fail", kind, "--debug", code=FAILING, check=False)
    assert debugged.returncode == code
    assert "Traceback" in debugged.stderr


def test_ctrl_c_is_one_line_and_exit_code_130(lhcflow):
    done = lhcflow("fail", "stop", code=FAILING, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "lhcflow: stopped")


def test_output_may_be_closed_early(lhcflow):
    # The reading end of the pipe is closed at once, as in `lhcflow doctor | true`.
    closed = "import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1);"
    done = lhcflow("doctor", code=f"{closed} from lhcflow.cli import main; main()", check=False)
    assert done.stderr == ""


def test_doctor_prints_and_writes_what_is_installed(lhcflow, tmp_path):
    import torch

    from lhcflow._native import core

    done = lhcflow("doctor", "--json", "doctor.json")
    found = json.loads((tmp_path / "doctor.json").read_text())
    assert found["versions"]["torch"] == torch.__version__
    assert found["native"]["available"] == (core is not None)
    assert found["devices"][0]["threads"] == 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(found["extras"]) == set(extras) - {"test", "test-portable", "docs"}
    assert set(found["extras"]["pythia"]["versions"]) == {"pythia8mc", "fastjet"}
    assert found["extras"]["pythia"]["install"] == "pip install " + " ".join(
        f"'{r}'" for r in extras["pythia"]
    )
    assert len(found["versions"]) == 1 + len(project["dependencies"])
    assert torch.__version__ in done.stdout
    assert lhcflow("doctor", "--quiet").stdout == ""


def test_doctor_says_why_there_are_no_kernels(lhcflow, tmp_path):
    lhcflow("doctor", "--json", "doctor.json", LHCFLOW_NATIVE="0")
    found = json.loads((tmp_path / "doctor.json").read_text())
    assert found["native"] == {"available": False, "reason": "switched off by LHCFLOW_NATIVE=0"}


USERS = """
import sys
sys.path.insert(0, ".")
import typer
from lhcflow.cli import app, main
import amplitude

@app.app.command()
def fail(kind: str) -> None:
    if kind == "pool":
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            pool.submit(amplitude.squared, "raise").result()
    amplitude.squared(kind)

main()
"""
AMPLITUDE = """
import json, sys, lhcflow.files

def squared(kind):
    if kind == "raise":
        raise RuntimeError("my amplitude broke")
    if kind == "file":
        open("missing.dat")
    if kind == "below":
        json.loads("nonsense")
    if kind == "exit":
        sys.exit(0)
    if kind == "ours":
        lhcflow.files._toml_lines(None, ())
"""


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("raise", 2, "RuntimeError: my amplitude broke (in your code"),
        ("pool", 2, "RuntimeError: my amplitude broke (in your code"),
        ("file", 2, "FileNotFoundError"),
        ("below", 2, "JSONDecodeError"),
        ("exit", 2, "your code ended the program"),
        ("ours", 1, "an error of lhcflow"),
    ],
)
def test_errors_of_the_users_code_are_theirs(lhcflow, tmp_path, kind, code, words):
    (tmp_path / "amplitude.py").write_text(AMPLITUDE)
    done = lhcflow("fail", kind, code=USERS, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert ("amplitude.py, line" in done.stderr) == (code == 2)
    assert len(done.stderr.strip().splitlines()) == 1


def test_completion(lhcflow):
    environment = {"_LHCFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "lhcflow gen", "COMP_CWORD": "1"}
    assert lhcflow(**environment).stdout.split() == ["generate"]
    assert "--install-completion" in lhcflow("--help").stdout


@pytest.mark.parametrize("terminal", [True, False])
def test_tables_never_cut_a_number(terminal):
    import io

    from rich.console import Console

    from lhcflow.cli.report import print_table

    out = io.StringIO()
    screen = Console(file=out, width=40, force_terminal=terminal, color_system=None)
    header = ["method", *(f"column {i}" for i in range(8))]
    rows = [[name, *(f"{i}.23456789e-0{i}" for i in range(8))] for name in ("flow [1]", "vegas")]
    print_table(screen, header, rows)
    text = out.getvalue()
    for cell in (*header, *rows[0], *rows[1]):
        assert cell in text
    lines = text.splitlines()
    if terminal:  # in parts that fit, each with the names
        assert max(map(len, lines)) <= 40
        assert sum(line.startswith("vegas") for line in lines) == len(lines) / 3 == 4
    else:  # a line per row
        assert len(lines) == 3
        assert lines[2].split() == rows[1]
