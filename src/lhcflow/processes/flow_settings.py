"""Flows and trainings for events, which need the sampler more than the integral: most calls train it."""

from __future__ import annotations

from dataclasses import replace

from ..integration.flow_settings import FlowSettings

#: Of leptons. Cuts are edges of the integrand; on a flat map, peaks make rare large weights.
LEPTONS = FlowSettings(share=0.8, most=2_000_000, bins=16, zeros=False, defensive=0.1)
#: Of protons with one channel. Channels leave no peaks: a second flow in the mixture costs more than it
#: gains; and densities do not vanish where their cube ends.
ONE_CHANNEL = replace(LEPTONS, defensive=0.0, batch=(256, 1024), rate=4e-3, domain="unit")
#: Of protons with several channels: as many layers as it takes until all variables have seen all others; a
#: wider network makes up for fewer bins at the same price; and points are cheaper than more steps in a stage.
CHANNELS = replace(ONE_CHANNEL, layers=8, hidden=(96, 96), bins=10, steps=150)
