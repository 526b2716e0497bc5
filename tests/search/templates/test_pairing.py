import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.search.templates.pairing import align_sequences, pair_identity, settle_gaps
from tests.sequences import relative


def test_insertion_and_overhang() -> None:
    random = np.random.default_rng(3)
    query = "".join(random.choice(list(RESTYPES), 80))
    template = "GGGG" + query[:40] + "WWWWW" + query[45:]
    pairs = align_sequences(query, template)
    found = dict(zip(pairs.query_index.tolist(), pairs.template_index.tolist(), strict=True))
    expected = {i: i + 4 for i in range(80)}
    assert {i: found[i] for i in (*range(38), *range(47, 80))} == {
        i: expected[i] for i in (*range(38), *range(47, 80))
    }
    assert pairs.query_index.dtype == pairs.template_index.dtype == np.int32


def test_identity_counts_pairs() -> None:
    random = np.random.default_rng(4)
    query = "".join(random.choice(list(RESTYPES), 100))
    assert align_sequences(query, relative(query, 0.25, random)).identity == 0.75


def test_unknown_is_like_nothing() -> None:
    index = np.arange(4, dtype=np.int32)
    assert pair_identity("AXAX", "AXXA", index, index) == 0.25
    assert pair_identity("AXAX", "AXXA", index[:0], index[:0]) == 0.0


@pytest.mark.parametrize("seen", ["AB", "BA"])
def test_a_gap_goes_where_residues_are_missing(seen: str) -> None:
    # Of the two glycines in the middle one is missing; the index tells which.
    query = "MKTAYIAKQGGISFVKSHFSRQ"
    template = query.replace("GG", "G")
    missing = 10 if seen == "AB" else 9
    index = np.delete(np.arange(len(query), dtype=np.int32), missing)
    assert align_sequences(query, template, index).query_index.tolist() == index.tolist()


@pytest.mark.parametrize("missing", [(9,), (10,), (9, 10, 11), (10, 11, 12), (12, 13)])
@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_the_gap_of_a_search_is_moved_to_the_break(missing: tuple[int, ...], shift: int) -> None:
    query = "MKTAYIAKQGGGGGFVKSHFSRQ"
    index = np.delete(np.arange(len(query), dtype=np.int32), missing)
    template = "".join(query[place] for place in index)
    found = np.delete(np.arange(len(query), dtype=np.int32), [place + shift for place in missing])
    pairs = settle_gaps(query, template, found, np.arange(len(index), dtype=np.int32), index)
    assert pairs.query_index.tolist() == index.tolist()
    assert pairs.identity == 1.0


def test_a_gap_stays_where_the_sequences_want_it() -> None:
    query = "MKTAYIAKQRQISFVKSHFSRQ"
    found = np.delete(np.arange(len(query), dtype=np.int32), 10)
    template = "".join(query[place] for place in found)
    broken_elsewhere = np.arange(len(template), dtype=np.int32)
    broken_elsewhere[14:] += 3
    place = np.arange(len(template), dtype=np.int32)
    pairs = settle_gaps(query, template, found, place, broken_elsewhere)
    assert pairs.query_index.tolist() == found.tolist()


@pytest.mark.parametrize("sequence", ["GGA", "ALAG", "MKTAYI", "GAGAGAGA"])
def test_a_chain_lies_along_its_own_sequence_however_broken(sequence: str) -> None:
    index = np.arange(len(sequence), dtype=np.int32) * 7
    pairs = align_sequences(sequence, sequence, index)
    assert pairs.query_index.tolist() == pairs.template_index.tolist() == [*range(len(sequence))]
    assert pairs.identity == 1.0
