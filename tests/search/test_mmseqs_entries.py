from pathlib import Path

import pytest

from itda.errors import DataError
from itda.search.mmseqs import run_mmseqs
from itda.search.mmseqs_entries import Entries, write_entries
from tests.sequences import needs_mmseqs

CONTENT = [b"one\0", b"", b"three\nlines\n\0", b"\xff\0"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_entries(tmp_path / "base", CONTENT, b"\x02\0\0\0")
    entries = Entries(tmp_path / "base")
    assert [entries.read(key) for key in range(len(CONTENT))] == CONTENT
    assert [entries.text(key) for key in range(len(CONTENT))] == ["one", "", "three\nlines\n", "�"]
    assert len(entries) == 4 and entries.kind == b"\x02\0\0\0" and entries.read(9) == b""


@pytest.mark.parametrize("cuts", [(0, 4), (2, 2), (4, 11), (16,)])
def test_what_lies_in_several_files_is_one(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    write_entries(tmp_path / "base", CONTENT, b"\0\0\0\0")
    whole = (tmp_path / "base").read_bytes()
    for number, (start, end) in enumerate(zip((0, *cuts), (*cuts, len(whole)), strict=True)):
        (tmp_path / f"base.{number}").write_bytes(whole[start:end])
    (tmp_path / "base").unlink()
    entries = Entries(tmp_path / "base")
    assert [entries.read(key) for key in range(len(CONTENT))] == CONTENT


def test_what_is_not_whole_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="base"):
        Entries(tmp_path / "base")
    write_entries(tmp_path / "base", CONTENT, b"\0\0\0\0")
    (tmp_path / "base").write_bytes(b"one\0thr")
    entries = Entries(tmp_path / "base")
    assert entries.read(0) == b"one\0"
    with pytest.raises(DataError, match="entry 2"):
        entries.read(2)
    (tmp_path / "base.index").write_text("no index\n")
    with pytest.raises(DataError, match="base"):
        Entries(tmp_path / "base")


@needs_mmseqs
def test_the_program_reads_and_writes_the_same(tmp_path: Path) -> None:
    sequences = ["MKTAYIAKQR", "AYIAKQR", "MKT"]
    fasta = tmp_path / "in.fasta"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in enumerate(sequences)))
    for arguments in (["createdb", "in.fasta", "made", "--shuffle", "0"],):
        run_mmseqs(arguments, folder=tmp_path)
    made = Entries(tmp_path / "made")
    assert [made.text(key).strip() for key in range(3)] == sequences
    write_entries(tmp_path / "mine", [made.read(key) for key in (2, 0)], made.kind)
    write_entries(tmp_path / "mine_h", [b"c\n\0", b"a\n\0"], Entries(tmp_path / "made_h").kind)
    run_mmseqs(["convert2fasta", "mine", "out.fasta"], folder=tmp_path)
    assert (tmp_path / "out.fasta").read_text() == ">c\nMKT\n>a\nMKTAYIAKQR\n"
