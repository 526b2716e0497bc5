from __future__ import annotations

from collections.abc import Callable

import pytest

from itda.errors import InputError
from itda.job.read import JobBatch

from .conftest import UBIQUITIN
from .test_layout import CRAMBIN, FIRST, SECOND, blocks

Read = Callable[..., JobBatch]

NUMBERED = f"        1 {blocks(FIRST.lower())}\n       61 {blocks(SECOND.lower())}\n"
GENPEPT = f"""LOCUS       1UBQ_A                    76 aa            linear   SYN 01-DEC-2020
DEFINITION  Chain A, Ubiquitin.
ACCESSION   1UBQ_A
FEATURES             Location/Qualifiers
     Region          1..76
                     /note="Ubiquitin; MKTAYIAKQR"
ORIGIN
{NUMBERED}//
"""
UNIPROT = f"""ID   UBIQ_TEST               Reviewed;          76 AA.
AC   P00000;
DE   RecName: Full=Ubiquitin;
SQ   SEQUENCE   76 AA;  8565 MW;  0000000000000000 CRC64;
     {blocks(FIRST)}
     {blocks(SECOND)}
//
"""


def found(batch: JobBatch) -> dict[str, list[str]]:
    assert not batch.rejected
    return {job.name: [entity.sequence for entity in job.entities] for job in batch.jobs}


@pytest.mark.parametrize(
    "text",
    [
        UBIQUITIN,
        f"\n\n{UBIQUITIN}\n\n",
        f"{FIRST}\n{SECOND}\n",
        blocks(UBIQUITIN),
        NUMBERED,
        NUMBERED.replace("\n", "\n\n"),
        f"ORIGIN\n{NUMBERED}//\n",
        UBIQUITIN.lower() + "*",
        f"\u201c{UBIQUITIN}\u201d\n",
        f"# from a plasmid map\n{UBIQUITIN}\n".replace("# from a plasmid map\n", ""),
    ],
)
def test_a_sequence_without_a_header_is_called_after_its_file(read: Read, text: str) -> None:
    batch = read(text, "ubq.txt")
    assert found(batch) == {"ubq": [UBIQUITIN]}
    assert "a sequence without a header, called ubq" in str(batch.warnings[0])


def test_a_blank_line_parts_two_records(read: Read) -> None:
    batch = read(f"{UBIQUITIN}\n\n{CRAMBIN}\n", "two.txt")
    assert found(batch) == {"two_1": [UBIQUITIN], "two_2": [CRAMBIN]}
    assert "one of 2 sequences parted by blank lines" in str(batch.warnings[1])
    batch = read(f"{UBIQUITIN}:{CRAMBIN}\n\n\n{UBIQUITIN}\n\n{CRAMBIN}\n", "x", name_prefix="s")
    assert found(batch) == {"s_1": [UBIQUITIN, CRAMBIN], "s_2": [UBIQUITIN], "s_3": [CRAMBIN]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f">a\n{UBIQUITIN}\n\n{CRAMBIN}\n", "line 3 is blank"),
        (f">a\n{FIRST}\n\n{SECOND}\n", "line 3 is blank"),
        (f"{FIRST}\n\n{SECOND}\n", "line 2 is blank"),
        (f"{FIRST}\n{FIRST}\n\n{CRAMBIN}\n", "line 3 is blank"),
        (f"version: 1\nname: a\nentities:\n- protein:\n    sequence: |\n      {UBIQUITIN}\n\n"
         f"      {CRAMBIN}\n", "line 2 is blank"),
    ],
)  # fmt: skip
def test_what_could_be_one_or_two_is_asked(read: Read, text: str, said: str) -> None:
    (rejected,) = read(text).rejected
    assert said in str(rejected)
    assert "':' between them" in str(rejected)


@pytest.mark.parametrize("text", [f"{UBIQUITIN}\n{CRAMBIN}\n", f"{CRAMBIN}\n{UBIQUITIN}\n" * 3])
def test_one_sequence_a_line_is_a_question(read: Read, text: str) -> None:
    with pytest.raises(InputError, match="one sequence, or one a line"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello world this is a text\nwith lines\n",
        "Ubiquitin, a small protein\n",
        "MKT\n",
        "see attachment\n",
        "sequence of ubiquitin MQIFVKTLTG\n",
        f"ubq {UBIQUITIN}\n",
        f"ubq,{UBIQUITIN}\n",
    ],
)
def test_prose_is_no_sequence(read: Read, text: str) -> None:
    with pytest.raises(InputError, match="before the first header"):
        read(text)


def test_flat_files_give_name_description_and_sequence(read: Read) -> None:
    for text, name, described in (
        (GENPEPT, "1UBQ_A", "Chain A, Ubiquitin."),
        (UNIPROT, "UBIQ_TEST", "RecName: Full=Ubiquitin;"),
    ):
        batch = read(text)
        assert found(batch) == {name: [UBIQUITIN]}
        assert batch.jobs[0].metadata == {"description": described}
    assert list(found(read(GENPEPT + UNIPROT))) == ["1UBQ_A", "UBIQ_TEST"]


def test_an_entry_without_a_sequence_is_refused_by_name(read: Read) -> None:
    batch = read(GENPEPT.replace("ORIGIN", "CONTIG") + UNIPROT)
    assert [job.name for job in batch.jobs] == ["UBIQ_TEST"]
    assert "record 1 '1UBQ_A' (line 1): has no sequence" in str(batch.rejected[0])


def test_pir_has_its_description_on_a_line_of_its_own(read: Read) -> None:
    batch = read(f">P1;UBQ\nMADE BY HAND\n{FIRST}\n{SECOND}*\n>F1;CRN\n\n{CRAMBIN}*\n")
    assert found(batch) == {"UBQ": [UBIQUITIN], "CRN": [CRAMBIN]}
    assert batch.jobs[0].metadata == {"description": "MADE BY HAND"}


def test_rows_with_gaps_are_called_an_alignment(read: Read) -> None:
    batch = read(f">q\n{UBIQUITIN}\n>r\n{UBIQUITIN[:20]}---{UBIQUITIN[23:]}\n")
    assert [job.name for job in batch.jobs] == ["q"]
    assert "'-' at position 21 (line 4) is a gap" in str(batch.rejected[0])
    assert "looks like an alignment (2 rows of 76 columns)" in batch.notes[0]
    assert not read(f">q\n{UBIQUITIN}\n>r\n{UBIQUITIN[:20]}-\n").notes
