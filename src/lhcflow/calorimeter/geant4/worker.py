"""One process that simulates one block of showers: ``python -m lhcflow.calorimeter.geant4.worker JSON``.

A block is a process of its own: Geant4 keeps state between runs, so only a fresh process makes showers that
depend on the block's seed alone; and a crash costs one block.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

from ...files import atomic_write


def simulate_block(
    particle: str, showers: int, energy: tuple[float, float], seed: int, block: int, cut: float, physics: str
) -> dict[str, np.ndarray]:
    """Simulate a block in this process; to be called once per process.

    Parameters
    ----------
    particle : str
        Geant4's name.
    showers : int
        Number of showers.
    energy : (float, float)
        Lower and upper limit of the uniform distribution of the incident energy, GeV.
    seed, block : int
        Together they seed Geant4 and the energies.
    cut : float
        Production cut, mm.
    physics : str
        "FTFP_BERT" or "data-free".

    Returns
    -------
    dict
        ``voxels`` (n, 504) and ``overflow`` (n, 3) in MeV, ``energy`` (n,) in GeV, and ``seconds`` (n,), the
        CPU time of each shower.
    """
    from .detector import FRONT, CaloGanDetector, Readout
    from .library import g4

    sequence = np.random.SeedSequence([seed, block])
    energies = np.random.default_rng(sequence.spawn(1)[0]).uniform(*energy, showers)
    cells, overflow, seconds = [], [], []

    class Gun(g4.G4VUserPrimaryGeneratorAction):
        def __init__(self) -> None:
            super().__init__()
            self.gun = g4.G4ParticleGun(1)
            self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle(particle))
            self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(0, 0, 1))
            self.gun.SetParticlePosition(g4.G4ThreeVector(0, 0, FRONT))

        def GeneratePrimaries(self, event: Any) -> None:
            self.gun.SetParticleEnergy(energies[event.GetEventID()] * g4.GeV)
            self.gun.GeneratePrimaryVertex(event)

    class Record(g4.G4UserEventAction):
        readout: Readout | None = None

        def BeginOfEventAction(self, event: Any) -> None:
            self.start = time.process_time()

        def EndOfEventAction(self, event: Any) -> None:
            self.readout = self.readout or Readout()
            inside, outside = self.readout(event)
            cells.append(inside)
            overflow.append(outside)
            seconds.append(time.process_time() - self.start)

    class Actions(g4.G4VUserActionInitialization):
        def Build(self) -> None:
            self.kept = [Gun(), Record()]
            for action in self.kept:
                self.SetUserAction(action)

    g4.G4Random.setTheSeed(int(sequence.generate_state(1)[0]) >> 1)
    manager, detector, actions = g4.G4RunManager(), CaloGanDetector(), Actions()
    manager.SetUserInitialization(detector)
    manager.SetUserInitialization(_physics_list(particle, physics))
    manager.SetUserInitialization(actions)
    manager.Initialize()
    # SetDefaultCutValue before Initialize is silently lost.
    g4.G4UImanager.GetUIpointer().ApplyCommand(f"/run/setCut {cut} mm")
    manager.BeamOn(showers)
    return {
        "voxels": np.array(cells, np.float32),
        "overflow": np.array(overflow, np.float32),
        "energy": energies,
        "seconds": np.array(seconds),
    }


def _physics_list(particle: str, physics: str) -> Any:
    from .library import g4

    if physics == "FTFP_BERT":
        return g4.FTFP_BERT()
    from .data_free import electromagnetic_list, hadronic_list

    return hadronic_list() if particle.startswith("pi") else electromagnetic_list()


def main() -> None:
    task = json.loads(sys.argv[1])
    path = task.pop("path")
    block = simulate_block(**task)
    with atomic_write(path, "wb") as file:
        np.savez(file, **block)  # type: ignore[arg-type]
    sys.stdout.flush()
    # Geant4's tear-down crashes after objects that Python made.
    os._exit(0)


if __name__ == "__main__":
    main()
