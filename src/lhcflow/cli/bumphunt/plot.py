"""``lhcflow bumphunt plot``: the figures of a finished run or scan, again."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..options import Quiet, console
from .choices import Format, names

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class What(StrEnum):
    """Kinds of figures."""

    spectrum = "spectrum"
    p_values = "p-values"
    limits = "limits"
    improvement = "improvement"
    scores = "scores"
    template = "template"
    windows = "windows"


def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished run or scan.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the figures.")],
    what: Annotated[
        list[What] | None, typer.Option("--what", help="Can be given more than once.", show_default="all")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="With commas between.", show_default="those of the run")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Of the figures.")] = Format.pdf,
    quiet: Quiet = False,
) -> None:
    """Draw the figures of a finished run or scan from its results.json, in another format or only some."""
    from ... import plotting

    results = _read(folder)
    drawn = dict(_figures(results, what, names(methods)))
    if not drawn:
        wanted = ", ".join(w.value for w in what or [])
        raise InputError(f"{folder} has no figures of this kind: {wanted or 'it has no results'}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't create the folder {out}: {error.strerror}") from None
    screen = console(quiet)
    for name, figure in drawn.items():
        path = out / f"{name}.{form.value}"
        plotting.save(figure, path)
        screen.print(str(path), markup=False)


def _read(folder: Path) -> dict[str, Any]:
    file = folder / "results.json"
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{folder} holds no finished run: there is no results.json") from None
    except ValueError:
        raise InputError(f"{file} is not JSON") from None
    if not isinstance(results, dict) or not {"methods", "windows"} & results.keys():
        raise InputError(f"{folder} holds a run of another command: give one of bumphunt run or scan")
    return results


def _figures(results: dict[str, Any], what: list[What] | None, chosen: list[str] | None):  # type: ignore[no-untyped-def]
    """Names of files and figures, made as they are asked for."""
    from . import figures

    def wanted(kind: What) -> bool:
        return not what or kind in what

    if "windows" in results:
        if wanted(What.windows):
            yield "windows", figures.windows(results)
        return
    searched = [name for name, m in results["methods"].items() if m["cuts"]]
    unknown = [name for name in chosen or [] if name not in searched]
    if unknown:
        raise InputError(f"no results of {', '.join(unknown)}: there are {', '.join(searched)}")
    for name in chosen or searched:
        for kind, draw in (
            (What.spectrum, figures.spectra),
            (What.p_values, figures.local_p_values),
            (What.limits, figures.limits),
        ):
            if wanted(kind):
                yield f"{kind.value}_{name}", draw(results, name)
    once: list[tuple[What, Any]] = [
        (What.improvement, figures.improvement),
        (What.scores, figures.scores),
        (What.template, figures.template),
    ]
    for kind, draw in once:
        figure: Figure | None = draw(results) if wanted(kind) else None
        if figure is not None:
            yield kind.value, figure
