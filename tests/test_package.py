"""The house rules that a machine can check."""

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lhcflow

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "lhcflow"
# A room imports only from those before it (docs/architecture.md); plotting draws arrays and knows nobody.
ROOMS = [
    "errors",
    "files",
    "_native",
    "flows",
    "training",
    "classifiers",
    "integration",
    "processes",
    "calorimeter",
    "bumphunt",
    "plotting",
    "cli",
]
PARTS = [
    "flows",
    "training",
    "classifiers",
    "integration",
    "processes",
    "calorimeter",
    "bumphunt",
    "plotting",
]
EXCEPTIONS = {"plotting": {"errors"}}


def imports(path: Path) -> set[str]:
    """Rooms of lhcflow that a file imports, at its top or inside functions."""
    package = path.relative_to(SOURCE.parent).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = (*base, *(node.module or "").split(".")) if node.module else base
            names = [(*full, alias.name) for alias in node.names] if len(full) == 1 else [full]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "lhcflow" and len(name) > 1}
    return found & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_above_it(room):
    files = (
        [SOURCE / f"{room}.py"]
        if (SOURCE / f"{room}.py").is_file()
        else sorted((SOURCE / room).rglob("*.py"))
    )
    assert files
    allowed = EXCEPTIONS.get(room, set(ROOMS[: ROOMS.index(room)])) | {room}
    for file in files:
        assert imports(file) <= allowed, file


def test_the_rule_sees_imports():
    assert {"errors", "files"} <= imports(SOURCE / "cli" / "doctor.py") | imports(
        SOURCE / "cli" / "options.py"
    )


@pytest.mark.parametrize("part", PARTS)
def test_public_names_exist_and_are_documented(part):
    module = importlib.import_module(f"lhcflow.{part}")
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__) > 0
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"lhcflow.{part}.{name} has no docstring"


def test_one_version_everywhere():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    assert lhcflow.__version__ == project["version"]
    assert f"\nversion: {project['version']}\n" in (ROOT / "CITATION.cff").read_text()


def test_every_direct_dependency_is_pinned():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [*project["dependencies"], *(r for e in project["optional-dependencies"].values() for r in e)]
    names = {"".join(c if c.isalnum() or c in "-_" else " " for c in r).split()[0] for r in wanted} - {
        "lhcflow"
    }
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in pins if "==" in line}
    assert names <= pinned


def test_the_benchmark_page_is_what_the_results_say():
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "table.py", "--check"], check=False)
    assert done.returncode == 0, "run python benchmarks/table.py"


def test_sources_are_not_too_long():
    long = {
        str(file.relative_to(ROOT)): lines
        for file in SOURCE.rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 450
    }
    assert long == {}
