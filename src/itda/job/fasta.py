"""FASTA records, read line by line; each is one job."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from itda.errors import InputError
from itda.job.letters import Ambiguous
from itda.job.model import Job
from itda.job.problems import explain
from itda.job.sequences import MoleculeOption, entities_from_text

_BYTE_ORDER_MARK = "\ufeff"


@dataclass
class FastaRecord:
    """A record as it stands in the file.

    Attributes:
        index: Place in the file, counted from 1.
        line: Line of the header, counted from 1.
        header: What follows `>`.
        parts: The sequence's lines, stripped at both ends, with the line of each.
    """

    index: int
    line: int
    header: str
    parts: list[tuple[int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The first word of the header; "" where there is none."""
        return self.header.split(maxsplit=1)[0] if self.header.strip() else ""

    @property
    def description(self) -> str:
        """The header after the name, bytes that are not UTF-8 as U+FFFD."""
        words = self.header.split(maxsplit=1)
        text = words[1].strip() if len(words) > 1 else ""
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def fasta_records(lines: Iterable[str]) -> Iterator[FastaRecord]:
    """Split the lines of a FASTA file into records; blank lines are passed over.

    Raises:
        InputError: Text stands before the first header.
    """
    record: FastaRecord | None = None
    index = 0
    for number, raw in enumerate(lines, 1):
        # Files that were joined may bring a byte order mark in the middle.
        line = raw.removeprefix(_BYTE_ORDER_MARK).strip()
        if line.startswith(">"):
            if record is not None:
                yield record
            index += 1
            record = FastaRecord(index, number, line[1:])
        elif line and record is None:
            raise InputError(
                f"line {number} stands before the first header",
                hint="put a line with '>' and a name above each sequence",
            )
        elif line and record is not None:
            record.parts.append((number, line))
    if record is not None:
        yield record


def job_from_record(
    record: FastaRecord, name: str, *, molecule: MoleculeOption, ambiguous: Ambiguous
) -> tuple[Job, list[str]]:
    """Make the job of one record; chains may be separated by `:`.

    Returns:
        The job and what was changed in the sequence.

    Raises:
        InputError: The name or the sequence breaks a rule.
    """
    if not record.parts:
        raise InputError("has no sequence", hint="put the sequence on the lines below the header")
    starts: list[int] = []
    length = 0
    for _, part in record.parts:
        starts.append(length)
        length += len(part)

    def locate(index: int) -> str:
        return f" (line {record.parts[bisect.bisect_right(starts, index) - 1][0]})"

    text = "".join(part for _, part in record.parts)
    entities, changes = entities_from_text(text, molecule, ambiguous=ambiguous, locate=locate)
    metadata: dict[str, JsonValue] = {}
    if record.description:
        metadata["description"] = record.description
    try:
        return Job(name=name, entities=entities, metadata=metadata), changes
    except ValidationError as error:
        raise explain(error) from error
