from dataclasses import replace

import numpy as np
import pytest
from fake_search import template

from itda.engine.codec_evidence import (
    alignment_key,
    decode_alignment,
    decode_found,
    describe_alignment,
    describe_found,
    encode_alignment,
    encode_found,
    templates_key,
)
from itda.engine.searches import FoundTemplates
from itda.search.alignments.alignment import Alignment
from itda.search.templates.selection import FoundHit

QUERY = "MKTAYIAKQR"


@pytest.fixture
def alignment() -> Alignment:
    return Alignment.from_aligned(
        QUERY,
        ["sp|P1|A_HUMAN one OX=9606", "한글 > # name\twith\x85odd letters", ""],
        ["MKTabAYI-KQRzz", "bMBZXAYUOQ*", "----------"],
        source="uniref",
    )


def test_alignment_comes_back_whole(alignment) -> None:
    found = decode_alignment(encode_alignment(alignment))
    assert found == alignment and found.digest == alignment.digest
    assert np.array_equal(found.rows, alignment.rows)
    assert np.array_equal(found.deletions, alignment.deletions)
    assert found.source == ("", "uniref", "uniref", "uniref") and found.species[1]


def test_equal_alignments_give_equal_bytes(alignment) -> None:
    again = decode_alignment(encode_alignment(alignment))
    assert encode_alignment(again) == encode_alignment(alignment)


def test_alignment_of_the_query_alone(alignment) -> None:
    alone = alignment.select([0])
    assert decode_alignment(encode_alignment(alone)) == alone
    assert describe_alignment(alone) == "no relative" and describe_alignment(alignment)[0] == "3"


def test_what_is_said_of_hits_comes_back() -> None:
    used = FoundHit.of_template(template("1abc_A", QUERY), QUERY)
    by_hand = replace(used, name="mine", e_value=float("nan"), release_date="")
    other = FoundHit("2def_B", 0.01, 0.2, 0.5, 5, "", False, "released after 2021-09-30")
    found = FoundTemplates((), "1 released after 2021-09-30", (used, by_hand, other))
    again = decode_found(encode_found(found))
    assert again.hits[0] == used and again.hits[2] == other
    assert np.isnan(again.hits[1].e_value)
    assert replace(again.hits[1], e_value=1.0) == replace(by_hand, e_value=1.0)


def test_half_an_alignment_is_refused(alignment) -> None:
    files = encode_alignment(alignment)
    with pytest.raises(KeyError):
        decode_alignment({"alignment.a3m.gz": files["alignment.a3m.gz"]})
    other = encode_alignment(alignment.select([0, 1]))
    with pytest.raises((ValueError, AssertionError)):
        decode_alignment({**files, "alignment.a3m.gz": other["alignment.a3m.gz"]})


def test_key_of_an_alignment_depends_on_rows_and_species_not_on_source(alignment) -> None:
    assert alignment_key(None) is None
    assert alignment_key(alignment.with_source("elsewhere")) == alignment_key(alignment)
    assert alignment_key(alignment.select([0, 2])) != alignment_key(alignment)
    foreign = Alignment(
        alignment.names, alignment.rows, alignment.texts, alignment.source, ("", "1", "2", "3")
    )
    assert alignment_key(foreign) != alignment_key(alignment)


def test_templates_come_back_with_what_was_refused() -> None:
    found = FoundTemplates((template("1abc_A", QUERY), template("2xyz_B", QUERY)), "3 too old")
    again = decode_found(encode_found(found))
    assert [one.name for one in again.templates] == ["1abc_A", "2xyz_B"]
    assert again.refused == "3 too old"
    assert np.array_equal(again.templates[0].coordinates, found.templates[0].coordinates)
    assert decode_found(encode_found(FoundTemplates(()))) == FoundTemplates(())


def test_key_of_templates_depends_on_atoms_not_on_names() -> None:
    assert templates_key([template("1abc_A", QUERY)]) == templates_key([template("x", QUERY)])
    moved = template("1abc_A", QUERY)
    moved.coordinates[0, 1, 0] += 1
    assert templates_key([moved]) != templates_key([template("1abc_A", QUERY)])
    assert templates_key([]) != templates_key([moved])


def test_templates_are_described() -> None:
    many = tuple(template(f"{number}abc_A", QUERY) for number in range(6))
    assert describe_found(FoundTemplates(many)).endswith("3abc_A (100%), …")
    assert describe_found(FoundTemplates(())) == "no template"
    assert describe_found(FoundTemplates((), "2 x")) == "no template; refused: 2 x"
