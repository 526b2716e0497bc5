import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.errors import DependencyError, InputError
from itda.search.databases.compression import BlockReader
from itda.storage import file_digest

zstandard = pytest.importorskip("zstandard")

CONTENT = b"".join(b">s%d\n%s\n" % (number, b"MKV" * (number % 90 + 5)) for number in range(20_000))

Written = Callable[[bytes], Path]


def compressed(kind: str, content: bytes = CONTENT) -> bytes:
    if kind == "gzip":
        return gzip.compress(content, 1)
    return bytes(zstandard.ZstdCompressor().compress(content)) if kind == "zstd" else content


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_content_size_and_digest(written: Written, kind: str) -> None:
    path = written(compressed(kind))
    reader = BlockReader(path)
    assert b"".join(reader.blocks()) == CONTENT
    assert reader.bytes_read == reader.size == path.stat().st_size
    assert reader.sha256 == file_digest(path)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_several_members_and_padding(written: Written, kind: str) -> None:
    # `cat a.gz b.gz`, and what tapes add.
    path = written(compressed(kind) + compressed(kind, b">last\nMKV\n") + b"\0" * 1000)
    assert b"".join(BlockReader(path).blocks()) == CONTENT + b">last\nMKV\n"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.999])
def test_truncated_is_refused(written: Written, kind: str, part: float) -> None:
    content = compressed(kind)
    path = written(content[: int(part * len(content))])
    with pytest.raises(InputError, match=r"input.fasta: ends in the middle of its compressed data"):
        list(BlockReader(path).blocks())


def test_a_cut_at_the_last_byte_of_gzip_is_refused(written: Written) -> None:
    with pytest.raises(InputError, match="ends in the middle"):
        list(BlockReader(written(compressed("gzip")[:-1])).blocks())


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_damaged_is_refused(written: Written, kind: str) -> None:
    content = bytearray(compressed(kind))
    middle = len(content) // 2
    content[middle : middle + 200] = b"\xff" * 200
    with pytest.raises(InputError, match=r"input.fasta: is damaged near byte"):
        list(BlockReader(written(bytes(content))).blocks())


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
@pytest.mark.parametrize("options", [["--long=31"], ["-19"], ["--no-check"]])
def test_files_of_the_program(written: Written, options: list[str]) -> None:
    path = written(CONTENT)
    packed = path.with_suffix(".zst")
    subprocess.run(["zstd", "-q", *options, str(path), "-o", str(packed)], check=True)
    assert b"".join(BlockReader(packed).blocks()) == CONTENT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"BZh91AY&SY", "compressed with bzip2"),
        (b"\xfd7zXZ\x00\x00", "compressed with xz"),
        (b"PK\x03\x04rest", "compressed with zip"),
    ],
)
def test_others_are_refused_by_name(written: Written, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        BlockReader(written(content))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.fasta: cannot be read: No such file"):
        BlockReader(tmp_path / "none.fasta")
    with pytest.raises(InputError, match="Is a directory"):
        BlockReader(tmp_path)


def test_zstd_without_the_package_names_it(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(compressed("zstd"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(DependencyError, match="zstandard is not installed") as caught:
        BlockReader(path)
    assert "pip install zstandard" in caught.value.hint
