"""What is simulated: beams, processes, cuts, and how the work is cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError

KINDS = ("background", "signal")


@dataclass(frozen=True)
class Simulation:
    """An LHC-Olympics-like sample: QCD dijets and W' -> X(q qbar) Y(q qbar).

    Attributes
    ----------
    background, signal : int
        Number of events that pass the selection.
    w_mass, x_mass, y_mass : float
        Masses of W', X and Y in GeV.
    energy : float
        Centre-of-mass energy in GeV.
    jet_radius : float
        Of the anti-kT jets.
    min_pt : float
        Of the leading jet, in GeV.
    max_eta : float
        Of both leading jets.
    min_pt_hat : float
        Lower end of the hard process' pT in GeV; see `veto` for why it may lie so low.
    smear : bool
        Detector response on; without it visible particles are clustered as they are.
    block : int
        Accepted events of one block, the unit of work.
    seed : int
        The same seed gives the same events whatever the number of workers.

    Raises
    ------
    InputError
        For numbers that make no sample, such as X and Y heavier than W'.
    """

    background: int = 200_000
    signal: int = 2_000
    w_mass: float = 3500.0
    x_mass: float = 500.0
    y_mass: float = 100.0
    energy: float = 13_000.0
    jet_radius: float = 1.0
    min_pt: float = 1200.0
    max_eta: float = 2.5
    min_pt_hat: float = 650.0
    smear: bool = True
    block: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.background, self.signal) < 0 or self.background + self.signal == 0:
            raise InputError("ask for some background or signal events")
        if self.block < 1:
            raise InputError("a block needs at least one event")
        if not (self.x_mass > 0 and self.y_mass > 0 and self.x_mass + self.y_mass < self.w_mass):
            raise InputError(
                f"W' ({self.w_mass:g} GeV) must be heavier than X and Y together "
                f"({self.x_mass:g} and {self.y_mass:g} GeV), which need positive masses"
            )
        if not 0 < self.w_mass < self.energy or not 0 < self.min_pt < self.energy / 2:
            raise InputError(f"W' and the jet pT cut must lie below the energy of {self.energy:g} GeV")
        if not 0 < self.min_pt_hat < self.min_pt:
            raise InputError("min_pt_hat must lie below min_pt, or it cuts into the sample")
        if not (self.jet_radius > 0 and self.max_eta > 0):
            raise InputError("jet_radius and max_eta must be positive")

    def events(self, kind: str) -> int:
        """Accepted events of a kind, "background" or "signal"."""
        return self.background if kind == "background" else self.signal

    def blocks(self) -> list[tuple[str, int, int]]:
        """The units of work: kind, number of the block, accepted events in it."""
        plan = []
        for kind in KINDS:
            total = self.events(kind)
            plan += [
                (kind, i, min(self.block, total - start))
                for i, start in enumerate(range(0, total, self.block))
            ]
        return plan

    def pythia(self, kind: str) -> list[str]:
        """Settings of Pythia for a kind of events, without the seed."""
        common = ["Print:quiet = on", f"Beams:eCM = {self.energy}"]
        if kind == "background":
            return [*common, "HardQCD:all = on", f"PhaseSpace:pTHatMin = {self.min_pt_hat}"]
        return [*common, *_resonance(self.w_mass, self.x_mass, self.y_mass)]


def _resonance(w_mass: float, x_mass: float, y_mass: float) -> list[str]:
    """W' -> X Y, both scalars-like (decays isotropic), X -> u d~ or c s~, Y -> d d~, u u~, s s~ or c c~."""
    return [
        "NewGaugeBoson:ffbar2Wprime = on",
        # name, antiname, spin type, charge type, colour type, mass, width, mass range, lifetime
        f"9000001:new = Xp Xm 3 3 0 {x_mass} {0.002 * x_mass} {0.9 * x_mass} {1.1 * x_mass} 0.",
        "9000001:isResonance = on",
        "9000001:oneChannel = 1 0.5 101 2 -1",
        "9000001:addChannel = 1 0.5 101 4 -3",
        f"9000002:new = Y0 void 3 0 0 {y_mass} {0.005 * y_mass} {0.8 * y_mass} {1.2 * y_mass} 0.",
        "9000002:isResonance = on",
        "9000002:oneChannel = 1 0.25 101 1 -1",
        *(f"9000002:addChannel = 1 0.25 101 {q} -{q}" for q in (2, 3, 4)),
        f"34:m0 = {w_mass}",
        f"34:mWidth = {w_mass / 350}",
        f"34:mMin = {w_mass * 6 / 7}",
        f"34:mMax = {w_mass * 8 / 7}",
        "34:doForceWidth = on",
        "34:oneChannel = 1 1.0 100 9000001 9000002",
    ]
