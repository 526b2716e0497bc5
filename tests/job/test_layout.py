from __future__ import annotations

import pytest

from itda.errors import InputError
from itda.job.layout import plain, refuse_blank_lines, without_layout

from .conftest import UBIQUITIN

CRAMBIN = "TTCCPSIVARSNFNVCRLPGTPEAICATYTGCIIIPGATCPGDYAN"


def blocks(text: str, size: int = 10) -> str:
    return " ".join(text[start : start + size] for start in range(0, len(text), size))


def letters(*lines: str) -> tuple[str, list[str]]:
    laid = without_layout(list(enumerate(lines, 1)))
    return "".join(text for _, text in laid.lines), laid.changes


FIRST, SECOND = UBIQUITIN[:60], UBIQUITIN[60:]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((blocks(UBIQUITIN),), ["spaces"]),
        ((blocks(UBIQUITIN, 3),), ["spaces"]),
        ((blocks(FIRST).replace(" ", "\t"), blocks(SECOND)), ["spaces"]),
        ((f"        1 {blocks(FIRST)}", f"       61 {blocks(SECOND)}"), ["numbers", "spaces"]),
        ((f"  501 {blocks(FIRST)}", f"  561 {blocks(SECOND)}"), ["numbers", "spaces"]),
        ((f"{blocks(FIRST)}   60", f"{blocks(SECOND)}   76"), ["numbers", "spaces"]),
        ((f"1 {FIRST} 60", f"61 {SECOND} 76"), ["numbers"]),
        ((f"1{FIRST}60", f"61{SECOND}76"), ["numbers"]),
        ((f"1. {FIRST}", f"61) {SECOND}"), ["numbers"]),
        (
            ("        10         20", blocks(FIRST[:20]), "30", UBIQUITIN[20:]),
            ["numbers", "spaces"],
        ),
        ((f"{UBIQUITIN[:10]} 10 {UBIQUITIN[10:20]} 20", UBIQUITIN[20:]), ["numbers", "spaces"]),
        ((f'"{UBIQUITIN}"',), ["quotes"]),
        (("\u201c" + FIRST, SECOND + "\u201d"), ["quotes"]),
        ((blocks(UBIQUITIN).replace(" ", "\u00a0"),), ["word processor", "spaces"]),
        ((FIRST + "\u200b", "\ufeff" + SECOND), ["word processor"]),
        ((UBIQUITIN.replace("M", "\uff2d"),), ["word processor"]),
        ((f"{FIRST} {SECOND}",), ["spaces"]),
    ],
)
def test_layout_goes_and_is_said(lines: tuple[str, ...], said: list[str]) -> None:
    sequence, changes = letters(*lines)
    assert sequence == UBIQUITIN
    assert len(changes) == len(said)
    assert all(any(word in change for change in changes) for word in said)


def test_nothing_is_said_where_nothing_is_taken_out() -> None:
    assert letters(FIRST, SECOND) == (UBIQUITIN, [])


@pytest.mark.parametrize("line", ["MQI1FVK", "MQ 7 IF", "M2", "3MQ"])
def test_numbers_that_count_nothing_stay_to_be_refused(line: str) -> None:
    assert any(character.isdigit() for character in letters(line)[0])


@pytest.mark.parametrize(
    "line",
    [
        f"{UBIQUITIN} {CRAMBIN}",
        f"{CRAMBIN} {UBIQUITIN}",
        f"{UBIQUITIN}\t{UBIQUITIN}",
        f"{CRAMBIN} {CRAMBIN} {CRAMBIN}",
        f"{FIRST[:50]} {UBIQUITIN}",
    ],
)
def test_two_sequences_on_a_line_are_a_question(line: str) -> None:
    with pytest.raises(InputError, match="one chain, or several") as caught:
        letters("MKT", line)
    assert "line 2" in caught.value.problem and "':'" in caught.value.hint


@pytest.mark.parametrize("line", [f"{UBIQUITIN}: {CRAMBIN}", f"{UBIQUITIN} :{CRAMBIN}", "A : B"])
def test_spaces_beside_a_colon_part_nothing(line: str) -> None:
    assert letters(line)[0] == line.replace(" ", "")


def test_a_blank_line_inside_a_sequence_is_a_question() -> None:
    for lines in ([(2, UBIQUITIN), (4, CRAMBIN)], [(2, FIRST), (3, SECOND), (5, CRAMBIN)]):
        with pytest.raises(InputError, match="is blank, with 76 residues before it"):
            refuse_blank_lines(lines)
    with pytest.raises(InputError, match="line 3 is blank, with 60 residues"):
        refuse_blank_lines([(2, FIRST), (4, SECOND)])


def test_double_spacing_and_numbers_that_go_on_are_none() -> None:
    assert refuse_blank_lines([(2, "MKTAY"), (4, "IAKQR"), (6, "QI")])
    assert not refuse_blank_lines([(2, f"1 {FIRST}"), (4, f"61 {SECOND}")])
    assert not refuse_blank_lines([(2, FIRST), (3, SECOND)])
    with pytest.raises(InputError):
        refuse_blank_lines([(2, f"1 {FIRST}"), (4, f"1 {SECOND}")])


def test_typographic_dashes_are_gaps_and_other_letters_stay() -> None:
    assert plain("M\u2013K\u2212T") == "M-K-T"
    assert plain("\u0410\u0395") == "\u0410\u0395"
