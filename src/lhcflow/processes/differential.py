"""What events are generated from: cross sections as functions on the unit cube, made by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Real
from typing import Any, Protocol, Self

import numpy as np

from ..errors import InputError
from ..integration import Categories
from ..integration.flow_settings import FlowSettings
from .beam import Beams
from .cuts import Cuts
from .events import Events
from .hadronic import DEFAULT_PDF, DEFAULT_SCALE, HadronicCrossSection
from .integrand import CrossSection
from .jet_cuts import JetCuts
from .pdf import Pdf
from .process import Process
from .subprocesses import of_protons

ENERGY = 91.188, 14000.0  # of lepton and proton colliders, GeV


class DifferentialCrossSection(Protocol):
    """What events are generated from: `CrossSection` or `HadronicCrossSection`.

    A function on the unit cube of `dim` dimensions in pb, with the events that its points stand for.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def weights(self) -> np.ndarray | None: ...
    @property
    def first_coordinate(self) -> Categories | None: ...
    @property
    def flow_settings(self) -> FlowSettings: ...
    @property
    def beam_particles(self) -> tuple[tuple[int, float], tuple[int, float]]: ...
    @property
    def couplings(self) -> tuple[float, float]: ...
    def __call__(self, u: np.ndarray) -> np.ndarray: ...
    def evaluate(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def events(self, u: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Events: ...
    def with_weights(self, weights: Any) -> Self: ...
    def optimised(self, seed: np.random.SeedSequence) -> tuple[Self, int]: ...
    def card(self) -> dict[str, Any]: ...


def differential(
    process: str | Process,
    energy: float | Beams | None = None,
    cuts: Cuts | JetCuts | Mapping[str, float] | None = None,
    phase_space: str = "channels",
    alpha_s: float | None = None,
    pdf: str | os.PathLike[str] | Pdf | None = None,
    scale: str | float | None = None,
) -> CrossSection | HadronicCrossSection:
    """The differential cross section of a process with leptons or protons coming in.

    Arguments are those of `EventGenerator`.

    Raises
    ------
    InputError
        Something does not belong to the process's beams.
    """
    name = process if isinstance(process, str) else process.name
    if not of_protons(name):
        if isinstance(cuts, JetCuts) or pdf is not None or scale is not None:
            raise InputError(f"{name}: parton densities, a scale and cuts on jets are for 'p p > ...'")
        process = Process(process) if isinstance(process, str) else process
        return CrossSection(process, ENERGY[0] if energy is None else energy, cuts, phase_space, alpha_s)
    if isinstance(cuts, Cuts):
        raise InputError(f"{name}: the cuts of processes with protons are JetCuts")
    if phase_space != "channels":
        raise InputError(f"{name}: phase_space={phase_space!r} is for leptons, protons have 'channels'")
    if energy is not None and not isinstance(energy, Real):
        raise InputError(f"{name}: the energy of protons is a number of GeV, got {energy!r}")
    number: Any = ENERGY[1] if energy is None else energy
    return HadronicCrossSection(
        name,
        number,
        DEFAULT_PDF if pdf is None else pdf,
        cuts,
        DEFAULT_SCALE if scale is None else scale,
        alpha_s=alpha_s,
    )
