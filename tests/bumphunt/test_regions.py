"""Signal regions and their sidebands."""

import numpy as np
import pytest

from lhcflow import InputError
from lhcflow.bumphunt.regions import SignalRegion


def test_regions_part_the_spectrum():
    region = SignalRegion.of((3.3, 3.7))
    m = np.linspace(2, 6, 4001)
    inside, sidebands = region.contains(m), region.sidebands(m, 2.5, 5.0)
    below, above = region.strips(m, 0.2)
    assert not (inside & sidebands).any()
    assert (inside | sidebands)[(m >= 2.5) & (m < 5)].all()
    assert not sidebands[(m < 2.5) | (m >= 5)].any()
    assert inside.sum() == 400
    assert below.sum() == above.sum() == 200
    assert not (below & above).any()
    assert not ((below | above) & inside).any()
    assert SignalRegion.of(region) is region


def test_wrong_limits_are_refused():
    for limits in [(3.7, 3.3), (3.3, 3.3), (np.nan, 3.7), (3.3, np.inf)]:
        with pytest.raises(InputError, match="low < high"):
            SignalRegion.of(limits)
    with pytest.raises(InputError, match="pair"):
        SignalRegion.of((1.0, 2.0, 3.0))
