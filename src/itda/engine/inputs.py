"""From an input to its jobs with the alignments that belong to them: the reader of every face."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from itda.engine.attach import attach
from itda.engine.search_options import NONE
from itda.errors import InputError, ItdaError
from itda.inputs import STANDARD_INPUT, stem
from itda.job.entities import Protein
from itda.job.fasta import FastaRecord, job_from_record
from itda.job.inputs import ALIGNMENTS
from itda.job.letters import Ambiguous
from itda.job.model import Job
from itda.job.read import JobBatch, RecordWarning, RejectedRecord, read_jobs
from itda.job.sequences import MoleculeOption
from itda.job.source import guess_format, open_source
from itda.language import Message
from itda.search.alignments.formats import is_alignment_text, read_alignment

if TYPE_CHECKING:
    from itda.models.family import Family

ALIGNMENT_SUFFIXES = (*ALIGNMENTS, *(f"{suffix}.gz" for suffix in ALIGNMENTS))


def read_input(
    source: Path | str,
    *,
    ambiguous: Ambiguous = "refuse",
    molecule: MoleculeOption = "auto",
    msa: str | Path | None = None,
    family: Family | None = None,
    name_prefix: str | None = None,
) -> JobBatch:
    """Read the jobs of an input, with the alignments that belong to them.

    An alignment (`.a3m`, `.sto` and the like) is a job of its first sequence that names the file. A
    protein of a FASTA file or a table is given the alignment beside that file which is called
    after its record (`NAME.a3m`; `NAME_A.a3m`, `NAME_B.a3m` for the proteins of a complex), or,
    where the input has one record, after the input itself. What is used and what is left is said in
    the batch's warnings and notes.

    Args:
        source: A path, or "-" for standard input.
        ambiguous: As for `read_jobs`.
        molecule: As for `read_jobs`.
        msa: What the user asks for: "none", a search or a path leave what is beside the input; None
            uses it.
        family: That folds them; one that takes no alignment leaves it.
        name_prefix: As for `read_jobs`.

    Raises:
        InputError: As `read_jobs`, or an alignment cannot be read.
    """
    if is_alignment(source):
        return read_alignment_job(Path(source), ambiguous=ambiguous, molecule=molecule, msa=msa)
    batch = read_jobs(source, ambiguous=ambiguous, molecule=molecule, name_prefix=name_prefix)
    if not _is_of_sequences(source):
        return batch
    return _with_neighbours(batch, Path(source), msa, family)


def neighbours_of(
    source: Path, *, msa: str | Path | None = None, family: Family | None = None
) -> list[Path]:
    """Find the alignments beside an input that `read_input` would give to its jobs.

    Raises:
        InputError: As `read_input`.
    """
    if is_alignment(source) or not _is_of_sequences(source):
        return []
    batch = read_input(source, msa=msa, family=family)
    return list(dict.fromkeys(path for job in batch.jobs for _, path in job.files()))


def is_alignment(source: Path | str) -> bool:
    """Whether a file is an alignment: by the end of its name, or by its first line.

    False for what can be read once only, such as standard input, and what cannot be opened.
    """
    if not _is_regular(source):
        return False
    with open_source(source) as opened:
        return opened.suffix in ALIGNMENTS or is_alignment_text(opened.head)


def _is_regular(source: Path | str) -> bool:
    try:
        return str(source) not in ("", STANDARD_INPUT) and Path(source).is_file()
    except (OSError, ValueError):
        return False


def _is_of_sequences(source: Path | str) -> bool:
    if not _is_regular(source):
        return False
    with open_source(source) as opened:
        return guess_format(opened) not in ("yaml", "json")


def read_alignment_job(
    path: Path,
    *,
    ambiguous: Ambiguous = "refuse",
    molecule: MoleculeOption = "auto",
    msa: str | Path | None = None,
) -> JobBatch:
    """Make the job of an alignment's first sequence, called after the file; see `read_input`."""
    alignment = read_alignment(path, query=None)
    name = stem(path)
    row = alignment.names[0].strip()
    record = FastaRecord(1, 1, f"{name} {row}", [(1, alignment.query)])
    try:
        job, changes = job_from_record(record, name, molecule=molecule, ambiguous=ambiguous)
    except ItdaError as error:
        named = type(error)(
            Message("{path}, row 1: {problem}", path=path, problem=error.problem), hint=error.hint
        )
        return JobBatch((), (RejectedRecord(name, 1, 1, named),), ())
    said = f"{path.name} is an alignment of {len(alignment):,} rows; its first"
    if row:
        said += f" ({row.split()[0][:40]})"
    if msa is None:
        (job,), errors = attach([job], "msa", path)
        assert not errors
        said += " is folded with it"
    else:
        said += f" is folded without it (--msa {msa})"
    # Of an alignment that is used, the run says what was changed.
    changes = [*(alignment.notes if msa is not None else ()), *changes, said]
    return JobBatch((job,), (), tuple(RecordWarning(name, 1, 0, change) for change in changes))


def _with_neighbours(
    batch: JobBatch, source: Path, msa: str | Path | None, family: Family | None
) -> JobBatch:
    count = batch.total
    own = _alignments(source.parent, [stem(source)])
    jobs: list[Job] = []
    warnings, rejected = list(batch.warnings), list(batch.rejected)
    used: set[Path] = set()
    for job, place in zip(batch.jobs, batch.places.values(), strict=True):
        found = _neighbours(job, source.parent, own if count == 1 else [])
        used.update(path for paths in found.values() for path in paths)
        try:
            job, said = _given(job, found, msa, family)
        except InputError as error:
            rejected.append(RejectedRecord(job.name, place, 0, error))
            continue
        jobs.append(job)
        warnings += [RecordWarning(job.name, place, 0, said)] if said else []
    notes = [
        f"{path.name} beside {source.name} is not used: {source.name} has {count} records; call it "
        "after the record that it belongs to"
        for path in own
        if count > 1 and path not in used and msa != NONE
    ]
    return dataclasses.replace(
        batch,
        jobs=tuple(jobs),
        rejected=tuple(sorted(rejected, key=lambda one: one.index)),
        warnings=tuple(warnings),
        notes=(*batch.notes, *notes),
    )


def _neighbours(job: Job, folder: Path, own: Sequence[Path]) -> dict[str, list[Path]]:
    """The alignments beside an input that belong to a job, by the first chain of each protein."""
    proteins = [entity for entity in job.entities if isinstance(entity, Protein)]
    if len(proteins) == 1:
        named = _alignments(folder, [job.file_stem])
        return {proteins[0].ids[0]: list(dict.fromkeys([*named, *own]))}
    chains = {protein.ids[0]: [f"{job.file_stem}_{protein.ids[0]}"] for protein in proteins}
    return {chain: _alignments(folder, stems) for chain, stems in chains.items()}


def _alignments(folder: Path, stems: Collection[str]) -> list[Path]:
    named = [folder / f"{stem}{suffix}" for stem in stems for suffix in ALIGNMENT_SUFFIXES]
    return [path for path in named if path.is_file()]


def _is_one_of(found: dict[str, list[Path]], msa: str | Path | None) -> bool:
    """Whether what the user asks for is what stands beside the input, or its folder."""
    asked = None if msa is None else Path(msa).absolute()
    every = [path.absolute() for paths in found.values() for path in paths]
    return any(asked in (path, path.parent) for path in every)


def _given(
    job: Job, found: dict[str, list[Path]], msa: str | Path | None, family: Family | None
) -> tuple[Job, str]:
    names = ", ".join(path.name for paths in found.values() for path in paths)
    if not names or msa == NONE or _is_one_of(found, msa):
        return job, ""
    if msa is not None:
        return job, f"{names} beside the input is not used: --msa {msa}"
    if family is not None and "msa" not in family.capabilities.inputs:
        return job, f"{names} beside the input is not used: {family.name} takes no alignment"
    several = next((paths for paths in found.values() if len(paths) > 1), None)
    if several:
        raise InputError(
            Message(
                "job {job!r}: {several} and {several_name} stand beside the input, and one "
                "alignment is taken",
                job=job.name,
                several=several[0].name,
                several_name=several[1].name,
            ),
            hint=Message("name one with {--msa:FILE}, or pass {--msa:none}"),
        )
    entities = tuple(
        entity.replace(msa=found[entity.ids[0]][0].absolute())
        if isinstance(entity, Protein) and found.get(entity.ids[0])
        else entity
        for entity in job.entities
    )
    given: Job = job.replace(entities=entities)
    return given, f"folded with {names}, which stands beside the input (--msa none: without)"
