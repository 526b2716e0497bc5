from __future__ import annotations

from collections.abc import Callable

import pytest

from itda.errors import InputError
from itda.job.read import JobBatch

from .conftest import UBIQUITIN
from .test_layout import CRAMBIN

Read = Callable[..., JobBatch]


@pytest.mark.parametrize(
    "text",
    [
        "id,sequence\nubq,{u}\nx y,{c}:{u}\n",
        "id,sequence\r\nubq,{u}\r\nx y,{c}:{u}\r\n",
        "\ufeffid,sequence\nubq,{u}\n\nx y,{c}:{u}\n",
        '"id","sequence"\n"ubq","{u}"\n"x y","{c}:{u}"\n',
        "ID;Sequence\nubq;{u}\nx y;{c}:{u}\n",
        "name\tseq\nubq\t{u}\nx y\t{c}:{u}\n",
        "sequence,name\n{u},ubq\n{c}:{u},x y\n",
        "sep=;\nid;sequence\nubq;{u}\nx y;{c}:{u}\n",
        "# made today\nid,sequence\nubq,{u}\nx y,{c}:{u}\n",
        "id , sequence\nubq , {u}\nx y , {c} : {u}\n",
        "\u201cid\u201d,\u201csequence\u201d\n\u201cubq\u201d,\u201c{u}\u201d\nx y,{c}:{u}\n",
        "Protein,AA Sequence\nubq,{u}\nx y,{c}:{u}\n",
        'id,sequence\nubq,"{u}"\nx y,"{c}:\n{u}"\n',
        "sample,heavy,light\nubq,{u},\nx y,{c},{u}\n".replace("ubq,{u},", "ubq,{u},{u}"),
    ],
)
def test_tables_as_programs_write_them(read: Read, text: str) -> None:
    batch = read(text.replace("{u}", UBIQUITIN).replace("{c}", CRAMBIN))
    assert not batch.rejected
    first, second = batch.jobs
    assert (first.name, second.name) == ("ubq", "x y")
    assert first.entities[0].sequence == UBIQUITIN
    assert [entity.sequence for entity in second.entities] == [CRAMBIN, UBIQUITIN]


def test_columns_that_are_not_read_are_said(read: Read) -> None:
    batch = read(f"Entry\tEntry Name\tLength\tSequence\nP0\tUBQ_X\t76\t{UBIQUITIN}\n")
    assert batch.jobs[0].name == "P0"
    assert batch.notes == ("columns that are not read: Entry Name, Length",)


def test_one_column_gives_numbered_records(read: Read) -> None:
    batch = read(f"sequence\n{UBIQUITIN}\n{CRAMBIN}\n")
    assert [job.name for job in batch.jobs] == ["record_1", "record_2"]


def test_a_wrong_row_leaves_the_others_alone_and_is_named_by_line(read: Read) -> None:
    batch = read(f"id,sequence\na,{UBIQUITIN}\n\nb,MK1\nc\na,{CRAMBIN}\n")
    assert [job.name for job in batch.jobs] == ["a"]
    wrong, empty, taken = map(str, batch.rejected)
    assert "record 2 'b' (line 4): '1' at position 3 (line 4) is a digit" in wrong
    assert "record 3 'c' (line 5): has no sequence" in empty
    assert "the name was taken by record 1" in taken


def test_columns_that_could_both_be_meant_are_refused(read: Read) -> None:
    with pytest.raises(InputError, match="columns dna_seq and protein_seq could both") as caught:
        read("id,dna_seq,protein_seq\na,ACGT,MKT\n")
    assert "call one column `sequence`" in caught.value.hint
