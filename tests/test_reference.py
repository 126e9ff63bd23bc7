"""The reference: every public object has a page, and docstrings are numpydoc that tools can read."""

from __future__ import annotations

import re
from pathlib import Path

import griffe
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "lhcflow"
PARTS = sorted(p.parent.name for p in SOURCE.glob("*/__init__.py") if not p.parent.name.startswith("_"))
# Not parts that a user imports: what they do is in the page of the command line.
PARTS = [part for part in PARTS if part not in ("cli", "reproduce")]
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc|obj|ref):`")
# How a description begins that stands where a type belongs.
WORDS = "the an? of in at by number where whether what how which from see as one all for to is with after"
PROSE = re.compile(f"({'|'.join(WORDS.split())}) ", re.I)


@pytest.fixture(scope="session")
def package() -> griffe.Module:
    loaded = griffe.load(
        "lhcflow", search_paths=[ROOT / "src"], docstring_parser="numpy", resolve_aliases=True
    )
    assert isinstance(loaded, griffe.Module)
    return loaded


def public(module: griffe.Module) -> list[griffe.Object]:
    """What a package lists in ``__all__``, with the public methods of its classes."""
    found: list[griffe.Object] = []
    for name in module.exports or []:
        member = module[str(name)]
        target = member.final_target if isinstance(member, griffe.Alias) else member
        if isinstance(target, griffe.Module):
            continue
        found.append(target)
        if isinstance(target, griffe.Class):
            methods = [m for m in target.members.values() if isinstance(m, griffe.Function)]
            found += [m for m in methods if not m.name.startswith("_")]
    return found


@pytest.mark.parametrize("part", PARTS)
def test_docstrings_of_public_objects(part: str, package: griffe.Module) -> None:
    """Every entry of a section has a type where types belong, and a description."""
    module = package[part]
    assert module.exports, f"lhcflow.{part} lists nothing in __all__"
    problems = []
    for thing in public(module):
        if thing.docstring is None:
            if not isinstance(thing, griffe.Function):  # methods may inherit their docstring
                problems.append(f"{thing.path}: no docstring")
            continue
        for section in thing.docstring.parse("numpy", warnings=False):
            if section.kind.value not in ("parameters", "returns", "raises", "attributes", "yields"):
                continue
            for entry in section.value:
                name = getattr(entry, "name", "") or str(entry.annotation)
                if not entry.description.strip():
                    problems.append(f"{thing.path}: {name} has no description")
                kind = str(entry.annotation or "")
                if PROSE.match(kind) or (kind.endswith(".") and not kind.endswith("...")):
                    problems.append(f"{thing.path}: the type of {name} reads {kind!r}")
                if section.kind.value == "parameters" and not kind:
                    problems.append(f"{thing.path}: {name} has no type")
    assert not problems, "\n".join(problems)


def test_no_sphinx_roles() -> None:
    """The site shows them literally."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(SOURCE.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ROLE.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("part", PARTS)
def test_public_objects_have_a_page(part: str, package: griffe.Module) -> None:
    pages = "\n".join(p.read_text() for p in (ROOT / "docs" / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: (\S+)", pages, re.M))
    missing = []
    for name in package[part].exports or []:
        member = package[part][str(name)]
        path = member.final_target.path if isinstance(member, griffe.Alias) else member.path
        if member.is_module and name in member.members:
            # A function of the name of its module hides behind it, for the page of the package too.
            path = f"{path}.{name}"
            if path not in shown:
                missing.append(path)
        elif not shown & {f"lhcflow.{part}", f"lhcflow.{part}.{name}", path}:
            missing.append(path)
    assert not missing, "\n".join(missing)
