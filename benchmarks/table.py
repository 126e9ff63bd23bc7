"""Write docs/benchmarks.md from docs/results/*.json, so that no number in it is typed by hand.

    python benchmarks/table.py [--check]

With --check nothing is written, and the exit code is 1 if the page is not what the results say.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `benchmarks/table.py` from the JSON files in `docs/results`; each section names the command that
makes its file. `make bench` runs them all. Peers are installed from `benchmarks/requirements.txt`.
"""


def cell(value: object) -> str:
    """A value as it stands in a table: three digits are enough for every measurement here."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def table(columns: list[str], rows: list[list[object]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(columns))]
    lines = [columns, ["---:" if r else "---" for r in right], *[[cell(v) for v in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def section(path: Path) -> str:
    """One result file as a section of the page."""
    result = json.loads(path.read_text())
    parts = [
        f"## {result['title']}",
        f"`{result['command']}`" + (f", {result['machine']}" if result.get("machine") else ""),
    ]
    for one in result["tables"]:
        if one.get("title"):
            parts.append(f"### {one['title']}")
        parts.append(table(one["columns"], one["rows"]))
    parts.append("\n".join(f"- {note}" for note in result.get("notes", [])))
    return "\n\n".join(part for part in parts if part)


def main() -> int:
    """Write or check the page."""
    files = sorted((ROOT / "docs" / "results").glob("*.json"))
    page = "\n\n".join([HEAD.strip(), *(section(f) for f in files)]) + "\n"
    if "--check" in sys.argv[1:]:
        return int(not PAGE.is_file() or PAGE.read_text() != page)
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
