"""FASTA records, read line by line; each is one job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from itda.errors import InputError
from itda.job.layout import Line
from itda.job.letters import Ambiguous
from itda.job.model import Job
from itda.job.problems import explain
from itda.job.sequences import MoleculeOption, entities_from_lines
from itda.language import Message

_BYTE_ORDER_MARK = "\ufeff"
PIR_HEADER = re.compile(r">(?:P1|F1|DL|DC|RL|RC|N1|N3|XX);(.*)")
"""A header of PIR with the name; a line of description follows."""


@dataclass
class FastaRecord:
    """A record as it stands in the file.

    Attributes:
        index: Place in the file, counted from 1.
        line: Line of the header, counted from 1.
        header: What follows `>`.
        parts: The sequence's lines, stripped at both ends, with the line of each.
        label: The name, where it is not the first word of the header.
        notes: What is to be said of how it was read.
    """

    index: int
    line: int
    header: str
    parts: list[Line] = field(default_factory=list)
    label: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The label, or the first word of the header; "" where there is none."""
        if self.label or not self.header.strip():
            return self.label
        return self.header.split(maxsplit=1)[0]

    @property
    def description(self) -> str:
        """The header after the name, bytes that are not UTF-8 as U+FFFD."""
        words = self.header.split(maxsplit=1)
        text = words[1].strip() if len(words) > 1 else ""
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def fasta_records(lines: Iterable[str]) -> Iterator[FastaRecord]:
    """Split the lines of a FASTA or PIR file into records.

    Blank lines between records, and lines that begin with `;` or `#`, which are comments, are
    passed over. After a header of PIR (`>P1;NAME`) comes a line of description.

    Raises:
        InputError: Text stands before the first header.
    """
    record: FastaRecord | None = None
    index = 0
    describes = False
    for number, raw in enumerate(lines, 1):
        # Files that were joined may bring a byte order mark in the middle.
        line = raw.removeprefix(_BYTE_ORDER_MARK).strip()
        if line.startswith(">"):
            if record is not None:
                yield record
            index += 1
            record = FastaRecord(index, number, line[1:])
            if found := PIR_HEADER.fullmatch(line):
                record.header, describes = found[1], True
        elif describes and record is not None:
            record.header, describes = f"{record.header} {line}", False
        elif not line or line[0] in ";#":
            continue
        elif record is None:
            raise InputError(
                Message("line {number} stands before the first header", number=number),
                hint=Message("put a line with '>' and a name above each sequence"),
            )
        else:
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
        raise InputError(
            Message("has no sequence"),
            hint=Message("put the sequence on the lines below the header"),
        )
    entities, changes = entities_from_lines(
        record.parts, molecule, ambiguous=ambiguous, name_lines=True
    )
    metadata: dict[str, JsonValue] = {}
    if record.description:
        metadata["description"] = record.description
    try:
        job = Job(name=name, entities=entities, metadata=metadata)
        return job, [*record.notes, *changes]
    except ValidationError as error:
        raise explain(error) from error
