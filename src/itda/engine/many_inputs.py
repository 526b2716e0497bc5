"""Several inputs read as one: places, names and files told apart over all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from itda.engine.inputs import read_input
from itda.errors import InputError, ItdaError
from itda.inputs import STANDARD_INPUT, Refused, stem
from itda.job.letters import Ambiguous
from itda.job.model import Job
from itda.job.names import collision_key
from itda.job.problems import shown
from itda.job.read import JobBatch, RecordWarning, RejectedRecord
from itda.job.sequences import MoleculeOption
from itda.language import Message, joined

if TYPE_CHECKING:
    from itda.models.family import Family

_MOST_LISTED = 10
_MOST_HINTS = 3


def read_inputs(
    sources: Sequence[str | Refused],
    *,
    ambiguous: Ambiguous = "refuse",
    molecule: MoleculeOption = "auto",
    msa: str | Path | None = None,
    family: Family | None = None,
) -> JobBatch:
    """Read the jobs of several inputs as those of one; a bad file leaves the others alone.

    A name belongs to the first record that has it in any of the files. Of several files, records
    without a name are called after theirs: `FILE_1`. Paths in a job start at its own file.

    Args:
        sources: As `itda.inputs.expand` gives them: paths, "-", and what gives no file.
        ambiguous: As for `read_input`; so are the others.
        molecule: What FASTA sequences are.
        msa: What the user asks for.
        family: That folds them.

    Raises:
        InputError: None of the inputs can be read.
    """
    several = len(sources) > 1
    read: list[tuple[str, JobBatch | ItdaError]] = []
    for source in sources:
        named = source.named if isinstance(source, Refused) else source
        try:
            if isinstance(source, Refused):
                raise source.error
            batch = read_input(
                source,
                ambiguous=ambiguous,
                molecule=molecule,
                msa=msa,
                family=family,
                name_prefix=stem(source) if several and source != STANDARD_INPUT else None,
            )
        except ItdaError as error:
            if not several:
                raise
            read.append((named, error))
        else:
            read.append((named, batch))
    merged = _Merged(several)
    owners = _owners(read)
    for named, found in read:
        owner = owners.get(_resolved(named), named)
        if owner != named:
            merged.notes.append(
                Message(
                    "{named} is not read by itself: a job of {owner} names it",
                    named=named,
                    owner=owner,
                )
            )
        elif isinstance(found, ItdaError):
            merged.refuse(named, found)
        else:
            merged.add("standard input" if named == STANDARD_INPUT else named, found)
    return merged.batch()


def _owners(read: Sequence[tuple[str, JobBatch | ItdaError]]) -> dict[Path, str]:
    """Return, for each file that a job names, the input that the job stands in."""
    owners: dict[Path, str] = {}
    for named, found in read:
        for job in found.jobs if isinstance(found, JobBatch) else ():
            # An alignment that stands alone names itself; that does not make it its own.
            files = {path.resolve() for _, path in job.files()} - {_resolved(named)}
            owners |= dict.fromkeys(files, named)
    return owners


def _resolved(named: str) -> Path:
    try:
        return Path(named).resolve()
    except (OSError, ValueError):
        return Path(named)


@dataclasses.dataclass(frozen=True)
class _Holder:
    """The record that a name belongs to: its place in its file, that file, and the name there."""

    place: int
    source: str
    name: str


@dataclasses.dataclass
class _Merged:
    several: bool
    jobs: list[Job] = dataclasses.field(default_factory=list)
    rejected: list[RejectedRecord] = dataclasses.field(default_factory=list)
    warnings: list[RecordWarning] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    sources: dict[int, str] = dataclasses.field(default_factory=dict)
    _failures: list[ItdaError] = dataclasses.field(default_factory=list)
    _holders: dict[str, _Holder] = dataclasses.field(default_factory=dict)

    def add(self, source: str, batch: JobBatch) -> None:
        """Take the records of a file; those whose name an earlier file has are refused."""
        before = len(self.sources)
        self.sources |= dict.fromkeys(range(before + 1, before + batch.total + 1), source)
        places = batch.places
        taken = self._names_taken(source, batch, places)
        told = source if self.several else ""
        for job in batch.jobs:
            if job.name in taken:
                place = before + places[job.name]
                self.rejected.append(RejectedRecord(job.name, place, 0, taken[job.name], told))
            else:
                self.jobs.append(job)
        self.rejected += [
            dataclasses.replace(one, index=before + one.index, source=told)
            for one in batch.rejected
        ]
        self.warnings += [
            dataclasses.replace(one, index=before + one.index, source=told)
            for one in batch.warnings
            if one.name not in taken
        ]
        self.notes += batch.notes

    def refuse(self, source: str, error: ItdaError) -> None:
        """Note an input that cannot be read, in the place of its records."""
        place = len(self.sources) + 1
        self.sources[place] = source
        self.rejected.append(RejectedRecord("", place, 0, error, source))
        self._failures.append(error)

    def batch(self) -> JobBatch:
        """Return all that was read.

        Raises:
            InputError: No input could be read.
        """
        if self._failures and len(self._failures) == len(self.sources):
            raise _none_readable(self._failures)
        return JobBatch(
            tuple(self.jobs),
            tuple(sorted(self.rejected, key=lambda one: one.index)),
            tuple(self.warnings),
            tuple(self.notes),
            self.sources,
        )

    def _names_taken(
        self, source: str, batch: JobBatch, places: Mapping[str, int]
    ) -> dict[str, ItdaError]:
        """Return the refusals of jobs whose name an earlier file has; claim all other names."""
        taken: dict[str, ItdaError] = {}
        fresh: dict[str, _Holder] = {}
        named = [(one.name, one.index) for one in batch.rejected if one.name]
        for name, place in sorted([*places.items(), *named], key=lambda one: one[1]):
            key = collision_key(name)
            holder = self._holders.get(key)
            if holder is None:
                fresh.setdefault(key, _Holder(place, source, name))
            elif name in places:
                where = f"{source}, record {place} {shown(name)}"
                taken[name] = _is_taken(where, name, holder)
        self._holders |= fresh
        return taken


def _is_taken(where: str, name: str, holder: _Holder) -> InputError:
    record = Message("record {place} of {source}", place=holder.place, source=holder.source)
    problem = Message("the name was taken by {record}", record=record)
    if holder.name != name:
        problem = Message(
            "the files of this name and of {holder} ({record}) would be one where a file "
            "system ignores case",
            holder=shown(holder.name),
            record=record,
        )
    return InputError(
        Message("{where}: {problem}", where=where, problem=problem),
        hint=Message("give each record its own name"),
    )


def _none_readable(failures: Sequence[ItdaError]) -> InputError:
    listed = "".join(f"\n  - {failure.problem}" for failure in failures[:_MOST_LISTED])
    if len(failures) > _MOST_LISTED:
        listed += Message("\n  - and {count} more", count=len(failures) - _MOST_LISTED)
    hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
    return InputError(
        Message("none of {count} inputs can be read{listed}", count=len(failures), listed=listed),
        hint=joined(list(hints)[:_MOST_HINTS], ";"),
    )
