"""`read_jobs`: from an input of any form to its jobs, and to what was refused and why."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from itda.errors import InputError, ItdaError
from itda.job.check import check_job
from itda.job.documents import Document, json_documents, yaml_documents
from itda.job.fasta import FastaRecord, fasta_records, job_from_record
from itda.job.letters import Ambiguous
from itda.job.model import Job
from itda.job.names import collision_key
from itda.job.plain import flat_records, plain_records
from itda.job.problems import shown
from itda.job.sequences import MoleculeOption, clean_typed_sequences
from itda.job.source import Format, Source, guess_format, open_source
from itda.job.table import table_records
from itda.language import Message

UNNAMED_PREFIX = "record"


@dataclass(frozen=True)
class RejectedRecord:
    """A record that gives no job.

    Attributes:
        name: As the file has it; "" where it has none, and of a file that cannot be read.
        index: Place in the input, counted from 1 over all its files.
        line: Line where the record begins, counted from 1; 0 where that says nothing.
        error: What is wrong; its text names input, record and line.
        source: The file, where there are several.
    """

    name: str
    index: int
    line: int
    error: ItdaError
    source: str = ""

    @property
    def called(self) -> str:
        """What to call it: by its name, its file where that cannot be read, or its place."""
        return self.name or (
            Message("record {index}", index=self.index) if self.line else self.source
        )

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True)
class RecordWarning:
    """What was changed in a record that was read, or looks like a slip.

    Attributes:
        name: Name of the job.
        index: Place in the input, counted from 1 over all its files.
        line: Line where the record begins, counted from 1; 0 where that says nothing.
        message: What was done, or found.
        source: The file, where there are several.
    """

    name: str
    index: int
    line: int
    message: str
    source: str = ""

    def __str__(self) -> str:
        line = Message(" (line {line})", line=self.line) if self.line else ""
        place = (
            Message("{source},", source=self.source)
            if self.source
            else Message("record {index}", index=self.index)
        )
        return f"{place} {shown(self.name)}{line}: {self.message}"


@dataclass(frozen=True)
class JobBatch:
    """All that an input held.

    Attributes:
        jobs: The good records, in order.
        rejected: The others, in order.
        warnings: What was changed in the good ones, in order.
        notes: What concerns the input as a whole.
        sources: The file of each record, by its place.
    """

    jobs: tuple[Job, ...]
    rejected: tuple[RejectedRecord, ...]
    warnings: tuple[RecordWarning, ...]
    notes: tuple[str, ...] = ()
    sources: Mapping[int, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many records there are, good or not."""
        return len(self.jobs) + len(self.rejected)

    @property
    def places(self) -> dict[str, int]:
        """The place of each job by its name, counted from 1, rejected records counted."""
        taken = {record.index for record in self.rejected}
        free = (place for place in range(1, self.total + 1) if place not in taken)
        return {job.name: place for job, place in zip(self.jobs, free, strict=True)}


def read_jobs(
    source: Path | str | io.StringIO,
    *,
    ambiguous: Ambiguous = "refuse",
    molecule: MoleculeOption = "auto",
    name_prefix: str | None = None,
    stem: str | None = None,
    files: Collection[str] | None = None,
) -> JobBatch:
    """Read the jobs of an input; a bad record leaves the others alone.

    The input is FASTA (or PIR), bare sequences, a table (CSV, TSV), a flat file of GenBank,
    GenPept, EMBL or UniProt, or jobs as YAML or JSON; its content tells which.

    A name belongs to the first record that has it, good or not, so that no result can stand under
    the name of another record.

    Args:
        source: A path, "-" for standard input, or the text itself; gzip is known by its first
            bytes.
        ambiguous: "refuse", or "x" to read ambiguous and rare letters as unknown.
        molecule: What FASTA sequences are; "auto" is protein, and refuses what looks like DNA or
            RNA.
        name_prefix: Records without a name are called PREFIX_1, PREFIX_2, …, by their place in the
            input; "record" where it is None.
        stem: What a sequence without a header is called where `name_prefix` is None; the name of
            the file where it is None too.
        files: The only paths that a job may name; None for any.

    Raises:
        InputError: The input as a whole is missing, empty, binary or not of these forms.
    """
    batch = _Batch(ambiguous, molecule, name_prefix or UNNAMED_PREFIX, files)
    with open_source(source) as opened:
        batch.label = opened.label
        form = guess_format(opened)
        if form not in ("yaml", "json"):
            for record in _records(opened, form, batch, stem or opened.stem, name_prefix):
                batch.add_record(record)
            batch.note_alignment()
        else:
            if molecule not in ("auto", "protein"):
                raise InputError(
                    Message(
                        "{opened} is YAML or JSON, where each entity says what it is; "
                        "molecule {molecule} is for sequences",
                        opened=opened.label,
                        molecule=shown(molecule),
                    ),
                    hint=Message("leave {--molecule} out"),
                )
            for document in _documents(opened):
                batch.add_document(document, opened.folder)
    if not batch.jobs and not batch.rejected:
        raise InputError(
            Message("{batch} holds no record", batch=batch.label),
            hint=Message("give a FASTA file, or a job as YAML or JSON"),
        )
    return JobBatch(
        tuple(batch.jobs), tuple(batch.rejected), tuple(batch.warnings), tuple(batch.notes)
    )


def _records(
    source: Source, form: Format, batch: _Batch, stem: str, name_prefix: str | None
) -> Iterator[FastaRecord]:
    try:
        match form:
            case "flat":
                yield from flat_records(source.lines())
            case "table":
                yield from table_records(source.lines(), batch.notes)
            case "plain":
                yield from plain_records(
                    source.lines(), stem, prefix=None if name_prefix == stem else name_prefix
                )
            case _:
                yield from fasta_records(source.lines())
    except InputError as error:
        if error.problem.startswith(source.label):
            raise
        problem = Message("{source}: {problem}", source=source.label, problem=error.problem)
        raise error.but(problem) from error


def _documents(source: Source) -> list[Document]:
    read = json_documents if guess_format(source) == "json" else yaml_documents
    try:
        return list(read(source.read()))
    except InputError as error:
        if error.problem.startswith(source.label):
            raise
        problem = Message("{source} {problem}", source=source.label, problem=error.problem)
        raise error.but(problem) from error


@dataclass
class _Batch:
    ambiguous: Ambiguous
    molecule: MoleculeOption
    name_prefix: str
    files: Collection[str] | None
    label: str = ""
    jobs: list[Job] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)
    warnings: list[RecordWarning] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _claimed: dict[str, tuple[int, str]] = field(default_factory=dict)
    _widths: list[tuple[int, bool]] = field(default_factory=list)

    def note_alignment(self) -> None:
        """Say that records of one length with gaps are an alignment."""
        widths = {width for width, _ in self._widths}
        if len(self._widths) > 1 and len(widths) == 1 and any(gaps for _, gaps in self._widths):
            self.notes.append(
                Message(
                    "{label} looks like an alignment ({count} rows of {widths} columns): to "
                    "fold its first sequence with it, call the file NAME.afa, or give it "
                    "with {--msa} beside the sequence",
                    label=self.label,
                    count=len(self._widths),
                    widths=widths.pop(),
                )
            )

    def add_record(self, record: FastaRecord) -> None:
        width = sum(len(part) for _, part in record.parts)
        self._widths.append((width, any("-" in part or "." in part for _, part in record.parts)))
        name = record.name or f"{self.name_prefix}_{record.index}"
        changes = (
            []
            if record.name
            else [Message("the record has no name and is called {name}", name=name)]
        )
        try:
            self._claim(name, record.index)
            job, cleaned = job_from_record(
                record, name, molecule=self.molecule, ambiguous=self.ambiguous
            )
        except ItdaError as error:
            self._reject("record", record.name, record.index, record.line, error)
        else:
            self._accept(job, record.index, record.line, changes + cleaned)

    def add_document(self, document: Document, folder: Path) -> None:
        try:
            if document.name:
                self._claim(document.name, document.index)
            if isinstance(document.data, InputError):
                raise document.data
            data, cleaned = clean_typed_sequences(
                document.data, guess=self.molecule == "auto", ambiguous=self.ambiguous
            )
            job = Job.from_dict(data, folder=folder, files=self.files)
            self._claim(job.name, document.index)
            slips = check_job(job)
        except ItdaError as error:
            self._reject("job", document.name, document.index, document.line, error)
        else:
            self._accept(job, document.index, document.line, cleaned + slips)

    def _claim(self, name: str, index: int) -> None:
        earlier = self._claimed.setdefault(collision_key(name), (index, name))
        if earlier[0] == index:
            return
        if earlier[1] == name:
            raise InputError(
                Message("the name was taken by record {earlier}", earlier=earlier[0]),
                hint=Message("give each record its own name"),
            )
        raise InputError(
            Message(
                "the files of this name and of {earlier} (record {earlier_2}) would be one "
                "where a file system ignores case",
                earlier=shown(earlier[1]),
                earlier_2=earlier[0],
            ),
            hint=Message("give each record its own name"),
        )

    def _accept(self, job: Job, index: int, line: int, messages: list[str]) -> None:
        self.jobs.append(job)
        self.warnings += [RecordWarning(job.name, index, line, message) for message in messages]

    def _reject(self, kind: str, name: str, index: int, line: int, error: ItdaError) -> None:
        problem = error.problem
        if isinstance(problem, Message) and problem.fields.get("where") == f"job {shown(name)}":
            problem = problem.fields["problem"]
        of = {
            "file": self.label,
            "index": index,
            "name": f" {shown(name)}" if name else "",
            "line": line,
        }
        place = (
            Message("{file}, record {index}{name} (line {line})", **of)
            if kind == "record"
            else Message("{file}, job {index}{name} (line {line})", **of)
        )
        named = error.but(Message("{place}: {problem}", place=place, problem=problem))
        named.__cause__ = error
        self.rejected.append(RejectedRecord(name, index, line, named))
