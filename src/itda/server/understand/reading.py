"""From a request's text and files to jobs, without a look at any file of the server's own."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from itda.engine.attach import SUFFIXES, attach
from itda.engine.given_templates import give_templates
from itda.engine.inputs import ALIGNMENT_SUFFIXES, read_alignment_job
from itda.engine.trim import trim_job
from itda.errors import InputError, ItdaError
from itda.inputs import stem
from itda.job.given_templates import GivenTemplate, parse_given_template
from itda.job.model import Job
from itda.job.names import check_file_name, collision_key
from itda.job.problems import shown
from itda.job.read import JobBatch, read_jobs
from itda.job.source import Format, guess_format, open_source
from itda.language import REQUEST, Message
from itda.models.registry import get_family
from itda.server.errors import TooLargeError
from itda.server.settings import Limits
from itda.wire import Options

PASTED = Message("the text")
"""How messages name what was pasted."""

MOST_FILES = 2000

_INPUT_SUFFIXES = frozenset(
    (
        *("", ".fasta", ".fas", ".faa", ".fa", ".fna", ".ffn", ".seq", ".pir", ".txt"),
        *(".csv", ".tsv", ".gb", ".gp", ".gbk", ".embl", ".yaml", ".yml", ".json"),
    )
)
# A reader of YAML takes some 20 microseconds for each value, one of JSON a hundredth of that.
_MOST_VALUES = {"yaml": 100_000, "json": 1_000_000}
_RECORD_MARKS = {"fasta": b"\n>", "plain": b"\n\n", "flat": b"\n//", "table": b"\n"}
"""Of which a form has about one for each record."""

_GZIP = b"\x1f\x8b"
_CHUNK = 2**16


@dataclass(frozen=True)
class Upload:
    """A file of a request.

    Attributes:
        name: As the sender calls it; a name, never a path.
        content: Its bytes.
    """

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class ReadJob:
    """A record that gave a job.

    Attributes:
        index: Place in the whole request, counted from 1.
        file: File that it stands in; "" for pasted text.
        job: Its files are in the folder of the reading.
        warnings: What was changed, or looks like a slip.
    """

    index: int
    file: str
    job: Job
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Unread:
    """A record that gave none."""

    index: int
    file: str
    name: str
    error: ItdaError


@dataclass(frozen=True)
class Reading:
    """All that a request held.

    Attributes:
        folder: Where its files are as long as the reading lasts.
        records: In order.
        problems: What is wrong with a file as a whole.
        uploads: Its files by name, as they came.
    """

    folder: Path
    records: tuple[ReadJob | Unread, ...]
    problems: tuple[ItdaError, ...]
    uploads: dict[str, Upload]

    @property
    def jobs(self) -> tuple[ReadJob, ...]:
        """Those that can be planned."""
        return tuple(record for record in self.records if isinstance(record, ReadJob))


@contextmanager
def reading(
    text: str | bytes, files: Sequence[Upload], options: Options, limits: Limits
) -> Iterator[Reading]:
    """Read a request; its files lie in a temporary folder until the block ends.

    Files whose names end as inputs do are read for records, unless a job names them; other files
    belong to the jobs that name them, or whose name they have.

    Args:
        text: What was pasted; may be empty.
        files: What was uploaded.
        options: How FASTA is read.
        limits: What a request may be.

    Raises:
        InputError: A file's name is a path, or stands twice.
        TooLargeError: There is more than the limits allow, decompressed.
    """
    uploads = _checked(files)
    with tempfile.TemporaryDirectory(prefix="itda-") as folder:
        yield _Reader(Path(folder), uploads, options, limits).read(text)


def _checked(files: Sequence[Upload]) -> dict[str, Upload]:
    if len(files) > MOST_FILES:
        raise TooLargeError(
            Message(
                "{count} files; {most_files} are taken at once",
                count=len(files),
                most_files=MOST_FILES,
            ),
            hint=Message("send them in parts"),
        )
    taken: dict[str, Upload] = {}
    for file in files:
        try:
            check_file_name(file.name)
        except InputError as error:
            raise InputError(
                Message("file name {problem}", problem=error.problem),
                hint=Message("send files by plain names"),
            ) from error
        if collision_key(file.name) in taken:
            raise InputError(
                Message("file {file} is sent twice", file=shown(file.name)),
                hint=Message("give each file a name of its own"),
            )
        taken[collision_key(file.name)] = file
    return {file.name: file for file in files}


class _Reader:
    def __init__(
        self, folder: Path, uploads: dict[str, Upload], options: Options, limits: Limits
    ) -> None:
        self.folder = folder
        self.uploads = uploads
        self.options = options
        self.limits = limits
        self.left = limits.expanded_bytes
        self.problems: list[tuple[str, ItdaError]] = []
        self.inputs: set[str] = set()

    def read(self, text: str | bytes) -> Reading:
        pasted = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        contents = {name: self._expanded(name, one.content) for name, one in self.uploads.items()}
        for name, upload in self.uploads.items():
            (self.folder / name).write_bytes(upload.content)
        batches: list[tuple[str, JobBatch]] = []
        if pasted.strip():
            self._read_one("", self._expanded(PASTED, pasted), batches)
        for name, content in contents.items():
            if _suffix(name) in _INPUT_SUFFIXES:
                self._read_one(name, content, batches)
        named = {path.name for _, batch in batches for job in batch.jobs for _, path in job.files()}
        batches = [(file, batch) for file, batch in batches if file not in named]
        records = self._records(batches)
        records, attached = self._attached(records, named | {file for file, _ in batches})
        records, attached = self._of_alignments(records, named | attached)
        records = [self._trimmed(record) for record in records]
        templates = self._given_templates()
        attached |= {one.path.name for one in templates}
        records = self._with_templates(records, templates)
        # A file that cannot be read as an input may be what a job names.
        used = named | attached
        problems = [error for file, error in self.problems if file not in used]
        problems += [
            InputError(
                Message("file {name} is named by no job", name=shown(name)),
                hint=Message(
                    "name it in a job (`msa:`, `profile:`, `templates:`, `components:`), call it "
                    "after the job that it belongs to, or give it as {--template}"
                ),
            )
            for name in self.uploads
            if _suffix(name) not in _INPUT_SUFFIXES
            and name not in used
            # A record that could not be read may have named it.
            and all(isinstance(record, ReadJob) for record in records)
        ]
        if not records and not problems:
            problems.append(
                InputError(
                    Message("there is no record"),
                    hint=Message("paste a sequence, or send a FASTA file"),
                )
            )
        return Reading(self.folder, tuple(records), tuple(problems), self.uploads)

    def _given_templates(self) -> list[GivenTemplate]:
        found: list[GivenTemplate] = []
        for text in self.options.template:
            try:
                one = parse_given_template(text, is_file=self.uploads.__contains__)
            except InputError as error:
                self.problems.append(("", error.said(REQUEST)))
            else:
                found.append(dataclasses.replace(one, path=self.folder / one.path))
        return found

    def _with_templates(
        self, records: list[ReadJob | Unread], templates: Sequence[GivenTemplate]
    ) -> list[ReadJob | Unread]:
        """Give jobs the structures that the request names for them."""
        read = [record for record in records if isinstance(record, ReadJob)]
        if not (read and templates):
            return records
        try:
            family = get_family(self.options.family)
            given = give_templates([record.job for record in read], templates, family)
        except ItdaError as error:
            self.problems.append(("", self._told(error, "")))
            return records
        changed: dict[int, ReadJob | Unread] = {}
        for place, record in enumerate(read):
            job, index, file = given.jobs[place], record.index, record.file
            if place in given.errors:
                told = self._told(given.errors[place], file)
                changed[index] = Unread(index, file, job.name, told)
            else:
                notes = (*record.warnings, *given.notes.get(place, ()))
                changed[index] = ReadJob(index, file, job, notes)
        return [changed.get(record.index, record) for record in records]

    def _read_one(self, name: str, content: bytes, batches: list[tuple[str, JobBatch]]) -> None:
        label = name.removesuffix(".gz") or PASTED
        # It stands beside the files that it names, under a name that none of them can have.
        path = self.folder / f".input{_suffix(name)}"
        path.write_bytes(content)
        self.inputs.add(str(path))
        try:
            form = self._refuse_endless(path, content)
            batch = read_jobs(
                path,
                ambiguous=self.options.ambiguous,
                molecule=self.options.molecule,
                name_prefix="sequence" if form == "plain" and not name else None,
                stem=stem(name) if name else None,
                files=self.uploads,
            )
        except ItdaError as error:
            self.problems.append((name, self._told(error, label)))
        else:
            batches.append((name, batch))
        finally:
            path.unlink()

    def _refuse_endless(self, path: Path, content: bytes) -> Format:
        """Refuse what would take long to read only to be refused; return its form."""
        with open_source(path) as opened:
            form: Format = guess_format(opened)
        records = 0
        if mark := _RECORD_MARKS.get(form):
            # The first of FASTA has no line before it; the first line of a table is no record.
            records = content.count(mark) + {"fasta": 1, "table": -1}.get(form, 0)
        else:
            values = sum(content.count(mark) for mark in (b",", b":", b"\n", b"["))
            if values > _MOST_VALUES[form]:
                raise TooLargeError(
                    Message(
                        "{path} holds {values} values; {most_values} of {form} are read at once",
                        path=path,
                        values=values,
                        most_values=_MOST_VALUES[form],
                        form=form.upper(),
                    ),
                    hint=Message(
                        "send it in parts{what}",
                        what=Message(", or as JSON") if form == "yaml" else "",
                    ),
                )
        if records > self.limits.jobs:
            raise TooLargeError(
                Message(
                    "{path} holds {records} records; {jobs} are taken at once",
                    path=path,
                    records=records,
                    jobs=self.limits.jobs,
                ),
                hint=Message("send them in parts"),
            )
        return form

    def _expanded(self, name: str, content: bytes) -> bytes:
        """Return what a file holds once decompressed, and count it against the limit."""
        if content.startswith(_GZIP):
            content = _decompressed(name, content, self.left)
        if content.startswith(_GZIP):
            # What reads it next would decompress it again, without counting.
            raise InputError(
                Message("{name} is compressed twice with gzip", name=shown(name)),
                hint=Message("decompress it once"),
            )
        self.left -= len(content)
        if self.left < 0:
            raise TooLargeError(
                Message(
                    "{name}: more than {expanded_bytes} bytes in all",
                    name=shown(name),
                    expanded_bytes=self.limits.expanded_bytes,
                ),
                hint=Message("send it in parts"),
            )
        return content

    def _records(
        self, batches: Sequence[tuple[str, JobBatch]], before: Sequence[ReadJob | Unread] = ()
    ) -> list[ReadJob | Unread]:
        found = list(before)
        for file, batch in batches:
            start = len(found)
            total = len(batch.jobs) + len(batch.rejected)
            rejected = {record.index: record for record in batch.rejected}
            warnings: dict[int, list[str]] = {}
            for warning in batch.warnings:
                warnings.setdefault(warning.index, []).append(warning.message)
            jobs = iter(batch.jobs)
            notes = batch.notes
            for index in range(1, total + 1):
                refused = rejected.get(index)
                if refused is not None:
                    error = self._told(refused.error, file.removesuffix(".gz") or PASTED)
                    found.append(Unread(start + index, file, refused.name, error))
                else:
                    told = (*notes, *warnings.get(index, ()))
                    notes = ()
                    found.append(ReadJob(start + index, file, next(jobs), told))
        if len(found) > self.limits.jobs:
            raise TooLargeError(
                Message(
                    "{count} records; {jobs} are taken at once",
                    count=len(found),
                    jobs=self.limits.jobs,
                ),
                hint=Message("send them in parts"),
            )
        return found

    def _trimmed(self, record: ReadJob | Unread) -> ReadJob | Unread:
        if not self.options.trim or isinstance(record, Unread):
            return record
        try:
            job, cuts = trim_job(record.job, get_family(self.options.family))
        except ItdaError as error:
            told = self._told(error, record.file)
            return Unread(record.index, record.file, record.job.name, told)
        return ReadJob(record.index, record.file, job, (*record.warnings, *cuts))

    def _of_alignments(
        self, records: list[ReadJob | Unread], used: set[str]
    ) -> tuple[list[ReadJob | Unread], set[str]]:
        """Make jobs of alignments that came alone; beside records they are to belong to one."""
        if records or self.problems:
            return records, used
        batches: list[tuple[str, JobBatch]] = []
        for name in self.uploads:
            if name in used or not name.lower().endswith(ALIGNMENT_SUFFIXES):
                continue
            used = used | {name}
            try:
                batch = read_alignment_job(
                    self.folder / name,
                    ambiguous=self.options.ambiguous,
                    molecule=self.options.molecule,
                    msa=self.options.msa,
                )
            except ItdaError as error:
                self.problems.append(("", self._told(error, name)))
            else:
                batches.append((name, batch))
        return self._records(batches, records), used

    def _attached(
        self, records: list[ReadJob | Unread], taken: set[str]
    ) -> tuple[list[ReadJob | Unread], set[str]]:
        """Give jobs the alignments and profiles that are called after them."""
        free = [name for name in self.uploads if name not in taken]
        used: set[str] = set()
        if not free:
            return records, used
        found: list[ReadJob | Unread] = []
        alone = Counter(record.file for record in records)
        for record in records:
            if isinstance(record, ReadJob):
                own = stem(record.file) if alone[record.file] == 1 else ""
                record = self._with_its_files(record, own, free, used)
            found.append(record)
        return found, used

    def _with_its_files(
        self, record: ReadJob, stem: str, free: Sequence[str], used: set[str]
    ) -> ReadJob | Unread:
        """Give a job what is called after it or, where it came alone, after its file."""
        job = record.job
        stems = {job.file_stem, *(f"{job.file_stem}_{chain}" for chain in job.chain_ids)}
        for kind, suffixes in SUFFIXES.items():
            own = {f"{one}{suffix}" for one in stems for suffix in suffixes}.intersection(free)
            where = self.folder
            if not own and stem and stem != job.file_stem:
                own = {f"{stem}{suffix}" for suffix in suffixes}.intersection(free)
                where = self.folder / next(iter(own), "")
            if not own:
                continue
            used |= own
            (attached,), errors = attach([job], kind, where)
            for error in errors.values():
                return Unread(record.index, record.file, job.name, self._told(error, record.file))
            job = attached
        return ReadJob(record.index, record.file, job, record.warnings)

    def _told(self, error: ItdaError, label: str) -> ItdaError:
        """Return an error that does not tell where the server keeps files."""

        def named(field: str) -> str:
            if field in self.inputs:
                return label
            return field.replace(f"{self.folder}/", "").replace(str(self.folder), "")

        return error.mapped(named).said(REQUEST)


def _suffix(name: str) -> str:
    path = Path(name.lower().removesuffix(".gz"))
    return path.suffix


def _decompressed(name: str, content: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            while part := stream.read(_CHUNK):
                size += len(part)
                if size > most:
                    raise TooLargeError(
                        Message(
                            "{name}: holds more than {most} bytes once decompressed",
                            name=shown(name),
                            most=most,
                        ),
                        hint=Message("send it in parts"),
                    )
                parts.append(part)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            Message(
                "{name} is a gzip file that is cut off or damaged: {error}",
                name=shown(name),
                error=error,
            ),
            hint=Message("copy or download it again; nothing of it was used"),
        ) from error
    return b"".join(parts)
