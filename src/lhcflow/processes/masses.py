"""Masses of outgoing particles in event files: amplitudes are those of massless ones, showers need masses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .events import Events
from .kinematics import boost, mass_squared, to_rest_frame

#: GeV, by |PDG number|: those of PYTHIA 8.3's particle data. Its defaults give massless c, b and charged
#: leptons these masses (`LesHouches:setQuarkMass`, `setLeptonMass`) and lose the balance of some events in
#: doing so; particles that have them already are left alone, as are lighter quarks.
MASSES = {4: 1.5, 5: 4.8, 11: 0.000511, 13: 0.10566, 15: 1.77682}
STEPS = 30  # of Newton's method; it converges quadratically, so that ten are enough far from threshold


def with_masses(events: Events) -> tuple[Events, int]:
    """The events with masses of the outgoing c, b and charged leptons, and balanced as before.

    In the centre-of-mass frame all outgoing momenta are multiplied by one number, such that the energies
    add up again (the massless case of it, backwards, is in Comput. Phys. Commun. 40 (1986) 359, section 4).
    The pair of leptons that a resonance decays to counts as one particle there: its mass stays, and the
    leptons share it out in their own rest frame. Incoming particles stay as they are.

    Parameters
    ----------
    events : Events
        With massless particles.

    Returns
    -------
    Events
        With `masses`.
    int
        Number of events that stay massless, as they have too little energy for the masses.
    """
    masses = np.zeros(events.pdg.shape)
    for pdg, mass in MASSES.items():
        masses[:, 2:][np.abs(events.pdg[:, 2:]) == pdg] = mass
    momenta = events.momenta.copy()
    possible = np.ones(len(events), dtype=bool)
    total = momenta[:, :2].sum(axis=1)
    outgoing, m = momenta[:, 2:], masses[:, 2:]
    if events.resonance is None:
        outgoing, possible = _rescaled(outgoing, m, total)
    else:
        pair = [i - 2 for i in events.resonance[1]]
        others = [i for i in range(outgoing.shape[1]) if i not in pair]
        boson = outgoing[:, pair].sum(axis=1)
        m_boson = np.sqrt(np.maximum(mass_squared(boson), 0))
        moved = boson
        if others:
            objects = np.concatenate([boson[:, None], outgoing[:, others]], axis=1)
            of_objects = np.concatenate([m_boson[:, None], m[:, others]], axis=1)
            objects, possible = _rescaled(objects, of_objects, total)
            moved, outgoing[:, others] = objects[:, 0], objects[:, 1:]
        # A boost to the old boson's rest frame and one from the new one's: the directions there stay.
        at_rest = to_rest_frame(outgoing[:, pair], boson[:, None])
        energy = np.zeros_like(boson)
        energy[:, 0] = m_boson
        leptons, decays = _rescaled(at_rest, m[:, pair], energy)
        outgoing[:, pair] = boost(leptons, moved[:, None])
        possible &= decays
    momenta[:, 2:] = outgoing
    momenta[~possible] = events.momenta[~possible]
    masses[~possible] = 0
    return replace(events, momenta=momenta, masses=masses), int((~possible).sum())


def _rescaled(p: np.ndarray, masses: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Particles `p` (n, k, 4) with other `masses` (n, k) and the sum `total` (n, 4); where it could be (n,).

    Their momenta in the rest frame of `total` are multiplied by one factor.
    """
    rest = to_rest_frame(p, total[:, None])
    energy = np.sqrt(mass_squared(total))
    square, m2 = (rest[..., 1:] ** 2).sum(axis=-1), masses**2
    possible = masses.sum(axis=1) < energy
    # The sum of the energies is convex and increases with the factor. From 1, where it is too large or right,
    # Newton's method comes down to the solution; where it is too small (it can't be) one step goes beyond.
    factor = np.ones(len(p))
    for _ in range(STEPS):
        energies = np.sqrt(m2 + factor[:, None] ** 2 * square)
        slope = factor * (square / np.maximum(energies, 1e-300)).sum(axis=1)
        change = (energies.sum(axis=1) - energy) / np.maximum(slope, 1e-300)
        # Not below a tenth of what was: a solution may lie at a factor near 0, where the slope vanishes.
        factor = np.maximum(factor - np.where(slope > 0, change, 0.0), factor / 10)
    rest[..., 1:] *= factor[:, None, None]
    rest[..., 0] = np.sqrt(m2 + (rest[..., 1:] ** 2).sum(axis=-1))
    return boost(rest, total[:, None]), possible
