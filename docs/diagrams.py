"""Draw the figures of the pages on concepts from the code that they explain: docs/diagrams.py [FOLDER]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from lhcflow.plotting.style import save, style

FOLDER = Path(__file__).resolve().parent / "figures"


def integrator() -> Figure:
    """The points of an integral on their way from the latent cube to the integrand."""
    from lhcflow.integration import FlowSettings, Integrator

    def f(x: np.ndarray) -> np.ndarray:
        """A ridge along the diagonal, narrow in the first variable where it ends."""
        ridge = np.exp(-60 * (x[:, 1] - x[:, 0]) ** 2)
        peak = 6 * np.exp(-((x[:, 0] - 0.9) ** 2) / 2 / 0.01**2 - 8 * (x[:, 1] - 0.35) ** 2)
        return ridge + peak

    result = Integrator(2, seed=3, method="flow", settings=FlowSettings(defensive=0.0)).integrate(
        f, 60_000, quiet=True
    )
    proposal = result.sampler.proposal
    flow = getattr(proposal, "flow", proposal)
    latent = getattr(proposal, "latent", None)
    rng = np.random.default_rng(1)
    u = latent.sample(1500, rng)[0] if latent is not None else rng.random((1500, 2))
    x, _ = flow.map(u)
    on_grid, _ = flow.grid.inverse(x)
    stages = [
        (u, "latent cube: u", "VEGAS+ chooses how many points each stratum gets"),
        (on_grid, "after the flow", "the flow bends the cube to the integrand"),
        (x, "after the grid: x", "a VEGAS grid narrows the peak in one variable"),
    ]
    figure = Figure(figsize=(10.5, 4.0), layout="constrained")
    for i, (points, title, words) in enumerate(stages):
        axes = figure.add_subplot(1, 3, i + 1)
        axes.scatter(*points.T, s=2, c=u[:, 0], cmap="viridis", linewidths=0, rasterized=True)
        axes.set(xlim=(0, 1), ylim=(0, 1), title=title, xlabel=words, aspect="equal")
        axes.set_xticks([0, 1])
        axes.set_yticks([0, 1])
        if i == 0 and latent is not None:
            for edge in np.linspace(0, 1, int(latent._strata.divisions[0]) + 1):
                axes.axvline(edge, color="0.6", lw=0.4)
            for edge in np.linspace(0, 1, int(latent._strata.divisions[1]) + 1):
                axes.axhline(edge, color="0.6", lw=0.4)
    return figure


def categories() -> Figure:
    """How the first coordinate of the cube chooses a channel."""
    from lhcflow.integration.categories import Categories

    shares = np.array([0.2, 0.45, 0.1, 0.25])
    cube = Categories(shares)
    ends = np.cumsum(shares)
    figure = Figure(figsize=(8.0, 3.0), layout="constrained")
    axes = figure.add_subplot()
    colours = ["C0", "C1", "C2", "C3"]
    for k, (share, end) in enumerate(zip(shares, ends, strict=True)):
        axes.add_patch(Rectangle((end - share, 0), share, 0.35, color=colours[k], alpha=0.35, lw=0))
        axes.text(
            end - share / 2, 0.42, f"category {k}\nshare {share:g}", ha="center", va="bottom", fontsize=9
        )
    first = np.array([0.07, 0.5, 0.7, 0.93])
    number = cube.number(first)
    inside = cube.inside(first, number)
    for r, k, place in zip(first, number, inside, strict=True):
        axes.plot([r, r], [0, 0.35], color="k", lw=1)
        axes.text(r, -0.05, f"{r:g}: category {k},\nat {place:.2f} of it", ha="center", va="top", fontsize=8)
    axes.text(0.5, -0.42, "first coordinate of the cube", ha="center", va="top", fontsize=10)
    axes.set(xlim=(0, 1), ylim=(-0.6, 0.8))
    axes.axis("off")
    return figure


def guard() -> Figure:
    """An integrand with two peaks, a proposal that found one, and what probes from outside see."""
    x = np.linspace(0, 1, 1000)
    f = np.exp(-((x - 0.25) ** 2) / 2 / 0.04**2) + np.exp(-((x - 0.75) ** 2) / 2 / 0.04**2)
    q = np.exp(-((x - 0.25) ** 2) / 2 / 0.05**2)
    q = q / q.mean() * f.mean() + 1e-3
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x, f, color="k", label="integrand f")
    axes.fill_between(x, q, color="C0", alpha=0.3, lw=0, label="proposal q, scaled to f's integral")
    low = f > 20 * q
    axes.fill_between(x, f, where=low, color="C3", alpha=0.4, lw=0, label="f / q > 20 times its mean")
    probes = np.random.default_rng(2).random(60)
    axes.plot(probes, np.full(60, -0.04), "|", color="0.3", ms=7, label="uniform probes")
    axes.set(xlim=(0, 1), ylim=(-0.1, 2.1), xlabel="x", yticks=[])
    axes.legend(loc="upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def hit_order() -> Figure:
    """The order in which HitFlow generates the cells of CaloGAN's calorimeter, and what one step sees."""
    from lhcflow.calorimeter.models.cells import Cells

    shapes = ((3, 96), (12, 12), (12, 6))
    cells = Cells(shapes)
    sizes = [a * b for a, b in shapes]
    starts = np.cumsum([0, *sizes[:-1]])
    cell = int(starts[1] + 5 * 12 + 4)  # of the middle layer
    near = cells.neighbours(cell)
    figure = Figure(figsize=(10.5, 5.2), layout="constrained")
    for layer, (a, b) in enumerate(shapes):
        part = slice(starts[layer], starts[layer] + sizes[layer])
        steps = cells.groups[part] - cells.groups[part].min()
        for row, title in ((0, f"layer {layer}: {a} x {b} cells, {steps.max() + 1} steps"), (1, "")):
            axes = figure.add_subplot(2, 3, 1 + layer + 3 * row)
            if row == 0:
                shown = axes.imshow(steps.reshape(a, b), aspect="auto", cmap="viridis")
                figure.colorbar(shown, ax=axes, label="step within the layer" if layer == 2 else "")
            else:
                marks = np.zeros(len(cells.layer))
                marks[cells.groups < cells.groups[cell]] = 1
                marks[near] = 2
                marks[cell] = 3
                axes.imshow(marks[part].reshape(a, b), aspect="auto", cmap="Blues", vmin=0, vmax=3)
                axes.set_xlabel(
                    "white: later, pale: earlier, blue: seen, dark: the cell" if layer == 1 else ""
                )
            axes.set(title=title)
            axes.set_xticks([])
            axes.set_yticks([])
    return figure


PARTS = {
    # name: (column, row, what it may import beside errors and files)
    "flows": (0, 0, []),
    "training": (1, 0, ["flows"]),
    "classifiers": (2, 0.6, ["training"]),
    "integration": (2, -0.6, ["training"]),
    "processes": (3, -0.6, ["integration"]),
    "calorimeter": (3, 0.2, ["classifiers"]),
    "bumphunt": (3, 1.0, ["classifiers"]),
    "plotting": (3, 1.8, []),
    "cli": (4, 0.4, ["processes", "calorimeter", "bumphunt", "plotting"]),
}


def packages() -> Figure:
    """The packages and what they import; arrows that follow from others are left out."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    width, height = 0.72, 0.36
    for name, (x, y, needed) in PARTS.items():
        axes.add_patch(Rectangle((x, y - height / 2), width, height, fc="C0", alpha=0.2, ec="none"))
        axes.text(x + width / 2, y, name, ha="center", va="center", fontsize=10)
        for other in needed:
            ox, oy, _ = PARTS[other]
            arrow = FancyArrowPatch(
                (x, y),
                (ox + width, oy),
                arrowstyle="-|>",
                mutation_scale=10,
                color="0.4",
                shrinkA=1,
                shrinkB=1,
            )
            axes.add_patch(arrow)
    axes.set(xlim=(-0.1, 4.9), ylim=(2.0, -1.1))
    axes.axis("off")
    return figure


FIGURES = {
    "integrator": integrator,
    "categories": categories,
    "guard": guard,
    "hit-order": hit_order,
    "packages": packages,
}


def main() -> None:
    """Draw all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, draw in FIGURES.items():
        with style():
            save(draw(), folder / f"{name}.png")
        # A palette of 64 colours makes the files a third as large.
        Image.open(folder / f"{name}.png").convert("RGB").quantize(64).save(
            folder / f"{name}.png", optimize=True
        )
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main()
