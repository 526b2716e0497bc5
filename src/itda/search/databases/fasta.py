"""FASTA records as a database holds them: capital letters and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from itda.errors import InputError
from itda.language import Message
from itda.search.databases.compression import BlockReader
from itda.structure.chains.rejection import Rejection

# MMseqs2 reads no more of a sequence, and HMMER refuses a whole file for one of 100,000.
LONGEST = 65_535

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UPPER = bytes.maketrans(_LETTERS.lower(), _LETTERS)
_BLANKS = b" \t\n\v\f"
_GAPS = b"-."
_STOP = b"*"
_CONTROL = bytes.maketrans(bytes(range(1, 32)), b" " * 31)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NUCLEOTIDES = b"ACGTUN"
# No protein of this length is made of Ala, Cys, Gly, Thr, Asn and U alone.
_FEWEST_NUCLEOTIDES = 100
_NUCLEOTIDES_BEFORE_REFUSAL = 20_000


class Record(NamedTuple):
    """A record that can be searched.

    Attributes:
        header: What follows `>`, UTF-8, without control characters.
        sequence: Capital letters.
        changed: Whether gaps or stops were taken out or replaced.
    """

    header: bytes
    sequence: bytes
    changed: bool

    @property
    def name(self) -> bytes:
        """The first word of the header."""
        return self.header.split(None, 1)[0]


def read_records(reader: BlockReader) -> Iterator[Record | Rejection]:
    """Yield each record of a FASTA file, normalised, or why it cannot be used.

    Blanks and line ends of every system are taken out, letters become capitals, gaps (`-`, `.`)
    and a stop (`*`) at the end go, a stop inside becomes X.

    Raises:
        InputError: The file cannot be read, is no FASTA, holds no record, or holds nucleotides.
    """
    number = seen = 0
    undecided = True
    for number, text in enumerate(_texts(reader), start=1):
        item = _record(text, number, reader)
        if undecided and isinstance(item, Record):
            seen += len(item.sequence)
            undecided = not item.sequence.translate(None, _NUCLEOTIDES)
            if undecided and seen >= _NUCLEOTIDES_BEFORE_REFUSAL:
                raise _nucleotides(reader, number, seen)
        yield item
    if number == 0:
        raise InputError(
            Message("{path}: holds no record", path=reader.path), hint=Message("give a FASTA file")
        )
    if undecided and seen >= _FEWEST_NUCLEOTIDES:
        raise _nucleotides(reader, number, seen)


def _texts(reader: BlockReader) -> Iterator[bytes]:
    """Yield header, line end and sequence of each record."""
    # With a line end before it, the first '>' is found as every other is.
    pieces = [b"\n"]
    is_first = True
    for block in reader.blocks():
        if is_first:
            block = block.removeprefix(_BYTE_ORDER_MARK)
        if b"\r" in block:
            block = block.replace(b"\r", b"\n")
        if b"\n>" in block or (block.startswith(b">") and pieces[-1].endswith(b"\n")):
            *texts, rest = (b"".join(pieces) + block).split(b"\n>")
            if is_first:
                _check_start(texts.pop(0), reader)
                is_first = False
            yield from texts
            pieces = [rest]
        elif block:
            pieces.append(block)
            if is_first:
                _check_start(block, reader)
    if is_first:
        _check_start(b"".join(pieces), reader)
        return
    yield b"".join(pieces)


def _check_start(text: bytes, reader: BlockReader) -> None:
    if not text.strip():
        return
    start = text.strip()[:30].decode("utf-8", "replace").splitlines()[0]
    what = Message("an alignment in Stockholm") if start.startswith("# STOCKHOLM") else repr(start)
    raise InputError(
        Message(
            "{path}: is no FASTA: it begins with {what}, not with '>'", path=reader.path, what=what
        ),
        hint=Message("give protein sequences in FASTA, plain or compressed with gzip or zstd"),
    )


def _record(text: bytes, number: int, reader: BlockReader) -> Record | Rejection:
    head, _, body = text.partition(b"\n")
    header = head.translate(_CONTROL).strip()
    if not header.isascii():
        header = header.decode("utf-8", "replace").encode()
    sequence = body.translate(_UPPER, _BLANKS)
    changed = False
    if sequence.translate(None, _LETTERS):
        bare = sequence.translate(None, _GAPS).rstrip(_STOP).replace(_STOP, b"X")
        changed, sequence = True, bare
    reason = kind = ""
    foreign = sequence.translate(None, _LETTERS)
    if not header or b"\0" in header:
        kind = reason = "the header is empty" if not header else "the header holds a null byte"
    elif foreign:
        kind = "a character that is no residue"
        place = sequence.index(foreign[:1]) + 1
        reason = f"{foreign[:1].decode('latin-1')!r} at residue {place} is no residue"
    elif not sequence:
        kind = reason = "no residue"
    elif len(sequence) > LONGEST:
        kind = f"longer than {LONGEST:,} residues"
        reason = f"{len(sequence):,} residues, more than {LONGEST:,}"
    if reason:
        name = header.split(None, 1)[0].decode() if header else ""
        return Rejection(name, f"{reader.path.name} record {number}", reason, kind=kind)
    return Record(header, sequence, changed)


def _nucleotides(reader: BlockReader, records: int, letters: int) -> InputError:
    return InputError(
        Message(
            "{path}: holds nucleotides: all {letters:,} letters of the first {records:,} "
            "records are A, C, G, T, U or N",
            path=reader.path,
            letters=letters,
            records=records,
        ),
        hint=Message("a database holds proteins; translate the sequences first"),
    )
