"""How far a build from FASTA files is."""

from __future__ import annotations

from collections.abc import Sequence

from itda.progress import Progress
from itda.search.databases.compression import BlockReader

RECORDS_BETWEEN_REPORTS = 512

# Making MMseqs2 files takes about half as long as reading and writing.
_READING_SHARE = 0.7


class Meter:
    """Turns bytes read and shards finished into one fraction that only rises.

    Args:
        readers: All files of the build.
        begin: The fraction that is done already.
        progress: Told how far it is; may raise to stop.
    """

    def __init__(self, readers: Sequence[BlockReader], *, begin: float, progress: Progress) -> None:
        self._readers = readers
        self._total = sum(reader.size for reader in readers)
        self._begin = begin
        self._progress = progress
        self._records = 0
        self._finished = self._share = 0.0

    def reading(self) -> None:
        """Count a record."""
        self._records += 1
        if self._records % RECORDS_BETWEEN_REPORTS == 0:
            self._finished = self._share
            self._report(f"{self._records:,} sequences read")

    def finishing(self, step: str) -> None:
        """Say that a shard is being finished."""
        self._share = self._read()
        self._report(step)

    def _report(self, message: str) -> None:
        share = _READING_SHARE * self._read() + (1 - _READING_SHARE) * self._finished
        self._progress(self._begin + (1 - self._begin) * share, message)

    def _read(self) -> float:
        return sum(reader.bytes_read for reader in self._readers) / self._total
