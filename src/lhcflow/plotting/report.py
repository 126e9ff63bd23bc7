"""A report: one HTML file that holds its figures, tables and settings, and asks nothing of the network."""

from __future__ import annotations

import base64
import html
import io
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Literal

from matplotlib.figure import Figure

from .style import style

# Pixels per inch of figure: the 9 pt of the figures then stand beside 16 px text.
_SCALE = 125
_PACKAGES = ("lhcflow", "torch", "numpy", "scipy", "matplotlib", "pylhe")


@dataclass(frozen=True)
class Table:
    """A table of text: ``rows`` of as many cells as ``header`` has, and a caption below."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure and its caption, whose first sentence is set in bold.

    ``form`` is "svg" (lines stay sharp in print) or "png" (for tens of thousands of points).
    """

    figure: Figure
    caption: str
    form: Literal["svg", "png"] = "svg"


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, and the tables and pictures below them."""

    title: str
    text: Sequence[str] = ()
    content: Sequence[Table | Picture] = field(default=())


def render(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    warnings: Sequence[str] = (),
    card: str = "",
    versions: Mapping[str, str] | None = None,
) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    title, subtitle : str
        Head of the page, plain text like all other text here.
    sections : sequence of Section
        In order.
    warnings : sequence of str
        What the reader must know before the numbers; shown in a box at the top.
    card : str
        The run card, everything needed to repeat the run.
    versions : mapping of str to str, optional
        Packages and their versions; those in use if None.
    """
    numbers = iter(range(1, 1000))
    body = [f"<header><h1>{_text(title)}</h1><p class=subtitle>{_text(subtitle)}</p></header>"]
    if warnings:
        items = "".join(f"<li>{_text(w)}</li>" for w in warnings)
        name = "Warning" if len(warnings) == 1 else "Warnings"
        body.append(f"<section class=warnings role=note><b>{name}</b><ul>{items}</ul></section>")
    for section in sections:
        parts = [f"<h2>{_text(section.title)}</h2>"]
        parts += [f"<p>{_text(paragraph)}</p>" for paragraph in section.text]
        for item in section.content:
            parts.append(_table(item) if isinstance(item, Table) else _picture(item, next(numbers)))
        body.append("<section>" + "\n".join(parts) + "</section>")
    if card:
        body.append(f"<section><h2>Run card</h2><pre>{_text(card.strip())}</pre></section>")
    used = used_versions() if versions is None else versions
    body.append("<footer>" + _text(", ".join(f"{k} {v}" for k, v in used.items())) + "</footer>")
    css = files("lhcflow.plotting").joinpath("report.css").read_text()
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def used_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a run's numbers depend on."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _text(text: str) -> str:
    return html.escape(text, quote=False)


def _table(table: Table) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in table.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n" for row in table.rows
    )
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    return (
        f"<div class=wide><table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _picture(picture: Picture, number: int) -> str:
    first, _, rest = picture.caption.partition(". ")
    caption = f"<b>Figure {number}. {_text(first.rstrip('.'))}.</b> {_text(rest)}"
    image = _svg(picture.figure, f"f{number}") if picture.form == "svg" else _png(picture.figure)
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _svg(figure: Figure, prefix: str) -> str:
    """The figure as an ``<svg>`` element; its ids get a prefix, since all figures share one document."""
    buffer = io.StringIO()
    with style():
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    width = round(figure.get_size_inches()[0] * _SCALE)
    text = re.sub(r'^<svg[^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg width="{width}" \1>', text)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    # In HTML the namespaces are known; without their addresses the file names no outside place at all.
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    return text.replace("xlink:href", "href")


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=200)
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(figure.get_size_inches()[0] * _SCALE)
    return f'<img alt="" width={width} src="data:image/png;base64,{data}">'
