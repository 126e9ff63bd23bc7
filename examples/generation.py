"""Cross section and unweighted events of e+ e- -> 3 jets at the Z pole, as a Les Houches file."""

from lhcflow.processes import Cuts, EventGenerator

generator = EventGenerator("e+ e- > j j j", cuts=Cuts(durham=0.01), method="vegas", seed=1)
print(generator.integrate(calls=20_000, quiet=True), "pb")
generator.write_lhe("events.lhe.gz", 200)
