from __future__ import annotations

import pytest

from itda.errors import InputError
from itda.job.three_letters import from_three_letters, looks_like_three_letters


@pytest.mark.parametrize(
    "text",
    [
        "Met-Gln-Ile-Phe",
        "MET GLN ILE PHE",
        "met gln ile phe",
        "MetGlnIlePhe",
        "MetGln IlePhe",
        "Met, Gln, Ile, Phe",
        "Met;Gln;Ile;Phe",
        "Met\u00b7Gln\u00b7Ile\u00b7Phe",
        "1 Met Gln 3 Ile Phe",
        "MET-GLN-ILE-PHE-",
    ],
)
def test_every_way_of_writing_is_read(text: str) -> None:
    assert from_three_letters(text) == "MQIF"


@pytest.mark.parametrize(
    "text",
    ["MQIFVK", "Met", "MQI FVK TLT GKT", "mqifvktltg", "ACG TAC GTA CGT", "Dear Sir Met Gln", ""],
)
def test_one_letter_code_and_prose_are_left(text: str) -> None:
    assert from_three_letters(text) is None


@pytest.mark.parametrize("code", ["Sep", "Mse", "Hyp", "Orn"])
def test_a_residue_that_is_not_standard_is_named(code: str) -> None:
    with pytest.raises(InputError, match=f"{code} at residue 3") as caught:
        from_three_letters(f"Met-Gln-{code}-Phe-Val")
    assert "modifications" in caught.value.hint


def test_rare_ones_become_their_letters() -> None:
    assert from_three_letters("Met-Sec-Xaa-Asx-Pyl") == "MUXBO"


def test_letters_of_one_case_are_a_question_only_where_chance_is_out() -> None:
    assert looks_like_three_letters("METGLNILEPHEVAL")
    assert not looks_like_three_letters("METGLNILEPHE")
    assert not looks_like_three_letters("ALALYSALALYSALALYSALALYS")
    assert not looks_like_three_letters("MQIFVKTLTGKTITL")
