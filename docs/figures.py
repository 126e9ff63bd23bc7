"""Run the code of the tutorials and keep the figures that it makes in docs/figures.

python docs/figures.py [FOLDER]
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent


def run(page: Path, folder: Path) -> list[Path]:
    """Run all Python blocks of a page, one after the other, in ``folder``; return the figures they wrote."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.S | re.M)
    names: dict[str, object] = {"__name__": "__main__"}
    before = os.getcwd()
    os.chdir(folder)
    try:
        for block in blocks:
            exec(compile(block, str(page), "exec"), names)
    finally:
        os.chdir(before)
    return sorted(folder.glob("*.png"))


def main() -> None:
    """Run all tutorials."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "figures"
    for page in sorted((DOCS / "tutorials").glob("*.md")):
        with tempfile.TemporaryDirectory() as folder:
            for figure in run(page, Path(folder)):
                # A palette of 64 colours makes the files a quarter as large.
                Image.open(figure).convert("RGB").quantize(64).save(target / figure.name, optimize=True)
                print(target / figure.name)


if __name__ == "__main__":
    main()
