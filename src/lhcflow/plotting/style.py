"""The one style of all figures: small, serif, ticks inwards, the same colour for the same method everywhere.

Figures are built without pyplot, so that no backend is chosen and no global setting is touched.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..files import atomic_write

COLUMN = 3.4
"""Width in inches of one column of a two-column paper."""
PAGE = 7.0
"""Width in inches of both columns."""

COLOURS = {
    "flow": "#0b62a4",
    "VEGAS": "#d55e00",
    "channels": "#7a7a7a",
    "target": "#2b2b2b",
    "learned": "#0b62a4",
    "before": "#b0762d",
    "optimum": "#9a9a9a",
    "supervised": "#2b2b2b",
    "idealized": "#3a8f5b",
    "CATHODE": "#0b62a4",
    "LaCATHODE": "#5aa9d6",
    "CWoLa": "#d55e00",
    "ANODE": "#8b4a9c",
    "R-ANODE": "#b0762d",
}
_CYCLE = ["#0b62a4", "#d55e00", "#3a8f5b", "#8b4a9c", "#b0762d", "#7a7a7a"]

DENSITY = LinearSegmentedColormap.from_list(
    "density", ["#ffffff", "#c9dcec", "#5b9bcb", "#0b62a4", "#05223d"]
)
"""White where there is nothing."""

RC: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 9.0,
    "axes.labelsize": 10.0,
    "axes.titlesize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.major.size": 4.0,
    "ytick.major.size": 4.0,
    "xtick.minor.size": 2.0,
    "ytick.minor.size": 2.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.45,
    "ytick.minor.width": 0.45,
    "lines.linewidth": 1.2,
    "patch.linewidth": 1.0,
    "errorbar.capsize": 0.0,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "legend.labelspacing": 0.3,
    "figure.dpi": 150,
    "savefig.dpi": 200,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
    "svg.fonttype": "path",
    # The same figure gives the same bytes.
    "svg.hashsalt": "lhcflow",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style to what is drawn inside the ``with`` block."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def colour(name: str, position: int = 0) -> str:
    """Colour of a curve: by its name if it is a known method, else by its position."""
    return COLOURS.get(name, _CYCLE[position % len(_CYCLE)])


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure to a file, atomically; the file carries no date, so that equal figures are equal files.

    Parameters
    ----------
    figure : Figure
        What is drawn.
    path : str or Path
        The file; its ending (pdf, svg, png) chooses the format.

    Raises
    ------
    InputError, RunError
        As of `lhcflow.files.atomic_write`, which see: the folder is missing, the disk is full.
    """
    path = Path(path)
    dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix)
    # Drawn in memory: matplotlib's writers do not get over a full disk.
    drawn = io.BytesIO()
    with style():
        figure.savefig(drawn, format=path.suffix[1:] or "png", metadata={dated: None} if dated else None)
    with atomic_write(path, "wb") as file:
        file.write(drawn.getbuffer())


def ratio_panels(
    count: int, columns: int, width: float, height: float = 2.1
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure of ``count`` panels, each with a ratio panel below that shares its x axis.

    Parameters
    ----------
    count, columns : int
        Number of panels, and of panels in a row.
    width, height : float
        Of the figure and of one row, in inches.

    Notes
    -----
    Returns the figure and one pair (main, ratio) per panel, row by row. Places are computed in inches
    and not by a layout engine, so that the frames of all panels are in line.
    """
    rows = -(-count // columns)
    left, right, top, bottom, gap = 0.58, 0.14, 0.1, 0.42, 0.62
    total = rows * height
    figure = Figure(figsize=(width, total))
    panel = (width - left - right - (columns - 1) * gap) / columns
    body = height - top - bottom
    pairs = []
    for i in range(count):
        row, column = divmod(i, columns)
        x = left + column * (panel + gap)
        y = total - row * (height) - top - body
        split = 0.3 * body
        box = (x / width, (y + split) / total, panel / width, (body - split) / total)
        main = figure.add_axes(box)
        ratio = figure.add_axes((x / width, y / total, panel / width, (split - 0.06) / total), sharex=main)
        main.tick_params(labelbottom=False, which="both")
        main.yaxis.set_label_coords(-0.42 / panel, 0.5)
        ratio.yaxis.set_label_coords(-0.42 / panel, 0.5)
        pairs.append((main, ratio))
    return figure, pairs


def free_cell(figure: Figure, count: int, columns: int) -> Axes | None:
    """Invisible axes in the last, empty place of `ratio_panels`, for the legend; None if it is full."""
    if count % columns == 0:
        return None
    last, above = figure.axes[-1].get_position(), figure.axes[2 * (columns - 1)].get_position()
    axes = figure.add_axes((above.x0, last.y0, above.width, 3 * last.height))
    axes.axis("off")
    return axes
