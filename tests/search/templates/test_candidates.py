"""Candidate sets of made-up templates, whose agreement is known."""

from importlib.resources import files
from io import StringIO

import numpy as np
import pytest
from biotite.structure.io.pdbx import CIFFile, get_structure

from itda.search.templates.candidates import AGREEMENT, agreement, candidate_sets
from itda.search.templates.template import Template

LENGTH = 120


def walk(seed: int, length: int = LENGTH) -> np.ndarray:
    """CA atoms of a chain that goes its own way, 3.8 angstrom a step, and stays in a ball."""
    random = np.random.default_rng(seed)
    places = np.zeros((length, 3))
    for place in range(1, length):
        step = random.normal(size=3) - 0.08 * places[place - 1]
        places[place] = places[place - 1] + 3.8 * step / np.linalg.norm(step)
    return places


def rotated(places: np.ndarray) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    return places @ turn + 40.0


def template(name: str, places: np.ndarray, first: int = 0, last: int | None = None) -> Template:
    """A template whose residues pair with those of the query from `first` to `last`."""
    index = np.arange(first, LENGTH if last is None else last, dtype=np.int32)
    coordinates = np.zeros((len(index), 37, 3), np.float32)
    coordinates[:, 1] = places[index]
    mask = np.zeros((len(index), 37), bool)
    mask[:, 1] = True
    return Template(name, "A" * len(index), coordinates, mask, index, index - first, identity=0.3)


ONE, OTHER, THIRD = walk(1), walk(2), walk(3)
NEAR = rotated(ONE) + np.random.default_rng(9).normal(0, 0.4, ONE.shape)


def sets(templates: list[Template], **said: int) -> tuple[tuple[int, ...], ...]:
    return candidate_sets(templates, **{"length": LENGTH, "count": 4, "most": 10, **said})


def test_no_template_leaves_one_empty_set() -> None:
    assert sets([]) == ((),)


def test_one_template_is_folded_after_and_without() -> None:
    assert sets([template("a", ONE)]) == ((0,), ())


def test_one_set_is_what_is_folded_without_a_choice() -> None:
    templates = [template(str(seed), walk(seed)) for seed in range(6)]
    assert sets(templates, most=1) == ((0, 1, 2, 3),)
    assert sets(templates, most=1, count=2) == ((0, 1),)


def test_order_is_together_first_group_second_none_and_then_the_rest() -> None:
    # A wrong best hit; hits 2 and 4, and hits 3 and 6, are of one fold each.
    templates = [
        template("wrong", walk(7)), template("a", ONE), template("b", OTHER),
        template("a2", NEAR), template("odd", walk(8)), template("b2", rotated(OTHER)),
    ]  # fmt: skip
    assert sets(templates) == (
        (0, 1, 2, 3), (0,), (1, 3), (1,), (), (2,), (2, 5), (3,),
    )  # fmt: skip
    assert sets(templates, most=5) == ((0, 1, 2, 3), (0,), (1, 3), (1,), ())


def test_groups_hold_no_more_than_are_used_together() -> None:
    templates = [template("wrong", walk(7)), *(template(str(one), ONE) for one in range(6))]
    groups = [members for members in sets(templates) if len(members) > 1]
    assert groups == [(0, 1, 2, 3), (1, 2, 3, 4), (5, 6)]
    assert all(len(members) <= 2 for members in sets(templates, count=2))


def test_group_agrees_each_with_each() -> None:
    # The second covers both halves; the first and the third share nothing.
    templates = [
        template("left", ONE, 0, 60), template("whole", ONE), template("right", ONE, 60),
    ]  # fmt: skip
    assert sets(templates) == ((0, 1, 2), (0,), (0, 1), (1,), (), (2,))


def test_parts_of_the_query_are_joined() -> None:
    # Five hits on one half hide the only one that knows the other.
    templates = [
        *(template(f"left{seed}", walk(seed), 0, 60) for seed in range(5)),
        template("right", OTHER, 60),
    ]  # fmt: skip
    found = sets(templates)
    assert found[0] == (0, 1, 2, 3)
    assert found[2] == (0, 5)


def test_a_little_more_of_the_query_is_no_part_of_its_own() -> None:
    templates = [template("most", ONE, 0, 100), template("end", OTHER, 90)]
    assert sets(templates) == ((0, 1), (0,), (1,), ())


def test_given_templates_are_in_every_set_but_the_empty_one() -> None:
    templates = [template("given", THIRD), template("a", ONE), template("b", OTHER)]
    assert sets(templates, given=1) == ((0, 1, 2), (0, 1), (0, 2), ())


@pytest.mark.parametrize("given", [4, 5])
def test_given_templates_are_not_counted_out(given: int) -> None:
    templates = [template(str(seed), walk(seed)) for seed in range(8)]
    assert sets(templates, given=given) == (tuple(range(given)), ())


def test_one_template_at_a_time() -> None:
    templates = [template(str(one), ONE) for one in range(3)]
    assert sets(templates, count=1) == ((0,), (1,), (), (2,))


@pytest.mark.parametrize("seed", range(20))
def test_no_set_twice_and_places_rise(seed: int) -> None:
    random = np.random.default_rng(seed)
    templates = []
    for number in range(int(random.integers(1, 13))):
        first = int(random.integers(0, 80))
        last = int(random.integers(first + 15, LENGTH + 1))
        templates.append(template(str(number), walk(int(random.integers(3))), first, last))
    given = int(random.integers(0, min(3, len(templates)) + 1))
    count, most = int(random.integers(1, 6)), int(random.integers(1, 12))
    found = sets(templates, given=given, count=count, most=most)
    assert 1 <= len(found) <= most
    assert len(set(found)) == len(found)
    for members in found:
        assert list(members) == sorted(set(members))
        assert len(members) <= max(count, given)
        assert not members or set(range(given)) <= set(members)
    # What is asked for less is the beginning of what is asked for more.
    assert sets(templates, given=given, count=count, most=most + 1)[: len(found)] == found


def test_agreement_does_not_hang_on_the_frame_and_falls_with_error() -> None:
    assert agreement(ONE, rotated(ONE)) == pytest.approx(1.0)
    moved = [
        agreement(ONE, ONE + np.random.default_rng(4).normal(0, sigma, ONE.shape))
        for sigma in (0.2, 0.6, 1.5, 4.0)
    ]
    assert moved == sorted(moved, reverse=True)
    assert moved[1] > AGREEMENT > moved[-1]
    different = agreement(ONE, OTHER)
    assert different is not None and different < AGREEMENT - 0.1
    assert different == agreement(OTHER, ONE)


def test_agreement_needs_residues_in_common() -> None:
    left, right = ONE.copy(), ONE.copy()
    left[70:] = np.nan
    right[:60] = np.nan
    assert agreement(left, right) is None
    right[:60] = ONE[:60]
    right[:50] = np.nan
    assert agreement(left, right) == pytest.approx(1.0)


def test_an_atom_that_was_not_seen_covers_nothing() -> None:
    unseen = template("unseen", ONE)
    unseen.atom_mask[60:] = False
    assert sets([unseen, template("right", OTHER, 60)]) == ((0, 1), (0,), (1,), ())
    # Where the half was seen, both lie along the query and do not agree.
    assert (0, 1) in sets([template("seen", ONE), template("right", OTHER, 60)])


def test_bound_tells_one_fold_from_another_in_a_real_structure(ubiquitin: np.ndarray) -> None:
    length = len(ubiquitin)
    bend = np.random.default_rng(6).normal(0, 1, ubiquitin.shape)
    relative = agreement(ubiquitin, ubiquitin + bend)
    assert relative is not None and relative > AGREEMENT
    # As many residues as compactly packed, along another way: laid backwards, and shifted by half.
    for other in (ubiquitin[::-1], np.roll(ubiquitin, length // 2, axis=0)):
        different = agreement(ubiquitin, other)
        assert different is not None and different < AGREEMENT


@pytest.fixture(scope="module")
def ubiquitin() -> np.ndarray:
    text = files("itda.data").joinpath("examples/1ubq.cif").read_text(encoding="utf-8")
    atoms = get_structure(CIFFile.read(StringIO(text)), model=1)
    return atoms.coord[(atoms.atom_name == "CA") & ~atoms.hetero].astype(float)
