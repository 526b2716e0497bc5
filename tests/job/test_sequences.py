from __future__ import annotations

import pytest

from itda.errors import InputError
from itda.job.sequences import clean_typed_sequences, entities_from_lines, entities_from_text


def test_chains_keep_their_order_and_neighbours_of_one_sequence_are_copies() -> None:
    entities, changes = entities_from_text("MK:MK:AC:MK")
    assert [(e.ids, e.sequence) for e in entities] == [
        (("A", "B"), "MK"),
        (("C",), "AC"),
        (("D",), "MK"),
    ]
    assert changes == []


@pytest.mark.parametrize("text", ["MK:", ":MK", "MK::AC", ":"])
def test_an_empty_chain_is_refused_by_its_number(text: str) -> None:
    with pytest.raises(InputError, match=r"chain \d: the sequence is empty"):
        entities_from_text(text)


def test_places_are_told_within_the_chain_and_within_the_file() -> None:
    with pytest.raises(InputError, match=r"chain 2: B at position 2 \(line 8\)"):
        entities_from_lines([(7, "MK"), (8, "T:AB"), (9, "A")], name_lines=True)


def test_molecule_chooses_the_entity() -> None:
    assert entities_from_text("ACGT", "dna")[0][0].molecule == "dna"
    assert entities_from_text("ACGU", "rna")[0][0].molecule == "rna"
    assert entities_from_text("ACGTACGTACGT", "protein")[0][0].molecule == "protein"


def test_a_windows_path_is_no_two_chains() -> None:
    with pytest.raises(InputError, match="path where a sequence belongs"):
        entities_from_text("C:\\data\\seq.fasta")


def test_typed_sequences_may_span_lines_and_are_cleaned() -> None:
    data = {
        "entities": [{"protein": {"id": "A", "sequence": " mk\n  TC\n"}}, {"ion": {"ccd": "MG"}}]
    }
    cleaned, changes = clean_typed_sequences(data)
    assert cleaned["entities"][0] == {"protein": {"id": "A", "sequence": "MKTC"}}
    assert cleaned["entities"][1] == {"ion": {"ccd": "MG"}}
    assert changes == ["entity 1 (protein), sequence: lower case read as upper case"]
    assert data["entities"][0]["protein"]["sequence"] == " mk\n  TC\n"


def test_typed_sequences_name_their_entity() -> None:
    data = {"entities": [{"dna": {"sequence": "ACGT"}}, {"dna": {"sequence": "ACGU"}}]}
    with pytest.raises(InputError, match=r"entity 2 \(dna\), sequence: 'U' at position 4"):
        clean_typed_sequences(data)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"entities": 5},
        {"entities": [5, {}, {"protein": 5}, {"protein": {"sequence": 5}}]},
    ],
)
def test_what_is_no_job_is_left_for_the_model_to_refuse(data: object) -> None:
    assert clean_typed_sequences(data) == (data, [])
