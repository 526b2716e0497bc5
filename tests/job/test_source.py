from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.errors import InputError
from itda.job.read import JobBatch, read_jobs
from itda.job.source import open_source

Read = Callable[..., JobBatch]
FASTA = ">a\nMKT\n>b\nACD\n"


def _sequences(batch: JobBatch) -> list[str]:
    assert batch.rejected == ()
    return [entity.sequence for job in batch.jobs for _, entity in job.chains]


@pytest.mark.parametrize(
    "content",
    [
        FASTA.encode(),
        FASTA.replace("\n", "\r\n").encode(),
        FASTA.replace("\n", "\r").encode(),
        FASTA.strip().encode(),
        b"\n\n" + FASTA.encode() + b"\n\n",
        b"\xef\xbb\xbf" + FASTA.encode(),
        b"\xef\xbb\xbf>a\nMKT\n\xef\xbb\xbf>b\nACD\n",
        b">a\n  MKT \t\n\n>b\nAC\nD\n",
        b"; comment\n# comment\n>a\nMKT\n;comment\n>b\nACD\n",
        FASTA.encode("utf-16"),
        b"\xfe\xff" + FASTA.encode("utf-16-be"),
        gzip.compress(FASTA.encode(), mtime=0),
        gzip.compress(b">a\nMKT\n", mtime=0) + gzip.compress(b">b\nACD\n", mtime=0),
        gzip.compress(b"\xef\xbb\xbf" + FASTA.replace("\n", "\r\n").encode(), mtime=0),
    ],
    ids=["plain", "crlf", "cr", "no-end", "blank", "bom", "two-boms", "spaces", "comments",
         "utf16", "utf16-be", "gzip", "gzip-members", "gzip-bom-crlf"],
)  # fmt: skip
def test_every_kind_of_text_reads_alike(read: Read, content: bytes) -> None:
    assert _sequences(read(content)) == ["MKT", "ACD"]


def test_a_line_end_may_fall_on_the_edge_of_a_buffer(read: Read) -> None:
    for length in range(65530, 65540):
        content = b">a\r\n" + b"M" * length + b"\r\n>b\r\nACD\r\n"
        assert [len(s) for s in _sequences(read(content))] == [length, 3]


def test_gzip_is_known_by_its_bytes_not_its_name(read: Read) -> None:
    assert _sequences(read(gzip.compress(FASTA.encode(), mtime=0), "x.fasta")) == ["MKT", "ACD"]
    assert _sequences(read(FASTA, "x.fasta.gz")) == ["MKT", "ACD"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \t\n", "holds no record"),
        (b"\xef\xbb\xbf", "holds no record"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(FASTA.encode(), mtime=0)[:-9], "cut off or damaged"),
        (gzip.compress(FASTA.encode(), mtime=0)[:12], "cut off or damaged"),
        (gzip.compress(FASTA.encode(), mtime=0)[:2], "cut off or damaged"),
        (gzip.compress(FASTA.encode(), mtime=0) + b"junk", "cut off or damaged"),
        (gzip.compress(gzip.compress(FASTA.encode(), mtime=0), mtime=0), "compressed twice"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 50, "zstd -dc"),
        (b"\xfd7zXZ\x00" + b"x" * 50, "xz -dc"),
        (b"BZh91AY&SY", "bzip2 -dc"),
        (b"PK\x03\x04" + b"x" * 50, "zip archive"),
        (b"%PDF-1.7", "PDF"),
        (bytes(range(256)), "binary"),
        (b"\x7fELF\x02\x01\x01\x00", "binary"),
        (b"ab\x01cd", "binary"),
        (">가나\nMKT\n".encode("utf-16")[:-1], "not the text"),
        (FASTA.encode("utf-16-le"), "UTF-16 text without a byte order mark"),
        (FASTA.encode("utf-32"), "UTF-32"),
        (b"MQIFVK\n>a\nMKT\n", "put a line with '>'"),
        (b"data/ubiquitin.fasta\n", "give that file as the input"),
        (b"/home/me/x.yaml", "give that file as the input"),
        (b"; only\n", "only comments"),
        (b"# STOCKHOLM 1.0\nq MKT\n//\n", "is an alignment"),
        (b"CLUSTAL W (1.83)\n\nq  MKT\n", "is an alignment"),
        (b"{\\rtf1\\ansi MQIFVKTLTG}", "RTF"),
        (b"PK\x03\x04....word/document.xml", "document of Word"),
        (b"Dear colleague,\nplease fold this.\n", "put a line with '>'"),
        (b"# only\n", "only comments"),
        (b"#71,70\t1,1\n>101\nMKT\n", "alignment of ColabFold"),
        (b"data_1UBQ\n#\n_entry.id 1UBQ\n", "is a structure"),
        (b"HEADER    CHROMOSOMAL PROTEIN\n", "is a structure"),
        (b"<!DOCTYPE html><html>", "HTML"),
    ],
)
def test_inputs_that_are_no_jobs_are_refused_as_a_whole(
    read: Read, content: bytes, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(content)
    assert said in str(caught.value)
    assert caught.value.hint
    assert "input.fasta" in caught.value.problem


def test_damage_deep_in_a_gzip_file_gives_no_job_at_all(read: Read) -> None:
    state = os.urandom(0) + bytes(i * 7919 % 251 for i in range(400_000))
    letters = bytes(b"ARNDCQEGHILKMFPSTWYV"[b % 20] for b in state)
    content = b"".join(b">r%d\n%s\n" % (i, letters[i * 100 : i * 100 + 100]) for i in range(4000))
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[-5] ^= 0xFF
    with pytest.raises(InputError, match="cut off or damaged"):
        read(bytes(packed))


def test_a_byte_that_is_not_utf8_spoils_its_own_record_only(read: Read) -> None:
    batch = read(b">a\nMK\xe9T\n>\xe9t\xe9\nMKT\n>c \xe9t\xe9\nMKT\n>d\nMKT\n")
    assert [job.name for job in batch.jobs] == ["c", "d"]
    assert batch.jobs[0].metadata == {"description": "\ufffdt\ufffd"}
    assert "byte 0xE9" in str(batch.rejected[0])
    assert "'\\xe9t\\xe9'" in str(batch.rejected[1])


def test_a_null_byte_deep_in_a_file_spoils_its_own_record_only(read: Read) -> None:
    batch = read(b">a\n" + b"M" * 70_000 + b"\n>b\nMK\0T\n>c\nMKT\n")
    assert [job.name for job in batch.jobs] == ["a", "c"]
    assert "U+0000 at position 3 (line 4)" in str(batch.rejected[0])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "no input is named"),
        ("/nowhere/x.fasta", "there is no file '/nowhere/x.fasta'"),
        ("a\0b", "cannot open"),
        ("x1" * 3000, "cannot open"),
        ("MQIFVKTLTGKTITLEVEPSDTIENVK", "it looks like a sequence"),
        ("MQIFVKTLTGKTITLEVEPSDTIENVK" * 300, "it looks like a sequence"),
    ],
)
def test_sources_that_cannot_be_opened_are_named(source: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_jobs(source)
    assert said in str(caught.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_jobs(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.fasta"
    path.write_text(FASTA)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_jobs(path)


@pytest.mark.parametrize("content", [FASTA.encode(), gzip.compress(FASTA.encode(), mtime=0)])
def test_standard_input_is_read_and_left_open(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert _sequences(read_jobs("-")) == ["MKT", "ACD"]
    assert not stdin.closed


def test_relative_paths_of_standard_input_start_at_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = "version: 1\nname: x\nentities: [{protein: {sequence: MK, msa: x.a3m}}]\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.a3m").write_text(">q\nMK\n")
    assert dict(read_jobs("-").jobs[0].files()) == {"entity 1 (protein), msa": tmp_path / "x.a3m"}


def test_a_pipe_that_gives_a_little_at_a_time_is_read_whole(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for byte in gzip.compress(FASTA.encode(), mtime=0):
                file.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    assert _sequences(read_jobs(pipe)) == ["MKT", "ACD"]
    writer.join()


def test_the_head_does_not_eat_the_text(tmp_path: Path) -> None:
    path = tmp_path / "long.fasta"
    path.write_text(">a\n" + "MKTAYIAKQR\n" * 20_000)
    with open_source(path) as source:
        assert len(source.head) == 65536
        assert sum(len(line) for line in source.lines()) == 200_002
