"""The code in the tutorials and in the README runs as it stands."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPEC = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
figures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(figures)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[th]*/*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_a_page_runs(page, tmp_path):
    made = figures.run(page, tmp_path)
    for figure in made:
        shown = page.parent.parent / "figures" / figure.name
        assert shown.is_file(), f"{figure.name} is made but not shown: run make figures"
