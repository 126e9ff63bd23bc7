"""A sample after each layer of a flow, from its latent cube to the integrand."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from ..flows import Bijection, SoftPermutation
from ..integration import FlowProposal, Integrator
from ..integration.latent import LatentProposal
from ..integration.testfunctions import circles
from ..plotting import Picture, Section, layers
from .registry import Outcome

_POINTS = 8000


def run(seed: int, full: bool, quiet: bool, calls: int | None = None) -> Outcome:
    """Train on the entangled circles (200,000 calls, or 50,000) and draw the stages."""
    f = circles()
    calls = (200_000 if full else 50_000) if calls is None else calls
    result = Integrator(f.dim, seed=seed, method="flow").integrate(f, calls, quiet=quiet)
    assert result.sampler is not None
    proposal = result.sampler.proposal
    flow = proposal.flow if isinstance(proposal, LatentProposal) else proposal
    assert isinstance(flow, FlowProposal)
    points, titles = stages(flow, _POINTS, seed)
    picture = Picture(
        layers(points, titles, limits=(0, 1)),
        "A sample after each layer. The base is even on the unit square; points keep the colour of their "
        f"place there. Coupling layers and learned rotations carry them to the integrand, {calls:,} calls.",
        form="png",
    )
    results = {
        "calls": result.calls,
        "mean": float(result.mean),
        "sdev": float(result.sdev),
        "exact": f.exact,
    }
    return Outcome([Section("Layers", content=[picture])], results, tuple(result.warnings))


def stages(proposal: FlowProposal, n: int, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """The same points (n, dim) of the unit cube at the base and after each layer, and what each layer is.

    Between the layers the points live on the real line; the normal distribution function shows them in
    the cube. The last stage is the proposal's sample.
    """
    u = np.random.default_rng(seed).random((n, proposal.dim))
    z = torch.as_tensor(ndtri(u), dtype=proposal.flow.dtype)
    points, titles = [u], ["base"]
    for layer in reversed(list(proposal.flow.bijections)):
        assert isinstance(layer, Bijection)
        with torch.no_grad():
            z, _ = layer.inverse(z)
        points.append(ndtr(z.double().numpy()))
        titles.append("rotation" if isinstance(layer, SoftPermutation) else "coupling")
    points.append(proposal.grid.map(points[-1])[0])
    titles.append("VEGAS grid")
    return points, titles
