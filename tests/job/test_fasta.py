from __future__ import annotations

import pytest

from itda.errors import InputError
from itda.job.fasta import fasta_records, job_from_record


def test_records_keep_lines_and_headers() -> None:
    records = list(fasta_records(["", ">a  first one ", "MK", "", " T ", ">", ">b", "AC"]))
    assert [(r.index, r.line, r.name, r.description) for r in records] == [
        (1, 2, "a", "first one"),
        (2, 6, "", ""),
        (3, 7, "b", ""),
    ]
    assert records[0].parts == [(3, "MK"), (5, "T")]


def test_a_space_after_the_mark_is_no_name() -> None:
    (record,) = fasta_records([">  name rest"])
    assert (record.name, record.description) == ("name", "rest")


def test_text_before_the_first_header_is_refused_by_line() -> None:
    with pytest.raises(InputError, match="line 2 stands before the first header"):
        list(fasta_records(["", "MKT", ">a"]))


def test_a_wrong_letter_is_named_with_its_line_over_several_lines() -> None:
    (record,) = fasta_records([">a", "MKT", "AC", "D1F"])
    with pytest.raises(InputError, match=r"'1' at position 7 \(line 4\) is a digit"):
        job_from_record(record, "a", molecule="auto", ambiguous="refuse")


def test_the_description_travels_as_metadata() -> None:
    (record,) = fasta_records([">a Homo sapiens", "MKT"])
    job, changes = job_from_record(record, "a", molecule="auto", ambiguous="refuse")
    assert job.metadata == {"description": "Homo sapiens"}
    assert changes == []


def test_a_header_alone_is_refused() -> None:
    (record,) = fasta_records([">a"])
    with pytest.raises(InputError, match="has no sequence"):
        job_from_record(record, "a", molecule="auto", ambiguous="refuse")
