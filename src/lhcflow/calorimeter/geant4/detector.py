"""The CaloGAN calorimeter as a Geant4 detector (1705.02355, 1712.10321).

A 480 mm cube of 80 layers, 2 mm of lead and 4 mm of liquid argon each, read out in three sections of
3 x 96, 12 x 12 and 12 x 6 cells. All energy deposits count, in lead and in argon; what falls beside the
480 mm x 480 mm goes to the overflow of its section.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .library import g4

SECTIONS = ((3, 96), (12, 12), (12, 6))
CELLS = sum(nx * ny for nx, ny in SECTIONS)
_LAYERS = 80
_LAYER, _LEAD = 6, 2  # mm
_EDGES = (90, 437)  # mm from the front face, where sections meet
_HALF = 240  # mm
_OUTER = 500  # mm, half width of the material
_WORLD = 600  # mm
FRONT = -(_HALF + 48)  # mm, where the world begins and particles start


class CaloGanDetector(g4.G4VUserDetectorConstruction):
    """Cells are replicas, which Geant4 scores itself; a Python callback per step costs three times more."""

    def Construct(self) -> Any:
        lead = g4.G4NistManager.Instance().FindOrBuildMaterial("G4_Pb")
        argon = g4.G4Material("liquidArgon", z=18.0, a=39.95 * g4.g / g4.mole, density=1.390 * g4.g / g4.cm3)
        vacuum = g4.G4Material(
            "Galactic",
            z=1.0,
            a=1.01 * g4.g / g4.mole,
            density=1e-25 * g4.g / g4.cm3,
            state=g4.kStateGas,
            temp=2.73 * g4.kelvin,
            pressure=3e-18 * g4.pascal,
        )
        # Geant4 does not own what Python made: keep it alive.
        self.kept: list[Any] = [lead, argon, vacuum]
        self.cells: list[tuple[int, Any]] = []
        self.outside: list[tuple[int, Any]] = []
        world = self._keep(g4.G4LogicalVolume(g4.G4Box("World", _WORLD, _WORLD, -FRONT), vacuum, "World"))
        placed = g4.G4PVPlacement(None, g4.G4ThreeVector(), world, "World", None, False, 0, False)
        volumes: dict[tuple[int, str, int], Any] = {}
        for material, begin, end in _slabs(lead, argon):
            section = sum(begin >= edge for edge in _EDGES)
            key = (section, material.GetName(), end - begin)
            if key not in volumes:
                volumes[key] = self._slab(section, material, end - begin)
            middle = g4.G4ThreeVector(0, 0, (begin + end) / 2 - _HALF)
            # The scorer's layer index is the copy number.
            self._keep(
                g4.G4PVPlacement(None, middle, volumes[key], "Slab", world, False, begin // _LAYER, False)
            )
        return self._keep(placed)

    def ConstructSDandField(self) -> None:
        manager = g4.G4SDManager.GetSDMpointer()
        for section, (nx, ny) in enumerate(SECTIONS):
            inside = g4.G4MultiFunctionalDetector(f"Cells{section}")
            outside = g4.G4MultiFunctionalDetector(f"Overflow{section}")
            for detector in (inside, outside):
                manager.AddNewDetector(self._keep(detector))
            # Depths in the volume tree: the slab is 3 above a cell, the row 1.
            inside.RegisterPrimitive(self._keep(g4.G4PSEnergyDeposit3D("E", _LAYERS, nx, ny, 3, 1, 0)))
            outside.RegisterPrimitive(self._keep(g4.G4PSEnergyDeposit("E")))
            for detector, volumes in ((inside, self.cells), (outside, self.outside)):
                for where, volume in volumes:
                    if where == section:
                        self.SetSensitiveDetector(volume, detector)

    def _slab(self, section: int, material: Any, thickness: int) -> Any:
        """A slab of one material with the cells of its section in it."""
        nx, ny = SECTIONS[section]
        half = thickness / 2

        def volume(name: str, x: float, y: float) -> Any:
            return self._keep(g4.G4LogicalVolume(g4.G4Box(name, x, y, half), material, name))

        slab = volume("Slab", _OUTER, _OUTER)
        inner = volume("Inner", _HALF, _HALF)
        row = volume("Row", _HALF / nx, _HALF)
        cell = volume("Cell", _HALF / nx, _HALF / ny)
        self._keep(g4.G4PVPlacement(None, g4.G4ThreeVector(), inner, "Inner", slab, False, 0, False))
        self._keep(g4.G4PVReplica("Row", row, inner, g4.kXAxis, nx, 2 * _HALF / nx))
        self._keep(g4.G4PVReplica("Cell", cell, row, g4.kYAxis, ny, 2 * _HALF / ny))
        self.cells.append((section, cell))
        self.outside.append((section, slab))
        return slab

    def _keep(self, thing: Any) -> Any:
        self.kept.append(thing)
        return thing


class Readout:
    """Reads the energies of an event from the scorers."""

    def __init__(self) -> None:
        manager = g4.G4SDManager.GetSDMpointer()
        self._collections = [
            (manager.GetCollectionID(f"Cells{s}/E"), manager.GetCollectionID(f"Overflow{s}/E"))
            for s in range(len(SECTIONS))
        ]

    def __call__(self, event: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return (504,) cell energies and (3,) overflow in MeV."""
        hits = event.GetHCofThisEvent()
        cells, overflow = np.zeros(CELLS), np.zeros(len(SECTIONS))
        begin = 0
        for section, (nx, ny) in enumerate(SECTIONS):
            inside, outside = (hits.GetHC(i) for i in self._collections[section])
            deposits = list(inside)
            if deposits:
                index, energy = np.array(deposits).T
                # The index counts layers first: all layers of a section add up.
                np.add.at(cells, begin + index.astype(int) % (nx * ny), energy)
            overflow[section] = sum(energy for _, energy in outside)
            begin += nx * ny
        return cells, overflow


def _slabs(lead: Any, argon: Any) -> list[tuple[Any, int, int]]:
    """(material, begin, end) in mm from the front, cut where two sections meet within a layer."""
    slabs = []
    for layer in range(_LAYERS):
        front = layer * _LAYER
        for material, begin, end in ((lead, front, front + _LEAD), (argon, front + _LEAD, front + _LAYER)):
            cuts = [begin, *(e for e in _EDGES if begin < e < end), end]
            slabs += [(material, a, b) for a, b in pairwise(cuts)]
    return slabs
