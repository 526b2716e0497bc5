"""Stretches of low pLDDT and parts that stand loosely together."""

import numpy as np
import pytest

from itda.confidence.stretches import LEAST_PART, low_stretches, parts_apart


def confidence(length: int, *low: tuple[int, int]) -> np.ndarray:
    plddt = np.full(length, 90.0)
    for first, last in low:
        plddt[first : last + 1] = 30.0
    return plddt


@pytest.mark.parametrize(
    ("low", "expected"),
    [
        ([], []),
        ([(0, 5)], [(0, 5)]),
        ([(34, 39)], [(34, 39)]),
        ([(10, 12)], []),  # too short to be named
        ([(10, 13), (16, 18)], [(10, 18)]),  # two better residues part nothing
        ([(10, 13), (17, 20)], [(10, 13), (17, 20)]),  # three do
        ([(0, 39)], [(0, 39)]),
    ],
)
def test_stretches(low, expected) -> None:
    assert low_stretches(confidence(40, *low), "A" * 40, below=50) == expected


def test_no_stretch_goes_over_the_end_of_a_chain() -> None:
    found = low_stretches(confidence(40, (15, 24)), "A" * 20 + "B" * 20, below=50)
    assert found == [(15, 19), (20, 24)]


def blocks(sizes: list[int], near: list[tuple[int, int]] = ()) -> np.ndarray:
    """PAE of parts that are firm by themselves, and those of `near` to one another."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    firm = of[:, None] == of[None]
    for one, other in near:
        firm |= ((of[:, None] == one) & (of[None] == other)) | (
            (of[:, None] == other) & (of[None] == one)
        )
    return np.where(firm, 3.0, 20.0)


def found(plddt: np.ndarray, pae: np.ndarray) -> list[tuple[list[int], list[int]]]:
    return [
        (parts.first.tolist(), parts.second.tolist())
        for parts in parts_apart(plddt, pae, apart_angstrom=12)
    ]


def test_two_parts() -> None:
    (pair,) = found(confidence(100), blocks([60, 40]))
    assert pair == (list(range(60)), list(range(60, 100)))


def test_one_firm_body_has_no_parts() -> None:
    assert found(confidence(100), blocks([100])) == []


def test_a_part_may_lie_on_both_sides_of_another() -> None:
    (pair,) = found(confidence(120), blocks([40, 40, 40], near=[(0, 2)]))
    assert pair == ([*range(40), *range(80, 120)], list(range(40, 80)))


def test_three_parts_are_three_pairs() -> None:
    assert len(found(confidence(150), blocks([50, 50, 50]))) == 3


def test_small_and_uncertain_parts_are_none() -> None:
    assert found(confidence(100), blocks([100 - LEAST_PART + 1, LEAST_PART - 1])) == []
    assert found(confidence(100, (60, 99)), blocks([60, 40])) == []


def test_one_direction_alone_does_not_make_it_firm() -> None:
    pae = blocks([60, 40])
    pae[:60, 60:] = 6.0
    (parts,) = parts_apart(confidence(100), pae, apart_angstrom=12)
    assert parts.mean_pae_angstrom == pytest.approx(13.0)


def test_long_ones_are_found_in_blocks() -> None:
    (pair,) = found(confidence(1000), blocks([600, 400]))
    assert abs(len(pair[0]) - 600) <= 5 and len(pair[0]) + len(pair[1]) == 1000
