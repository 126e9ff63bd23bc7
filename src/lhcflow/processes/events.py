"""Parton-level events as arrays, with flavours and colour flow."""

from dataclasses import dataclass, replace

import numpy as np

from .choice import chosen
from .process import Process, Subprocess


@dataclass(frozen=True)
class Events:
    """A batch of events.

    Attributes
    ----------
    momenta : array (n, particles, 4)
        (E, px, py, pz) in GeV in the laboratory, incoming first.
    pdg : array (n, particles) of int
        PDG numbers.
    colours : array (n, particles, 2) of int
        Colour and anticolour line, from 501; 0 for none.
    weights : array (n,)
        In pb; their mean is the cross section. Equal for unweighted events but for the overweight ones.
    scale : array (n,)
        Of the hard process, GeV: the centre-of-mass energy at lepton colliders.
    alpha_s : array (n,), optional
        The strong coupling of each event, where it runs.
    resonance : (PDG number, positions), optional
        A boson that two of the outgoing particles come from.
    masses : array (n, particles), optional
        GeV; all are massless if None. See `lhcflow.processes.masses.with_masses`.
    """

    momenta: np.ndarray
    pdg: np.ndarray
    colours: np.ndarray
    weights: np.ndarray
    scale: np.ndarray
    alpha_s: np.ndarray | None = None
    resonance: tuple[int, tuple[int, int]] | None = None
    masses: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.momenta)

    def __getitem__(self, rows: slice) -> "Events":
        """Some of the events, `rows` being a slice."""
        changed = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **changed)


def joined(parts: "list[Events]") -> Events:
    """Batches of events of one process as one."""
    changed = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray)
    }
    return replace(parts[0], **changed)


def assign_flavours(
    process: Process, momenta: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> Events:
    """Events at the given momenta, the subprocess drawn by its share of |M|^2 at each point.

    Parameters
    ----------
    momenta : array (n, particles, 4)
        GeV, incoming first.
    weights : array (n,)
        In pb.
    """
    number = chosen(process.squared_amplitudes(momenta), rng.random(len(momenta)))
    pdg = np.array([s.pdg for s in process.subprocesses])
    colours = np.array([colour_flow(s) for s in process.subprocesses])
    scale = np.sqrt(np.maximum(_mass_squared_of_pair(momenta), 0))
    return Events(momenta, pdg[number], colours[number], np.asarray(weights, dtype=np.float64), scale)


def colour_flow(subprocess: Subprocess) -> list[tuple[int, int]]:
    """(colour, anticolour) of each particle for one quark line with no or one gluon.

    The line from the antiquark to the quark, all taken as outgoing, is 501, or 501 at the quark and
    502 at the antiquark with the gluon between them.
    """
    particles = [p.anti for p in subprocess.incoming] + list(subprocess.outgoing)
    at_antiquark = 502 if any(p.name == "g" for p in particles) else 501
    flow = []
    for i, p in enumerate(particles):
        lines = (0, 0)
        if p.name == "g":
            lines = (502, 501)
        elif p.is_quark:
            lines = (501, 0) if p.pdg > 0 else (0, at_antiquark)
        # an incoming particle is the outgoing antiparticle with its lines swapped
        flow.append(lines[::-1] if i < len(subprocess.incoming) else lines)
    return flow


def _mass_squared_of_pair(momenta: np.ndarray) -> np.ndarray:
    total = momenta[:, 0] + momenta[:, 1]
    return total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1)
