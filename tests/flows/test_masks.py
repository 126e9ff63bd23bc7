"""Masks of coupling layers."""

import itertools

import pytest

from lhcflow import InputError
from lhcflow.flows.masks import alternating_masks, binary_masks, make_masks, random_masks


@pytest.mark.parametrize("dim", [2, 3, 4, 5, 7, 8, 10, 16, 33])
def test_binary_masks_transform_each_dimension_given_each_other(dim: int) -> None:
    masks = binary_masks(dim)
    for i, j in itertools.permutations(range(dim), 2):
        assert any(mask[i] and not mask[j] for mask in masks), (i, j)


@pytest.mark.parametrize(("dim", "layers"), [(2, 2), (3, 4), (4, 4), (5, 6), (8, 6), (9, 8), (16, 8)])
def test_number_of_binary_masks(dim: int, layers: int) -> None:
    assert len(binary_masks(dim)) == layers  # 2 ceil(log2 dim), 2001.05486


def test_binary_masks_of_four_dimensions() -> None:
    masks = ["".join("01"[chosen] for chosen in mask) for mask in binary_masks(4)]
    assert masks == ["0101", "1010", "0011", "1100"]


def test_alternating_masks() -> None:
    assert alternating_masks(3) == [(False, True, False), (True, False, True)]


@pytest.mark.parametrize("dim", [2, 5, 10])
def test_random_masks_come_in_complementary_pairs_and_depend_on_the_seed(dim: int) -> None:
    masks = random_masks(dim, 8, seed=3)
    assert masks == random_masks(dim, 8, seed=3)
    for first, second in zip(masks[::2], masks[1::2], strict=True):
        assert sum(first) == dim // 2
        assert all(a != b for a, b in zip(first, second, strict=True))
    if dim > 5:
        assert masks != random_masks(dim, 8, seed=4)


@pytest.mark.parametrize("kind", ["binary", "alternating", "random"])
def test_one_dimension_is_always_transformed(kind: str) -> None:
    assert make_masks(kind, 1, 3) == [(True,)] * 3


def test_masks_repeat() -> None:
    assert make_masks("binary", 3, 6) == binary_masks(3) + binary_masks(3)[:2]


def test_wrong_input() -> None:
    with pytest.raises(InputError, match="dim >= 1"):
        binary_masks(0)
    with pytest.raises(InputError, match="layers >= 1"):
        make_masks("binary", 2, 0)
    with pytest.raises(InputError, match="unknown masks 'checker'"):
        make_masks("checker", 2, 2)
