"""A signal that the spectrum does not show: CATHODE on toy dijets, of which the densities are known."""

import numpy as np

from lhcflow.bumphunt import Cathode, ConditionalDensity, SignalRegion, Toy
from lhcflow.classifiers import TreeEnsemble

events = Toy().sample(background=20_000, signal=100, seed=1)
region = SignalRegion(3.3, 3.7)
detector = Cathode(region, ConditionalDensity(epochs=2), TreeEnsemble(members=1), seed=1)
scores = detector.fit(events.features, events.m).score(events.features, events.m)
inside = region.contains(events.m)
kept = scores > np.quantile(scores[inside], 0.99)
signal = events.label == 1
before, after = signal[inside].mean(), signal[inside & kept].mean()
print(f"{before:.1%} of the events in the region are signal, {after:.0%} after the cut")
