"""Where the sequences of a database come from: FASTA files, or what is made into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from itda.errors import InputError
from itda.language import Message
from itda.progress import Progress


@dataclass(frozen=True)
class OpenedFasta:
    """Sequences that can be read once or twice.

    Attributes:
        files: FASTA, plain or compressed.
        source: Name, licence and files, as the manifest keeps them; None for the files themselves.
        begin: The share of the whole build that is done by now.
    """

    files: Sequence[Path]
    source: Mapping[str, Any] | None = None
    begin: float = 0.0


class FastaSource(Protocol):
    """Opens the sequences for one build."""

    def open(self, work: Path, progress: Progress) -> AbstractContextManager[OpenedFasta]:
        """Open.

        Args:
            work: A folder on the disk of the databases for what the source writes meanwhile; it is
                the source's to remove.
            progress: Told what is being done; may raise to stop.

        Raises:
            ItdaError: The source is missing, not what it should be, or cannot be had.
        """
        ...


@dataclass(frozen=True)
class FastaFiles:
    """Files of the user's.

    Attributes:
        files: FASTA, plain or compressed with gzip or zstd.
    """

    files: Sequence[Path]

    @contextmanager
    def open(self, work: Path, progress: Progress) -> Iterator[OpenedFasta]:
        """Open; see `FastaSource`."""
        if not self.files:
            raise InputError(Message("no FASTA file was given"), hint=Message("name one or more"))
        yield OpenedFasta(self.files)
