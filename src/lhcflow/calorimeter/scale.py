"""Whether energies of showers are in the units that their format says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

# Medians of E_tot / E_inc, in MeV over MeV. The smallest that are right are the raw deposits of sampling
# calorimeters: 0.033 in the CaloChallenge's silicon and tungsten (2410.21611, section 3.2), about 0.01 in
# thin silicon. Calibrated showers have 0.3 (pions in CaloGAN's calorimeter) to 1, data set 2 has 0.78 with
# single showers up to 2.8. GeV for MeV, or MeV for GeV, is a factor of 1000: at most 0.003, or 10 and more.
_LEAST, _MOST = 0.003, 5.0
# A single shower never has so many times its incident energy.
_ONE = 100.0
# Incident energies in MeV: less than the critical energy of lead, 7.4 MeV (PDG), makes no shower; no
# accelerator is planned for more than 100 TeV.
_ENERGIES = (5.0, 1e8)


def check_scale(incident: NDArray[np.floating], deposited: NDArray[np.floating], unit: str) -> None:
    """Refuse energies that are in other units than they should be.

    Parameters
    ----------
    incident : array
        Incident energies (n,) in MeV.
    deposited : array
        Sums (n,) of all voxels in MeV.
    unit : str
        Unit of the incident energies in the file, for the message.

    Raises
    ------
    InputError
        If the median of their ratio, a single ratio or an incident energy is out of physical bounds.
    """
    ratio = deposited / incident
    low, high = float(incident.min()), float(incident.max())
    ask = f"incident energies are expected in {unit}, voxels in MeV; --any-scale takes them as they are"
    if low < _ENERGIES[0] or high > _ENERGIES[1]:
        raise InputError(f"the incident energies go from {low:.3g} to {high:.3g} MeV: {ask}")
    if not deposited.any():
        raise InputError("no voxel has any energy")
    median = float(np.median(ratio))
    if not _LEAST <= median <= _MOST:
        raise InputError(f"showers have {median:.2g} of their incident energy in the median: {ask}")
    if (ratio > _ONE).any():
        row = int(ratio.argmax())
        raise InputError(f"a shower has {ratio[row]:.2g} times its incident energy: {ask}")
