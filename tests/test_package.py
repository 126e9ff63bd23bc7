"""The house rules that a machine can check."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import lhcflow

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "lhcflow"
# What each part of the package imports of the others (docs/architecture.md). Whoever adds an arrow adds it
# here, and asks first whether it points in the right direction.
BASE = {"errors", "arguments", "files", "runs", "hdf5", "jobs", "outputs"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "arguments": {"errors"},
    "files": {"errors"},
    "hdf5": {"errors", "files"},
    "jobs": {"errors", "files"},
    "outputs": {"errors"},
    "runs": {"errors", "files"},
    "_native": set(),
    "flows": BASE | {"_native"},
    "training": BASE | {"flows"},
    "classifiers": BASE | {"training"},
    "integration": BASE | {"_native", "flows", "training"},
    "processes": BASE | {"_native", "integration"},
    "calorimeter": BASE | {"flows", "training", "classifiers"},
    "bumphunt": BASE | {"flows", "training", "classifiers"},
    "plotting": {"errors", "files"},
}
PARTS = [part for part in ALLOWED if part not in BASE | {"_native"}]
# These stand above all parts and may import them all; no part imports them.
ALLOWED["reproduce"] = {*ALLOWED}
ALLOWED["cli"] = {*ALLOWED}


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
    return found & {*ALLOWED}


def files_of(part: str) -> list[Path]:
    single = SOURCE / f"{part}.py"
    return [single] if single.is_file() else sorted((SOURCE / part).rglob("*.py"))


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_it_may(part):
    assert files_of(part)
    for file in files_of(part):
        assert imports(file) - {part} <= ALLOWED[part], file


def test_all_parts_are_in_the_table():
    names = {p.stem for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert names - {"__init__", "__main__"} == {*ALLOWED}


def test_there_are_no_circles():
    """Follow the arrows from any part: none leads back."""

    arrows = {part: set().union(*map(imports, files_of(part))) - {part} for part in ALLOWED}

    def follow(part, path):
        assert part not in path, " -> ".join([*path, part])
        for other in arrows[part]:
            follow(other, (*path, part))

    for part in ALLOWED:
        follow(part, ())


def test_the_rule_sees_imports():
    assert {"errors", "files"} <= imports(SOURCE / "flows" / "tensor_file.py")
    assert imports(SOURCE / "cli" / "doctor.py")  # inside a function


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


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda p: p.stem)
def test_workflows_are_what_github_reads(path):
    """They parse, have jobs with runners and steps, and install extras that exist."""
    workflow = yaml.safe_load(path.read_text())
    assert {"name", "jobs", "permissions"} <= workflow.keys()
    assert workflow.get("on", workflow.get(True))  # YAML 1.1 takes the word for a boolean
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for name, job in workflow["jobs"].items():
        assert job["runs-on"], name
        needs = job.get("needs", [])
        assert ({needs} if isinstance(needs, str) else {*needs}) <= {*workflow["jobs"]}
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            for extra in re.findall(r"'\.\[(.*?)\]'", step.get("run", "")):
                assert extra in extras


def test_ci_runs_the_command_of_the_readme():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "run: make test" in workflow
    for version in re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text()):
        assert f'"{version}"' in workflow
