"""Geant4 showers, a model fitted to them in seconds, and new showers from it. Needs the extra geant4."""

from lhcflow.calorimeter import read_showers
from lhcflow.calorimeter.geant4 import simulate
from lhcflow.calorimeter.models import TrainingSettings, build_model

if __name__ == "__main__":  # Geant4 runs in processes of its own
    print(simulate("e+", 60, "showers.h5", energy=(1.0, 5.0), seed=1))
    showers = read_showers("showers.h5")
    model = build_model("hitflow", showers.geometry, seed=1)
    model.train_on(showers.energy_mev, showers.voxels, TrainingSettings(epochs=5, progress=False))
    new = model.sample(showers.energy_mev, seed=2)
    for name, voxels in (("Geant4", showers.voxels), ("HitFlow", new)):
        energy, hits = voxels.sum(axis=1).mean(), (voxels > 0).sum(axis=1).mean()
        print(f"{name}: {energy:.0f} MeV and {hits:.0f} hit cells on average")
