"""Events of one block: Pythia, detector, jets, until enough are accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, RunError
from ..features import JetColumns
from .detector import CHARGED, NEUTRAL, PHOTON, respond
from .jets import leading_jets
from .settings import KINDS, Simulation
from .veto import early_veto

Array = NDArray[np.float64]

_NEUTRINOS = (12, 14, 16)
_BATCH = 200
_MOST_SEED = 900_000_000  # of Pythia
_HOPELESS = 20_000  # generated events without a single accepted one


@dataclass(frozen=True)
class Block:
    """Accepted events of one block.

    Attributes
    ----------
    jets : Array
        `JetColumns` (n, 14) in GeV.
    generated : int
        Events that were generated down to hadrons for them.
    cross_section : float
        Of the accepted events, in pb, with its relative error of statistics 1 / sqrt(n).
    """

    jets: Array
    generated: int
    cross_section: float


def simulate_block(settings: Simulation, kind: str, index: int, events: int) -> Block:
    """Simulate ``events`` accepted events of block ``index``; the block is a function of the seed only.

    Raises
    ------
    InputError
        If pythia8mc or fastjet are missing, or if no event passes the selection.
    RunError
        If Pythia does not start.
    """
    pythia_seed, detector_seed = np.random.SeedSequence([settings.seed, KINDS.index(kind), index]).spawn(2)
    pythia, _hook = _start(settings, kind, 1 + int(pythia_seed.generate_state(1)[0]) % _MOST_SEED)
    rng = np.random.default_rng(detector_seed)
    jets: list[Array] = []
    accepted = generated = 0
    while accepted < events:
        # Fixed size: the random numbers of a block must not depend on how many events are wanted.
        batch = pythia.nextBatch(_BATCH)
        momenta, counts = _visible(pythia, batch, rng if settings.smear else None)
        columns, _ = leading_jets(momenta, counts, settings)
        jets.append(columns)
        accepted += len(columns)
        generated += len(counts)
        if accepted == 0 and generated > _HOPELESS:
            raise InputError(
                f"none of {generated} {kind} events has jets above {settings.min_pt:g} GeV: "
                "lower --min-pt or choose a heavier W'"
            )
    millibarn = 1e9  # in pb
    sigma = pythia.infoPython().sigmaGen() * millibarn * accepted / generated
    return Block(np.concatenate(jets)[:events], generated, sigma)


def to_columns(jets: Array, label: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
    """Jets (n, 14) and labels (n,) as named columns."""
    return {**dict(zip(JetColumns, jets.T, strict=True)), "label": label}


def _start(settings: Simulation, kind: str, seed: int) -> tuple[Any, Any]:
    """Pythia and its hook, which Pythia does not keep alive."""
    try:
        import fastjet as _fastjet  # noqa: F401
        import pythia8mc
    except ImportError as error:
        raise InputError(f"simulation needs {error.name}: pip install 'lhcflow[pythia]'") from None
    pythia = pythia8mc.Pythia("", False)
    for line in [*settings.pythia(kind), "Random:setSeed = on", f"Random:seed = {seed}"]:
        if not pythia.readString(line):
            raise RunError(f"Pythia refuses {line!r}")
    hook = early_veto(settings.min_pt, settings.jet_radius) if kind == "background" else None
    if hook is not None:
        pythia.addUserHooksPtr(hook)
    if not pythia.init():
        raise RunError(f"Pythia does not start with {kind}")
    return pythia, hook


def _visible(pythia: Any, batch: Any, rng: np.random.Generator | None) -> tuple[Array, NDArray[np.int64]]:
    """Counts and momenta (particles, 4): measured ones, or all visible ones without a detector."""
    import awkward as ak

    particles = batch.prt
    counts = ak.to_numpy(ak.num(particles))
    flat = ak.flatten(particles)
    code = ak.to_numpy(flat.id)
    visible = (ak.to_numpy(flat.status) > 0) & ~np.isin(np.abs(code), _NEUTRINOS)
    event = np.repeat(np.arange(len(counts)), counts)[visible]
    momenta = np.stack([ak.to_numpy(flat.p[name])[visible] for name in ("e", "px", "py", "pz")], axis=1)
    if rng is not None:
        momenta, seen = respond(momenta, _classes(pythia, code[visible]), rng)
        momenta, event = momenta[seen], event[seen]
    return momenta, np.bincount(event, minlength=len(counts))


def _classes(pythia: Any, code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class of each particle by its PDG code."""
    known, where = np.unique(code, return_inverse=True)
    data = pythia.particleData
    classes = [CHARGED if data.chargeType(int(c)) else PHOTON if c == 22 else NEUTRAL for c in known]
    return np.array(classes)[where]
