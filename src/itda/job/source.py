"""From a path or standard input to text: gzip, encodings and line ends; binary files refused."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import string
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal, TextIO, cast

from itda.errors import InputError
from itda.inputs import STANDARD_INPUT, looks_like_sequence
from itda.job.letters import looks_like_path
from itda.job.plain import FLAT_FILE, looks_like_sequences
from itda.job.problems import shown
from itda.job.table import columns_of
from itda.language import Message

Format = Literal["fasta", "plain", "flat", "table", "yaml", "json"]

_HEAD_BYTES = 65536
_GZIP = b"\x1f\x8b"
_BINARY_FORMS = {
    b"\x28\xb5\x2f\xfd": (
        "zstd-compressed",
        Message("decompress it first: zstd -dc FILE | itda fold -"),
    ),
    b"\xfd7zXZ\x00": ("xz-compressed", Message("decompress it first: xz -dc FILE | itda fold -")),
    b"BZh": ("bzip2-compressed", Message("decompress it first: bzip2 -dc FILE | itda fold -")),
    b"PK\x03\x04": (Message("a zip archive"), Message("unpack it and give the file inside")),
    b"\xd0\xcf\x11\xe0": (
        Message("a document of Word or Excel"),
        Message("save it as plain text, or as CSV"),
    ),
    b"%PDF": (Message("a PDF document"), Message("copy the sequence to a FASTA file")),
}
_STRUCTURE_STARTS = re.compile(r"(data_|HEADER\s|SEQRES\s|ATOM\s|CRYST1\s|TITLE\s|REMARK\s)")
_YAML_STARTS = re.compile(r"""(---|%YAML|-(\s|$)|[\w"'-]+\s*:(\s|$))""")
_ALIGNMENT = re.compile(
    r"#[0-9]+(,[0-9]+)*\s+[0-9]|# STOCKHOLM|CLUSTAL|MUSCLE \(|PROBCONS|T-COFFEE|#NEXUS|PileUp",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"[#;]|sep=.$")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]")
_BYTE_ORDER_MARK = "\ufeff"
_INPUT_HINT = Message("give sequences as FASTA, or a job as YAML or JSON")


@dataclass(frozen=True)
class Source:
    """An opened input.

    Attributes:
        label: How messages name it.
        folder: Where relative paths in it start.
        stem: Of the file name; "record" for standard input.
        suffix: Of the file name, in lower case, without `.gz`.
        head: The beginning of the text, to tell its form.
        text: The whole text with `\\n` line ends, to be read once.
    """

    label: str
    folder: Path
    stem: str
    suffix: str
    head: str
    text: TextIO

    def lines(self) -> Iterator[str]:
        """Each line without its end."""
        with _reading(self.label):
            for line in self.text:
                yield line.rstrip("\n")

    def read(self) -> str:
        """The whole text."""
        with _reading(self.label):
            return self.text.read()


@contextmanager
def open_source(source: Path | str | io.StringIO) -> Iterator[Source]:
    """Open an input as text.

    gzip is known by its first bytes, not by its name. UTF-8, with or without a byte order mark, and
    UTF-16 with one are read; bytes that are not UTF-8 become surrogates, for the reader to refuse
    in their record. CRLF and CR become LF.

    Args:
        source: A path, "-" for standard input, or the text itself.

    Raises:
        InputError: The input is missing, unreadable, empty, or binary.
    """
    if isinstance(source, io.StringIO):
        text = source.getvalue()
        lines = io.StringIO("\n".join(text.splitlines()))
        yield Source(Message("the text"), Path.cwd(), "record", "", text[:_HEAD_BYTES], lines)
        return
    if str(source) == STANDARD_INPUT:
        with _decoded(
            sys.stdin.buffer, Message("standard input"), Path.cwd(), "record", ""
        ) as opened:
            yield opened
        return
    path = Path(source)
    label = str(path)
    named = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    with (
        _open_binary(source, path) as raw,
        _decoded(
            raw, label, path.parent.absolute(), named.stem or "record", named.suffix.lower()
        ) as opened,
    ):
        yield opened


def guess_format(source: Source) -> Format:
    """Tell the forms apart by what the file holds, not by its name alone.

    Raises:
        InputError: It is none of them; the hint says what it looks like instead.
    """
    start = source.head.lstrip(_BYTE_ORDER_MARK + string.whitespace)
    if not start:
        raise InputError(Message("{source} holds no record", source=source.label), hint=_INPUT_HINT)
    if start.startswith(">"):
        return "fasta"
    if start.startswith("{\\rtf"):
        raise InputError(
            Message("{source} is a document of a word processor (RTF)", source=source.label),
            hint=Message("save it as plain text"),
        )
    if source.suffix in (".yaml", ".yml"):
        return "yaml"
    if start[0] in "{[" or source.suffix == ".json":
        return "json"
    lines = [line.strip() for line in start.splitlines()]
    first = next((line for line in lines if line and not _COMMENT.match(line)), "")
    if not _ALIGNMENT.match(lines[0]):
        if first.startswith(">"):
            return "fasta"
        if FLAT_FILE.match(start):
            return "flat"
        if first and columns_of(first) is not None:
            return "table"
        if _YAML_STARTS.match(first):
            return "yaml"
        if looks_like_sequences(source.head) and not looks_like_path(first):
            return "plain"
    problem, hint = _not_a_job(lines[0], first)
    raise InputError(Message("{source} {problem}", source=source.label, problem=problem), hint=hint)


def _not_a_job(first_line: str, first: str) -> tuple[str, str]:
    if first_line.startswith("<"):
        return (
            Message("is an HTML or XML page"),
            Message("download the file itself; an error page may be in its place"),
        )
    if _ALIGNMENT.match(first_line):
        which = (
            Message("an alignment of ColabFold")
            if first_line[0] == "#" and "," in first_line
            else ""
        )
        return (
            Message("is {which}", which=which or Message("an alignment")),
            Message("give it as a file, itda fold NAME.a3m, or the sequence with {--msa:NAME.a3m}"),
        )
    if not first:
        return Message("holds only comments"), _INPUT_HINT
    if _STRUCTURE_STARTS.match(first):
        return Message("is a structure, not sequences"), Message(
            "give the sequences of its chains as FASTA"
        )
    if looks_like_path(first_line):
        return Message("holds the path {first_line}", first_line=shown(first_line)), Message(
            "give that file as the input"
        )
    return (
        Message("has {first_line} before the first header", first_line=shown(first_line)),
        Message(
            "put a line with '>' and a name above each sequence, or begin a table with id,sequence"
        ),
    )


def _open_binary(source: Path | str, path: Path) -> BinaryIO:
    if source == "":
        raise InputError(Message("no input is named"), hint=_INPUT_HINT)
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        text = str(source)
        if looks_like_sequence(text):
            raise InputError(
                Message("there is no file {text}: it looks like a sequence", text=shown(text)),
                hint=Message(
                    "write it to a FASTA file, or: printf '>NAME\\nSEQUENCE\\n' | itda fold -"
                ),
            ) from error
        if isinstance(error, FileNotFoundError):
            raise InputError(
                Message("there is no file {text}", text=shown(text)), hint=_INPUT_HINT
            ) from error
        if isinstance(error, IsADirectoryError):
            raise InputError(
                Message("{text} is a folder", text=shown(text)),
                hint=Message("name one of its files; {input_hint}", input_hint=_INPUT_HINT),
            ) from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            Message("cannot open {text}: {reason}", text=shown(text), reason=reason),
            hint=_INPUT_HINT,
        ) from error


@contextmanager
def _decoded(raw: BinaryIO, label: str, folder: Path, stem: str, suffix: str) -> Iterator[Source]:
    with _reading(label):
        head, stream = _peek(raw)
        if head.startswith(_GZIP):
            head, stream = _peek(cast(BinaryIO, gzip.GzipFile(fileobj=stream)))
    if not head:
        raise InputError(Message("{label} is empty", label=label), hint=_INPUT_HINT)
    encoding = _encoding(head, label)
    with _reading(label):
        # An incremental decoder, for a character may be cut at the end of the head.
        head_text = codecs.getincrementaldecoder(encoding)("surrogateescape").decode(head)
    _refuse_binary(head_text, label)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline=None)
    yield Source(label, folder, stem, suffix, head_text, text)


def _encoding(head: bytes, label: str) -> str:
    for magic, (what, hint) in _BINARY_FORMS.items():
        if head.startswith(magic):
            for part, program in ((b"word/", "Word"), (b"xl/", "Excel"), (b"ppt/", "PowerPoint")):
                if part in head and magic.startswith(b"PK"):
                    what, hint = (
                        Message("a document of {program}", program=program),
                        Message("save it as plain text, or as CSV"),
                    )
            raise InputError(Message("{label} is {what}", label=label, what=what), hint=hint)
    if head.startswith(_GZIP):
        raise InputError(
            Message("{label} is compressed twice with gzip", label=label),
            hint=Message("decompress it once"),
        )
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise InputError(
            Message("{label} is UTF-32 text", label=label), hint=Message("save it as UTF-8")
        )
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    nulls = [head[offset::2].count(0) for offset in (0, 1)]
    if len(head) >= 4 and max(nulls) > len(head) // 4 and min(nulls) == 0:
        raise InputError(
            Message("{label} looks like UTF-16 text without a byte order mark", label=label),
            hint=Message("save it as UTF-8"),
        )
    return "utf-8-sig"


def _refuse_binary(head: str, label: str) -> None:
    strange = len(re.findall("[\udc80-\udcff]", head)) + len(_CONTROL.findall(head))
    # A FASTA file keeps its good records; the odd byte is refused in its own record.
    allowed = len(head) // 3 if head.lstrip().startswith(">") else 0
    if strange > allowed:
        raise InputError(Message("{label} is binary, not text", label=label), hint=_INPUT_HINT)


def _peek(raw: BinaryIO) -> tuple[bytes, io.BufferedReader]:
    """Read the head of a stream that cannot go back, and a stream that begins with it again."""
    parts: list[bytes] = []
    wanted = _HEAD_BYTES
    while wanted and (part := raw.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    head = b"".join(parts)
    return head, io.BufferedReader(_Joined(head, raw), buffer_size=_HEAD_BYTES)


class _Joined(io.RawIOBase):
    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _reading(label: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            Message(
                "{label} is a gzip file that is cut off or damaged: {error}",
                label=label,
                error=error,
            ),
            hint=Message("copy or download it again; nothing of it was used"),
        ) from error
    except UnicodeError as error:
        raise InputError(
            Message("{label} is not the text it says it is: {error}", label=label, error=error),
            hint=Message("save it as UTF-8"),
        ) from error
    except OSError as error:
        raise InputError(
            Message(
                "cannot read {label}: {strerror}", label=label, strerror=error.strerror or error
            )
        ) from error
