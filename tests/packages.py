"""Packages of Debian and databases of BLAST, made as their specifications say."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

LETTERS = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"
FOLDER = "./usr/share/metastudent-data/dataset_201401"


def write_package(path: Path, files: Mapping[str, bytes], compression: str = "xz") -> Path:
    """Write a Debian package (deb(5)) with files by their path in it."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    if compression == "gz":
        deflate = zlib.compressobj(wbits=31)
        data = deflate.compress(tar.getvalue()) + deflate.flush()
    elif compression == "zst":
        import zstandard

        data = zstandard.ZstdCompressor().compress(tar.getvalue())
    else:
        data = lzma.compress(tar.getvalue()) if compression else tar.getvalue()
    suffix = f".{compression}" if compression else ""
    members = {
        "debian-binary": b"2.0\n",
        # An odd length, behind which a byte is left out.
        "control.tar.xz": b"control",
        f"data.tar{suffix}": data,
    }
    content = b"!<arch>\n"
    for name, body in members.items():
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
        content += body + b"\n" * (len(body) % 2)
    path.write_bytes(content)
    return path


def blast_files(records: Sequence[tuple[str, str]], title: str = "small") -> dict[str, bytes]:
    """Make the three files of a protein database of BLAST, version 4, by suffix."""
    sequences = [bytes(LETTERS.index(letter) for letter in sequence) for _, sequence in records]
    headers = []
    for text, _ in records:
        encoded = text.encode()
        digits = b"" if len(encoded) < 128 else len(encoded).to_bytes(2)
        length = bytes([0x82]) + digits if digits else bytes([len(encoded)])
        headers.append(b"\x30\x80\x30\x80\xa0\x80\x1a" + length + encoded + b"\0" * 4)
    psq = b"\0" + b"".join(sequence + b"\0" for sequence in sequences)
    index = struct.pack(">ii", 4, 1)
    for word in (title.encode(), b"Jan 20, 2022  10:32 AM"):
        index += struct.pack(">i", len(word)) + word
    lengths = [len(sequence) for sequence in sequences]
    index += struct.pack(">i", len(records)) + struct.pack("<q", sum(lengths))
    index += struct.pack(">i", max(lengths))
    for starts in (
        accumulate(map(len, headers), initial=0),
        accumulate((length + 1 for length in lengths), initial=1),
    ):
        index += b"".join(struct.pack(">i", start) for start in starts)
    return {".pin": index, ".phr": b"".join(headers), ".psq": psq}


def metastudent_files(databases: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, bytes]:
    """Give the files of a package like metastudent-data, by path."""
    return {
        f"{FOLDER}/{name}/goasp.fasta{suffix}": content
        for name, records in databases.items()
        for suffix, content in blast_files(records, name).items()
    }
