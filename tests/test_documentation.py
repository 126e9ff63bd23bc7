"""The code in the tutorials and in the README runs as it stands."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def script(name):
    """A script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures = script("figures")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[th]*/*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_a_page_runs(page, tmp_path):
    made = figures.run(page, tmp_path)
    for figure in made:
        shown = page.parent.parent / "figures" / figure.name
        assert shown.is_file(), f"{figure.name} is made but not shown: run make figures"


def test_the_page_of_the_command_line_has_all_commands():
    page = script("hooks").command_line()
    for command in ("generate", "integrate", "calo train", "calo evaluate", "bumphunt run", "doctor"):
        assert f"## `lhcflow {command}`" in page
    assert "* `--seed" in page
    assert "&quot;" not in page
