"""What MkDocs runs while it builds the site: the page of the command line is made from the commands."""

import html
import re
import subprocess
import sys

COMMANDS = "reference/command-line.md"


def command_line() -> str:
    """All commands with their arguments and options, in Markdown."""
    command = [sys.executable, "-m", "typer", "lhcflow.cli.app", "utils", "docs", "--name", "lhcflow"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = html.unescape(text)
    # The page has a title of its own; typer begins with the program's.
    text = re.sub(r"\A# .*\n", "", text)
    # typer does not show where a default is computed.
    return text.replace("[default: ()]", "")


def on_page_markdown(markdown: str, page: object, **_: object) -> str:
    """Append the commands to their page."""
    source = page.file.src_uri  # type: ignore[attr-defined]
    return markdown + command_line() if source == COMMANDS else markdown
