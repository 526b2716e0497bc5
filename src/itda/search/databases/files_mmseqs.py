"""MMseqs2's own files beside a FASTA file: the sequences, and the index if it is asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from itda.errors import DataError
from itda.language import Message
from itda.search.mmseqs import mmseqs_version, run_mmseqs

_AMINO_ACIDS = 0


@dataclass(frozen=True)
class MmseqsFiles:
    """Makes MMseqs2 files.

    Attributes:
        version: What the program calls itself.
        index: Whether `createindex` follows `createdb`.
        gpu: Whether the sequences are padded, as searches on a GPU need them.
        threads: Processor cores.
    """

    version: str
    index: bool
    gpu: bool
    threads: int

    @classmethod
    def find(cls, *, index: bool, gpu: bool, threads: int) -> MmseqsFiles:
        """Find the program.

        Raises:
            DependencyError: It is not installed.
        """
        return cls(mmseqs_version(), index, gpu, threads)

    def facts(self) -> dict[str, object]:
        """Return what decides the files beside the sequences, as JSON values."""
        return {"version": self.version, "index": self.index, "gpu": self.gpu}

    def make(
        self, fasta: Path, target: Path, sequences: int, report: Callable[[str], None]
    ) -> None:
        """Make the files; unless they are padded, key i is FASTA record i.

        Args:
            fasta: Records in capitals.
            target: The database's name, whose folder is made.
            sequences: How many there are; another count in the result is an error.
            report: Told what is being done, several times a second; may raise to stop.

        Raises:
            DataError: MMseqs2 failed, or left out a record.
        """
        target.parent.mkdir()
        arguments = ["createdb", str(fasta), str(target), "--dbtype", "1", "--shuffle", "0"]
        if self.gpu:
            arguments += ["--createdb-mode", "2"]
        self._run(arguments, target.parent, lambda: report("MMseqs2 files"))
        stored = count_mmseqs_records(target)
        if stored != sequences:
            raise DataError(
                Message(
                    "mmseqs createdb took {stored:,} of {sequences:,} records of {fasta}",
                    stored=stored,
                    sequences=sequences,
                    fasta=fasta,
                ),
                hint=Message("try another version of MMseqs2"),
            )
        if not self.index:
            return
        with tempfile.TemporaryDirectory(prefix="index-", dir=target.parent) as work:
            arguments = ["createindex", str(target), work]
            arguments += ["--split", "1", "--threads", str(self.threads)]
            self._run(arguments, target.parent, lambda: report("MMseqs2 index"))

    def _run(self, arguments: list[str], folder: Path, report: Callable[[], None]) -> None:
        try:
            run_mmseqs(arguments, progress=lambda fraction, module: report())
        except DataError as error:
            raise DataError(
                error.problem,
                hint=Message(
                    "{free:,.0f} MB are free in {folder}",
                    free=shutil.disk_usage(folder).free / 1e6,
                    folder=folder,
                ),
            ) from error


def count_mmseqs_records(target: Path) -> int:
    """Return how many records an MMseqs2 database has.

    Raises:
        DataError: Its index or type is missing, or it holds no amino acids.
    """
    try:
        kind = int.from_bytes(target.with_name(f"{target.name}.dbtype").read_bytes()[:2], "little")
        with target.with_name(f"{target.name}.index").open("rb") as stream:
            count = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError as error:
        raise DataError(
            Message(
                "{target} is no MMseqs2 database: {filename}: {strerror}",
                target=target,
                filename=error.filename,
                strerror=error.strerror,
            )
        ) from error
    if kind != _AMINO_ACIDS:
        raise DataError(
            Message(
                "{target} does not hold amino acids: its type is {kind}", target=target, kind=kind
            )
        )
    return count
