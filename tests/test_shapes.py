"""The shapes that annotations promise are checked in these tests."""

import jaxtyping
import pytest
import torch

from lhcflow.flows import Affine


def test_a_wrong_shape_is_caught():
    layer = Affine(3)
    layer(torch.zeros(5, 3))
    for wrong in (torch.zeros(3), torch.zeros(5, 3, dtype=torch.long)):
        with pytest.raises(jaxtyping.TypeCheckError, match="x"):
            layer(wrong)
    with pytest.raises(jaxtyping.TypeCheckError, match="context"):  # six rows for five points
        layer(torch.zeros(5, 3), torch.zeros(6, 1))


@pytest.mark.usefixtures("without_shape_checks")
def test_checks_can_be_left_out():
    assert Affine(3)(torch.zeros(3))[0].shape == (3,)
