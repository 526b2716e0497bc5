"""The protocol of ColabFold's alignment server, as both of its ends need it.

    POST /ticket/msa   q (FASTA), mode       -> {"id": ..., "status": ...}
    POST /ticket/pair  q (FASTA), mode       -> {"id": ..., "status": ...}
    GET  /ticket/ID                          -> {"id": ..., "status": ...}
    GET  /result/download/ID                 -> gzipped tar of A3M files
    GET  /queue                              -> {"queued": ...}

An A3M file of the archive holds one block for each sequence of the query, in order, and a null byte
after each block; the first header of a block is that of the query's record.

Sources: MMseqs2-App, `backend/server.go` and `worker.go`, for the server; ColabFold,
`colabfold/colabfold.py`, for the client (Mirdita et al. 2022, Nat. Methods 19, 679).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from itda.errors import InputError
from itda.language import Message

Kind = Literal["msa", "pair"]

MAIN_FILE = "uniref.a3m"
ENVIRONMENT_FILE = "bfd.mgnify30.metaeuk30.smag30.a3m"
PAIR_FILE = "pair.a3m"
TEMPLATE_FILE = "pdb70.m8"
BLOCK_END = "\0"

# The most that one file of an archive may hold; the largest real ones are some hundred megabytes.
MAXIMUM_FILE_BYTES = 2 << 30

_ID = re.compile(r"[A-Za-z0-9_=.-]{1,128}")
_OWN_ID = re.compile(r"[A-Za-z0-9_-]{38}")
_LETTERS = re.compile(r"[A-Z]+")


class Status(StrEnum):
    """What a server says of a ticket; the last two are of the server itself."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ERROR = "ERROR"
    RATELIMIT = "RATELIMIT"
    MAINTENANCE = "MAINTENANCE"


class DamagedArchiveError(Exception):
    """An archive that is cut off, altered, or not what the protocol says."""


@dataclass(frozen=True)
class Mode:
    """What a client asks for.

    Attributes:
        kind: An alignment of each sequence, or rows paired across the sequences.
        environment: Whether the environmental databases are asked for as well.
        templates: Whether a table of template hits is expected in the archive.
        complete: Whether paired rows must have a partner in every sequence.
    """

    kind: Kind
    environment: bool = False
    templates: bool = False
    complete: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The A3M files of the archive."""
        if self.kind == "pair":
            return (PAIR_FILE,)
        return (MAIN_FILE, ENVIRONMENT_FILE) if self.environment else (MAIN_FILE,)


_MSA_WORDS = ("all", "env", "notemplates")
_PAIR_WORDS = ("pairgreedy", "paircomplete", "env")


def parse_mode(kind: Kind, text: str) -> Mode:
    """Read the field `mode`: words joined with `-`.

    Raises:
        InputError: A word is not offered here; nothing that was asked for is left out in silence.

    Example:
        >>> parse_mode("msa", "env").files
        ('uniref.a3m', 'bfd.mgnify30.metaeuk30.smag30.a3m')
    """
    words = [word for word in text.split("-") if word]
    offered = _MSA_WORDS if kind == "msa" else _PAIR_WORDS
    for word in words:
        if word not in offered:
            raise InputError(
                Message(
                    "mode {text!r}: {word!r} is not offered for ticket/{kind}",
                    text=text,
                    word=word,
                    kind=kind,
                ),
                hint=Message("the words of a mode are {offered:,}, joined with -", offered=offered),
            )
    if {"pairgreedy", "paircomplete"} <= set(words):
        raise InputError(
            Message("mode {text!r}: pairing is greedy or complete, not both", text=text)
        )
    return Mode(
        kind,
        environment="env" in words,
        templates=kind == "msa" and "notemplates" not in words,
        complete="paircomplete" in words,
    )


def digest_of(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_query(text: str, *, max_sequences: int, max_length: int) -> tuple[tuple[str, str], ...]:
    """Read the field `q`: the name and the sequence of each FASTA record.

    Args:
        text: FASTA; lower case is read as upper case.
        max_sequences: The most records.
        max_length: The most residues of one.

    Raises:
        InputError: There is no record, too many, one is empty, too long or no protein sequence, or
            two of one name differ.
    """
    records: list[tuple[str, list[str]]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith(">"):
            records.append((" ".join(line[1:].split()), []))
        elif line and not records:
            raise InputError(
                Message("q: line {number} stands before the first '>'", number=number),
                hint=Message("send FASTA with headers"),
            )
        elif line:
            records[-1][1].append(line)
    if not records:
        raise InputError(Message("q: holds no sequence"), hint=Message("send FASTA with headers"))
    if len(records) > max_sequences:
        raise InputError(
            Message(
                "q: {count} sequences in one ticket; {max_sequences} is the most",
                count=len(records),
                max_sequences=max_sequences,
            ),
            hint=Message("send them in several tickets"),
        )
    queries = tuple((name, "".join(parts).upper()) for name, parts in records)
    for number, (name, sequence) in enumerate(queries, start=1):
        where = Message("q: record {number} ({name})", number=number, name=name[:40])
        if not name:
            raise InputError(
                Message("q: record {number} has no name", number=number),
                hint=Message("write >101 above it"),
            )
        if not _LETTERS.fullmatch(sequence):
            raise InputError(
                Message("{where} is empty or holds what is no residue", where=where),
                hint=Message("one-letter protein sequences without gaps and stops"),
            )
        if len(sequence) > max_length:
            raise InputError(
                Message(
                    "{where} has {count} residues; {max_length} is the most here",
                    where=where,
                    count=len(sequence),
                    max_length=max_length,
                ),
                hint=Message("cut it into domains, or search it on a machine of your own"),
            )
    if len({name for name, _ in queries}) < len(queries):
        raise InputError(
            Message("q: two records have one name"), hint=Message("number them: >101, >102, …")
        )
    return queries


def format_query(sequences: Sequence[str]) -> str:
    """Return the field `q` as ColabFold's client writes it: records 101, 102, …"""
    return "".join(f">{101 + index}\n{one}\n" for index, one in enumerate(sequences))


def ticket_id(query: str, kind: Kind, mode: str) -> str:
    """Return the id of a request: 38 letters of base64 over a SHA-224, as MMseqs2-App makes them.

    Equal requests have equal ids, so that a repeated one finds its result.
    """
    content = json.dumps([kind, mode, query]).encode()
    return base64.urlsafe_b64encode(hashlib.sha224(content).digest()).rstrip(b"=").decode()


def is_own_id(text: str) -> bool:
    """Tell whether a text can be an id that `ticket_id` made, and so a folder's name."""
    return _OWN_ID.fullmatch(text) is not None


def is_foreign_id(text: object) -> bool:
    """Tell whether what a server calls an id can stand in an address and in a file."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def join_blocks(blocks: Sequence[str]) -> str:
    """Return an A3M file of the archive from its blocks."""
    return "".join(block.rstrip("\n") + "\n" + BLOCK_END for block in blocks)


def split_blocks(text: str) -> dict[str, list[str]]:
    """Return the blocks of an A3M file of the archive by the first word of their first header.

    A name has several blocks where several databases were paired.

    Raises:
        DamagedArchiveError: A block does not begin with a header.
    """
    blocks: dict[str, list[str]] = {}
    for block in (part.lstrip("\n") for part in text.split(BLOCK_END)):
        if not block.strip():
            continue
        words = block.partition("\n")[0].removeprefix(">").split()
        if not block.startswith(">") or not words:
            raise DamagedArchiveError("an alignment does not begin with the name of its query")
        blocks.setdefault(words[0], []).append(block)
    return blocks


def pack_archive(files: Mapping[str, str]) -> bytes:
    """Return a gzipped tar of text files; equal files give equal bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), compresslevel=6, mtime=0)


def read_archive(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the text of files in an archive; nothing is written to disk.

    Args:
        path: A tar, plain or compressed, read to its end so that its checksum is checked.
        names: The files to read; a folder before the name is passed over.

    Raises:
        DamagedArchiveError: It is cut off or altered, a file is missing, too large or not text.
    """
    found: dict[str, str] = {}
    try:
        with tarfile.open(path, mode="r:*") as archive:
            for member in archive:
                name = Path(member.name).name
                if name not in names or not member.isfile():
                    continue
                if member.size > MAXIMUM_FILE_BYTES:
                    raise DamagedArchiveError(f"{name} says it holds {member.size:,} bytes")
                stream = archive.extractfile(member)
                assert stream is not None
                found[name] = stream.read().decode()
        _read_to_the_end(path)
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DamagedArchiveError(str(error) or type(error).__name__) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DamagedArchiveError(f"{' and '.join(missing)} is not in it")
    return found


def _read_to_the_end(path: Path) -> None:
    with path.open("rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            return
    with gzip.open(path) as unpacked:
        while unpacked.read(1 << 20):
            pass
