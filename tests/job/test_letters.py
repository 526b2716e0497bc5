from __future__ import annotations

import string

import pytest

from itda.errors import InputError
from itda.job.letters import ALPHABETS, clean_sequence, looks_like_nucleotides, looks_like_path

PROTEIN_FATE = dict.fromkeys("ACDEFGHIKLMNPQRSTVWYX", "kept") | dict.fromkeys("BJOUZ", "ambiguous")
DNA_FATE = (
    dict.fromkeys("ACGTN", "kept") | dict.fromkeys("RYSWKMBDHV", "ambiguous") | {"U": "foreign"}
)
RNA_FATE = (
    dict.fromkeys("ACGUN", "kept") | dict.fromkeys("RYSWKMBDHV", "ambiguous") | {"T": "foreign"}
)


@pytest.mark.parametrize(
    ("molecule", "fate"), [("protein", PROTEIN_FATE), ("dna", DNA_FATE), ("rna", RNA_FATE)]
)
def test_every_printable_character_has_the_documented_fate(
    molecule: str, fate: dict[str, str]
) -> None:
    for letter in string.printable.strip():
        text = f"A{letter}A"
        expected = fate.get(letter.upper(), "refused")
        if letter == "*":
            expected = "refused"
        if expected == "kept":
            assert clean_sequence(text, molecule)[0] == text.upper()
            continue
        with pytest.raises(InputError, match="position 2"):
            clean_sequence(text, molecule)
        if expected == "ambiguous":
            sequence, changes = clean_sequence(text, molecule, ambiguous="x")
            unknown = ALPHABETS[molecule].unknown
            assert sequence == f"A{unknown}A"
            assert f"{letter.upper()} read as {unknown} at position 2" in changes
        else:
            with pytest.raises(InputError, match="position 2"):
                clean_sequence(text, molecule, ambiguous="x")


def test_what_is_changed_is_said() -> None:
    assert clean_sequence("MKT", "protein") == ("MKT", [])
    assert clean_sequence("mkT*", "protein") == (
        "MKT",
        ["lower case read as upper case", "'*' (stop) at the end removed"],
    )


def test_each_ambiguous_letter_is_named_with_its_place_and_remedy() -> None:
    with pytest.raises(InputError) as caught:
        clean_sequence("MUAO", "protein")
    assert "U at position 2 is selenocysteine" in caught.value.problem
    assert "O at position 4 is pyrrolysine" in caught.value.problem
    assert "SEC" in caught.value.hint
    assert "PYL" in caught.value.hint
    assert "--ambiguous x" in caught.value.hint


def test_many_places_are_counted_not_listed() -> None:
    _, changes = clean_sequence("M" + "B" * 9, "protein", ambiguous="x")
    assert changes == ["B read as X at positions 2, 3, 4, 5, 6 and 4 more"]


@pytest.mark.parametrize("text", ["", "*", "**"])
def test_empty_sequences_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="empty"):
        clean_sequence(text, "protein")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MK\u00a0T", "' ' at position 3"),
        ("MKé", r"'é' \(U\+00E9 LATIN SMALL LETTER E WITH ACUTE\) at position 3"),
        ("MK\u0410", r"\(U\+0410 CYRILLIC CAPITAL LETTER A\) at position 3"),
        ("MK\udce9", "byte 0xE9"),
        ("MK\0", r"U\+0000"),
        ("MK１", "digit"),
        ("MKß", "'ß'"),
    ],
)
def test_characters_outside_ascii_are_refused_legibly(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        clean_sequence(text, "protein")
    assert caught.value.problem.isprintable()


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "./seq.fasta", "../a/b", "~/x.fa", "C:\\a\\b.txt", "ubq.fasta", "x.pdb"]
)
def test_a_path_is_noticed(text: str) -> None:
    assert looks_like_path(text)
    with pytest.raises(InputError, match="path where a sequence belongs"):
        clean_sequence(text, "protein")


@pytest.mark.parametrize("text", ["MKT", "MK/TA", "MK.TA", "A-B", "M*"])
def test_sequences_are_not_taken_for_paths(text: str) -> None:
    assert not looks_like_path(text)


def test_nucleotides_are_refused_as_protein_unless_insisted() -> None:
    with pytest.raises(InputError, match="looks like DNA") as caught:
        clean_sequence("acgtacgtac", "protein")
    assert "--molecule protein" in caught.value.hint
    with pytest.raises(InputError, match="looks like RNA"):
        clean_sequence("ACGUACGUAC", "protein")
    assert clean_sequence("ACGTACGTAC", "protein", guess=False)[0] == "ACGTACGTAC"
    assert clean_sequence("ACGTACGTAC", "dna")[0] == "ACGTACGTAC"


def test_short_or_mixed_sequences_are_not_taken_for_nucleotides() -> None:
    assert not looks_like_nucleotides("ACGTACGTA")
    assert looks_like_nucleotides("ACGTACGTAN")
    assert not looks_like_nucleotides("ACGTACGTAM")


def test_one_and_five_thousand_residues_are_accepted() -> None:
    assert clean_sequence("M", "protein")[0] == "M"
    assert len(clean_sequence("MKTLV" * 1000, "protein")[0]) == 5000
