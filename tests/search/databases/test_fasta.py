import random
from collections.abc import Callable
from pathlib import Path

import pytest
from biotite.sequence.io.fasta import FastaFile

from itda.errors import InputError
from itda.search.databases import compression
from itda.search.databases.compression import BlockReader
from itda.search.databases.fasta import LONGEST, Record, read_records
from itda.structure.chains.rejection import Rejection

Written = Callable[[bytes], Path]


def read(path: Path) -> list[Record | Rejection]:
    return list(read_records(BlockReader(path)))


def only(path: Path) -> Record | Rejection:
    (item,) = read(path)
    return item


def test_same_as_biotite(fasta: Path) -> None:
    theirs = list(FastaFile.read(str(fasta)).items())
    ours = [(item.header.decode(), item.sequence.decode()) for item in read(fasta)]
    assert ours == theirs


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_end_and_block_size(
    written: Written, monkeypatch: pytest.MonkeyPatch, size: int, end: bytes
) -> None:
    monkeypatch.setattr(compression, "_BLOCK_BYTES", size)
    lines = [b"", b">one first > of two", b"MKV", b"", b"laa", b">two", b"WWF"]
    items = read(written(end.join(lines)))
    assert items == [
        Record(b"one first > of two", b"MKVLAA", False),
        Record(b"two", b"WWF", False),
    ]
    assert [item.name for item in items if isinstance(item, Record)] == [b"one", b"two"]


def test_byte_order_mark_and_letters_of_any_case(written: Written) -> None:
    path = written(b"\xef\xbb\xbf>caf\xc3\xa9 \x01old|name\tx\nmkuo bzjx\n")
    assert only(path) == Record("café  old|name x".encode(), b"MKUOBZJX", False)


def test_bytes_that_are_not_utf8_stay_readable(written: Written) -> None:
    item = only(written(b">caf\xe9\nMKV\n"))
    assert isinstance(item, Record)
    assert item.header.decode() == "caf�"


def test_gaps_and_stops_are_taken_out_and_told(written: Written) -> None:
    items = read(written(b">a\nMK--V.L\n>b\nMKV*\n>c\nMK*V**\n>d\nMKV\n"))
    assert items == [
        Record(b"a", b"MKVL", True),
        Record(b"b", b"MKV", True),
        Record(b"c", b"MKXV", True),
        Record(b"d", b"MKV", False),
    ]


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b">a\nMKV7L\n", "a character that is no residue", "'7' at residue 4 is no residue"),
        (b">a\nMK-V\xe9\n", "a character that is no residue", "'é' at residue 4"),
        (b">a\nMK\0V\n", "a character that is no residue", "at residue 3"),
        (b">a\n\n", "no residue", "no residue"),
        (b">a\n-*\n", "no residue", "no residue"),
        (b">\nMKV\n", "the header is empty", "empty"),
        (b">a\0b\nMKV\n", "the header holds a null byte", "null byte"),
        (b">a\n" + b"M" * (LONGEST + 1), "longer than 65,535 residues", "65,536 residues"),
    ],
)
def test_what_cannot_be_used(written: Written, content: bytes, kind: str, reason: str) -> None:
    first, second = read(written(b">good\nMKVW\n" + content))
    assert isinstance(first, Record)
    assert isinstance(second, Rejection)
    assert second.kind == kind
    assert reason in second.reason
    assert second.source == "input.fasta record 2"


def test_the_longest_is_used(written: Written) -> None:
    item = only(written(b">a\n" + b"M" * LONGEST))
    assert isinstance(item, Record)
    assert len(item.sequence) == LONGEST


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"MKV\n>a\nMKV\n", "begins with 'MKV', not with '>'"),
        (b"# STOCKHOLM 1.0\n", "an alignment in Stockholm"),
        (b"\x00\x01\x02" * 99, "is no FASTA"),
        (b"\n \n\n", "holds no record"),
        (b"@read\nMKV\n+\nIII\n", "begins with '@read'"),
    ],
)
def test_no_fasta_is_refused(written: Written, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(content))


def test_nucleotides_are_refused_early(written: Written) -> None:
    letters = random.Random(0).choices("acgtn", k=300_000)
    text = "".join(
        f">r{start}\n{''.join(letters[start : start + 100])}\n" for start in range(0, 300_000, 100)
    )
    path = written(text.encode())
    seen = []
    with pytest.raises(InputError, match=r"holds nucleotides: all 20,000 letters of the first 200"):
        seen.extend(read_records(BlockReader(path)))
    assert read(written(b">small peptide\nACGT\n"))
    with pytest.raises(InputError, match="holds nucleotides"):
        read(written(b">one gene\n" + b"ACGT" * 25))
