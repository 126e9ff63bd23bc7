"""Pictures of showers: what each layer of a calorimeter saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .style import PAGE, style

_MAP = LinearSegmentedColormap.from_list(
    "energy", ["#eef3f7", "#c3d5e6", "#6ba3cf", "#0b62a4", "#3b2a6b", "#9c2f4f", "#e8743b", "#f8d66a"]
)
_DECADES = 6.0


@dataclass(frozen=True)
class LayerImage:
    """Energies of one layer.

    Attributes
    ----------
    values : array_like
        (slow, fast), in MeV.
    edges : (array_like, array_like)
        Bin edges (slow + 1,) and (fast + 1,). Cartesian: phi and eta in mm; polar: alpha in rad and r in mm.
    polar : bool
        Whether the cells are sectors of rings.
    """

    values: ArrayLike
    edges: tuple[ArrayLike, ArrayLike]
    polar: bool = False


def layer_images(
    rows: Sequence[Sequence[LayerImage]],
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    threshold: float = 0.0,
    unit: str = "MeV",
) -> Figure:
    """Draw showers, one per row, layer by layer, with one logarithmic colour scale for all.

    Parameters
    ----------
    rows : sequence of sequence of LayerImage
        The layers of each shower, or of the mean of many; as many per row as there are columns.
    row_titles, column_titles : sequence of str
        Beside the rows and above the columns.
    threshold : float
        Energies up to it are drawn as empty. The scale spans six decades at most.
    unit : str
        Of the energies.
    """
    if not rows or any(len(r) != len(rows[0]) or not r for r in rows):
        raise InputError("layer_images needs at least one row, and as many layers in each")
    values = [[np.asarray(image.values, float) for image in row] for row in rows]
    largest = max(float(v.max()) for row in values for v in row)
    if not largest > 0:
        raise InputError("layer_images has nothing to draw: all energies are 0")
    seen = [v[v > threshold].min() for row in values for v in row if (v > threshold).any()]
    smallest = max(min(float(s) for s in seen) if seen else largest, largest / 10**_DECADES)
    norm = LogNorm(min(smallest, 0.5 * largest), largest)
    columns = len(rows[0])
    lines = max((t.count("\n") + 1 for t in column_titles), default=0)
    left, right, top, bottom, gap = 0.62, 0.75, 0.1 + 0.17 * lines, 0.42, 0.1
    polar = rows[0][0].polar
    if polar:
        left, bottom = 0.1, 0.1
    left += 0.22 if row_titles else 0.0
    with style():
        size = min((PAGE - left - right - (columns - 1) * gap) / columns, 1.75)
        width = left + right + columns * size + (columns - 1) * gap
        height = top + bottom + len(rows) * size + (len(rows) - 1) * gap
        figure = Figure(figsize=(width, height))
        mesh = None
        for i, (row, energies) in enumerate(zip(rows, values, strict=True)):
            for j, (image, energy) in enumerate(zip(row, energies, strict=True)):
                place = (
                    (left + j * (size + gap)) / width,
                    (bottom + (len(rows) - 1 - i) * (size + gap)) / height,
                    size / width,
                    size / height,
                )
                axes = figure.add_axes(place, projection="polar" if image.polar else None)
                shown = np.ma.masked_less_equal(energy, max(threshold, 0.0))
                mesh = _draw(axes, image, shown, norm)
                if i == 0 and column_titles:
                    axes.set_title(column_titles[j], pad=4)
                if not image.polar:
                    _label(axes, first=j == 0, last=i == len(rows) - 1, at=200 if columns < 4 else 150)
            if row_titles:
                y = (bottom + (len(rows) - 0.5 - i) * (size + gap)) / height
                figure.text(0.06 / width, y, row_titles[i], rotation=90, va="center", ha="left")
        assert mesh is not None
        bar = figure.add_axes(
            (1 - (right - 0.12) / width, bottom / height, 0.1 / width, 1 - (top + bottom) / height)
        )
        colours = figure.colorbar(mesh, cax=bar, ticks=LogLocator(numticks=8))
        colours.set_label(f"energy per voxel [{unit}]" if len(rows) > 1 or not polar else f"energy [{unit}]")
        return figure


def _draw(axes: Any, image: LayerImage, shown: NDArray[Any], norm: LogNorm) -> Any:
    slow, fast = (np.asarray(e, float) for e in image.edges)
    if not image.polar:
        axes.set_aspect("equal")
        return axes.pcolormesh(fast, slow, shown, cmap=_MAP, norm=norm, rasterized=True)
    # Sectors are drawn in small steps, since pcolormesh joins their corners by straight lines.
    fine = max(360 // len(shown), 1)
    angle = np.concatenate([np.linspace(a, b, fine, endpoint=False) for a, b in pairwise(slow)])
    shown = np.ma.repeat(shown, fine, axis=0)
    mesh = axes.pcolormesh(
        np.append(angle, slow[-1]), _radius(fast), shown.T, cmap=_MAP, norm=norm, rasterized=True
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["polar"].set_linewidth(0.5)
    return mesh


def _radius(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where rings are drawn: true to scale, or logarithmic if the outer ones would hide the inner ones."""
    widths = np.diff(edges)
    return edges if widths.max() < 5 * widths.min() else np.log1p(edges / widths.min())


def _label(axes: Any, first: bool, last: bool, at: int) -> None:
    axes.set_xticks([-at, 0, at])
    axes.set_yticks([-at, 0, at])
    axes.minorticks_off()
    axes.tick_params(labelleft=first, labelbottom=last, top=False, right=False, direction="out")
    if first:
        axes.set_ylabel(r"$\phi$ [mm]", labelpad=1)
    if last:
        axes.set_xlabel(r"$\eta$ [mm]", labelpad=2)
