"""Fit a density to events with a mass and an angle, sample it, and compare the density with the truth."""

import math

import torch

from lhcflow.flows import coupling_spline, load, save
from lhcflow.training import fit

generator = torch.Generator().manual_seed(1)
mass = 91.2 + 1.25 * torch.tan(math.pi * (torch.rand(5000, generator=generator) - 0.5) * 0.97)  # Breit-Wigner
angle = math.pi * (2 * torch.rand(5000, generator=generator) - 1)
events = torch.stack([mass, angle], dim=1)

flow = coupling_spline(
    2,
    layers=4,
    hidden=32,
    bins=8,
    domain="real",
    circular=1,
    bound=(10.0, math.pi),
    standardize=events,
    seed=1,
)
history = fit(flow, events[:4000], validation=events[4000:], epochs=6, learning_rate=5e-3, seed=1)
print(f"negative log-likelihood per event: {history['validation'][-1]:.3f}")

save(flow, "events.safetensors")
sample = load("events.safetensors").sample(1000, generator=generator)
print(f"median mass: {sample[:, 0].median():.2f} GeV (truth 91.20)")
