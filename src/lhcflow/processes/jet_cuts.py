"""Cuts of hadron colliders: jets, leptons, and the mass of the lepton pair."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from itertools import combinations
from math import inf
from numbers import Real
from typing import ClassVar

import numpy as np

from ..errors import InputError
from ..files import read_toml
from .kinematics import delta_r, mass_squared, pseudorapidity, transverse_momentum
from .named_cuts import NamedCuts


@dataclass(frozen=True)
class JetCuts(NamedCuts):
    """Cuts on jets and leptons; energies in GeV.

    At leading order n partons make n anti-kT jets of radius R (0802.1189) exactly if all pairs have
    Delta R > R, so jets are partons here.

    Attributes
    ----------
    jet_pt : float
        Smallest transverse momentum of a jet.
    jet_eta : float
        Largest absolute pseudorapidity of a jet.
    jet_radius : float
        R of the anti-kT algorithm.
    min_mass, max_mass : float
        Range of the invariant mass of the lepton pair, neutrinos included.
    lepton_pt, lepton_eta : float
        Smallest transverse momentum and largest |eta| of charged leptons.
    missing_pt : float
        Smallest transverse momentum of neutrinos.
    lepton_jet : float
        Smallest Delta R of a charged lepton and a jet.

    Raises
    ------
    InputError
        A value is not a number or out of range.
    """

    example: ClassVar[str] = "jet_pt=30"

    jet_pt: float = 20.0
    jet_eta: float = 6.0
    jet_radius: float = 0.4
    min_mass: float = 66.0
    max_mass: float = 116.0
    lepton_pt: float = 0.0
    lepton_eta: float = inf
    missing_pt: float = 0.0
    lepton_jet: float = 0.0

    def __post_init__(self) -> None:
        positive = ("jet_pt", "jet_eta", "jet_radius", "min_mass", "max_mass", "lepton_eta")
        for field in fields(self):
            value = getattr(self, field.name)
            good = not isinstance(value, bool) and isinstance(value, Real) and float(value) >= 0
            if not good or (field.name in positive and value == 0):
                raise InputError(f"the cut {field.name} must be a positive number, got {value!r}")
        if self.min_mass >= self.max_mass or self.max_mass == inf:
            raise InputError(
                f"the lepton pair needs a range of masses, got {self.min_mass:g} to {self.max_mass:g} GeV"
            )
        if self.jet_radius > np.pi:
            raise InputError(f"jet_radius must be below pi, got {self.jet_radius:g}")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> JetCuts:
        """Cuts from a TOML file with the attributes' names, at the top or in a table ``[cuts]``."""
        table = read_toml(path)
        inner = table.get("cuts", table)
        if not isinstance(inner, dict):
            raise InputError(f"{path}: cuts must be a table, [cuts]")
        return cls.from_card(inner)

    def card(self) -> dict[str, float]:
        """All cuts in use by name, as they stand in a run card."""
        values = {field.name: float(getattr(self, field.name)) for field in fields(self)}
        return {name: value for name, value in values.items() if 0 < value < inf}

    def __call__(
        self, momenta: np.ndarray, jets: list[int], charged: list[int], neutral: list[int]
    ) -> np.ndarray:
        """Which events pass.

        Parameters
        ----------
        momenta : array (n, particles, 4)
            In the laboratory, GeV.
        jets, charged, neutral : list of int
            Positions of partons, charged leptons and neutrinos.

        Returns
        -------
        ndarray
            Array (n,) of bool
        """
        leptons = momenta[:, [*charged, *neutral]].sum(axis=1)
        mass2 = mass_squared(leptons)
        passed = (mass2 > self.min_mass**2) & (mass2 < self.max_mass**2)
        for i in jets:
            passed &= transverse_momentum(momenta[:, i]) > self.jet_pt
            passed &= np.abs(pseudorapidity(momenta[:, i])) < self.jet_eta
        for i, j in combinations(jets, 2):
            passed &= delta_r(momenta[:, i], momenta[:, j]) > self.jet_radius
        for i in charged:
            if self.lepton_pt > 0:
                passed &= transverse_momentum(momenta[:, i]) > self.lepton_pt
            if self.lepton_eta < inf:
                passed &= np.abs(pseudorapidity(momenta[:, i])) < self.lepton_eta
            if self.lepton_jet > 0:
                for j in jets:
                    passed &= delta_r(momenta[:, i], momenta[:, j]) > self.lepton_jet
        if neutral and self.missing_pt > 0:
            passed &= transverse_momentum(momenta[:, neutral].sum(axis=1)) > self.missing_pt
        return passed
