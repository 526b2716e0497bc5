"""Protein databases of BLAST, version 4, read without BLAST.

A database has three files. `.pin`: version, kind, title, date, counts, and where each record begins
in the others; big-endian but for the number of residues. `.psq`: a zero, then each sequence in
NCBIstdaa with a zero behind. `.phr`: a definition line a record in ASN.1 (BER), whose first text is
the header of the FASTA file that `makeblastdb` read.
Source: NCBI C++ Toolkit, `seqdb` and `writedb`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itda.errors import DataError
from itda.language import Message

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int

SUFFIXES = (".pin", ".phr", ".psq")

_VERSION = 4
_PROTEIN = 1
_LETTERS = b"-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"
_PLAIN = _LETTERS + b"?" * (256 - len(_LETTERS))
# SEQUENCE OF, SEQUENCE, [0], each of open length, and VisibleString.
_HEADER_START = bytes.fromhex("3080 3080 a080 1a")


@dataclass(frozen=True)
class BlastRecord:
    """A record.

    Attributes:
        header: As `makeblastdb` read it, without `>`.
        sequence: Capital letters; also `*` and `-` where the source had them.
    """

    header: bytes
    sequence: bytes


class BlastDatabase:
    """A protein database of BLAST, version 4, in one volume.

    Args:
        stem: The files' path without `.pin`, `.phr` and `.psq`.

    Attributes:
        title: That its maker gave it.
        count: Number of records.
        residues: Letters of all records.

    Raises:
        DataError: A file is missing, cut, or of another version or kind.
    """

    def __init__(self, stem: Path) -> None:
        self._stem = stem
        try:
            index, self._headers, self._sequences = (
                stem.with_name(stem.name + suffix).read_bytes() for suffix in SUFFIXES
            )
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        try:
            self._read_index(index)
        except (struct.error, ValueError) as error:
            raise self._damaged(f"its index is cut: {error}") from error
        for starts, content in (
            (self._header_starts, self._headers),
            (self._sequence_starts, self._sequences),
        ):
            if (starts[1:] < starts[:-1]).any() or starts[-1] != len(content):
                raise self._damaged("its files do not belong together")
        # A zero stands behind each sequence.
        if int(self._sequence_starts[-1] - self._sequence_starts[0]) - self.count != self.residues:
            raise self._damaged("its number of residues is not that of its sequences")

    def records(self) -> Iterator[BlastRecord]:
        """Yield each record.

        Raises:
            DataError: One is damaged.
        """
        letters = self._sequences.translate(_PLAIN)
        sequence_starts, header_starts = (
            starts.tolist() for starts in (self._sequence_starts, self._header_starts)
        )
        for number in range(self.count):
            yield BlastRecord(
                self._header(header_starts[number], header_starts[number + 1]),
                letters[sequence_starts[number] : sequence_starts[number + 1] - 1],
            )

    def _read_index(self, index: bytes) -> None:
        import numpy as np

        version, kind = struct.unpack_from(">ii", index)
        if (version, kind) != (_VERSION, _PROTEIN):
            raise self._damaged(f"it has version {version} and kind {kind}, not 4 and 1 (protein)")
        place = 8
        texts = []
        for _ in ("title", "date"):
            (length,) = struct.unpack_from(">i", index, place)
            texts.append(index[place + 4 : place + 4 + length])
            place += 4 + length
        self.title = texts[0].decode("utf-8", "replace")
        (self.count,) = struct.unpack_from(">i", index, place)
        (self.residues,) = struct.unpack_from("<q", index, place + 4)
        # The longest sequence stands between.
        place += 16
        numbers = np.frombuffer(index, ">i4", 2 * (self.count + 1), place).astype(np.int64)
        self._header_starts: Int[np.ndarray, " record_and_end"] = numbers[: self.count + 1]
        self._sequence_starts: Int[np.ndarray, " record_and_end"] = numbers[self.count + 1 :]

    def _header(self, begin: int, end: int) -> bytes:
        content = self._headers[begin:end]
        if not content.startswith(_HEADER_START):
            raise self._damaged("a definition line begins with no text")
        place = len(_HEADER_START)
        length = content[place]
        place += 1
        if length >= 0x80:
            digits = length - 0x80
            length = int.from_bytes(content[place : place + digits])
            place += digits
        text = content[place : place + length]
        if len(text) != length:
            raise self._damaged("a definition line is cut")
        return text

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            Message(
                "{stem} is no protein database of BLAST, version 4: {reason}",
                stem=self._stem,
                reason=reason,
            ),
            hint=Message("fetch it again"),
        )
